from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.systems.tagger.lexicon import FOLDS, LexiconFeature

words = st.lists(st.text(alphabet="甲乙丙丁", min_size=1, max_size=5), max_size=6)


def _classes_by_hand(text: str, known: set[str]) -> list[int]:
    """Every word at every place, one by one."""
    begin, end, across = ([0] * len(text) for _ in range(3))
    for start in range(len(text)):
        for stop in range(start + 2, len(text) + 1):
            if text[start:stop] in known:
                length = min(stop - start, 4)
                begin[start] = max(begin[start], length - 1)
                end[stop - 1] = max(end[stop - 1], length - 1)
                for inside in range(start + 1, stop - 1):
                    across[inside] = max(across[inside], length - 2)
    return [1 + (b * 4 + e) * 3 + a for b, e, a in zip(begin, end, across, strict=True)]


@given(st.lists(words, max_size=25), st.lists(st.text(alphabet="甲乙丙丁x\n", max_size=8), max_size=4))
@settings(deadline=None, max_examples=60)
def test_classes_are_those_of_every_word_at_every_place(lines, texts):
    lexicon = LexiconFeature.fit(lines)
    known = {word for line in lines for word in line if len(word) > 1}
    assert lexicon.encode(texts).tolist() == [c for text in texts for c in _classes_by_hand(text, known)]


@given(st.lists(words, max_size=25))
@settings(deadline=None, max_examples=60)
def test_a_training_sentence_sees_only_the_words_of_the_other_folds(lines):
    lexicon = LexiconFeature.fit(lines)
    expected = []
    for index, line in enumerate(lines):
        fold = index * FOLDS // len(lines)
        others = [other for place, other in enumerate(lines) if place * FOLDS // len(lines) != fold]
        known = {word for other in others for word in other if len(word) > 1}
        expected += _classes_by_hand("".join(line), known)
    assert lexicon.encode_jackknifed(lines).tolist() == expected


def test_a_lexicon_survives_its_file(tmp_path):
    lexicon = LexiconFeature.fit([["中国", "人"], ["中国人"]])
    lexicon.save(tmp_path / "lexicon.json")
    assert (
        LexiconFeature.load(tmp_path / "lexicon.json").encode(["我是中国人"]).tolist()
        == lexicon.encode(["我是中国人"]).tolist()
    )
