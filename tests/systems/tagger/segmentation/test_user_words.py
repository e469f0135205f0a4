"""A user's words in the readings of taggers."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.data.tagged.words import tags_to_words
from seqloom.systems.tagger.segmentation.dictionary import Dictionary, UserEntry
from seqloom.systems.tagger.segmentation.user_words import forced_spans, impose_user_words

USER = st.dictionaries(
    st.text(alphabet="甲乙丙", min_size=1, max_size=3),
    st.builds(UserEntry, st.sampled_from(["prefer", "force"])),
    max_size=5,
)
READINGS = st.text(alphabet="甲乙丙丁", max_size=10).flatmap(
    lambda text: st.text(alphabet="BMES", min_size=len(text), max_size=len(text)).map(
        lambda tags: tags_to_words(text, tags)
    )
)


def ends(words):
    return list(itertools.accumulate(map(len, words), initial=0))


def slow(user, words):
    """One place after the other: forced words first, then preferred ones that end at cuts outside of forced ones."""
    text, cuts, forced = "".join(words), set(ends(words)), []
    for priority in ("force", "prefer"):
        place = 0
        before = set(cuts)
        while place < len(text):
            for end in range(len(text), place, -1):
                entry = user.get(text[place:end])
                clear = all(end <= low or place >= high for low, high in forced)
                if entry and priority == "force" and entry.priority == "force":
                    forced.append((place, end))
                elif not (entry and priority == "prefer" and clear and {place, end} <= before):
                    continue
                cuts = {cut for cut in cuts if not place < cut < end} | {place, end}
                place = end - 1
                break
            place += 1
    ordered = sorted(cuts)
    return [text[low:high] for low, high in itertools.pairwise(ordered)]


@given(USER, st.lists(READINGS, max_size=3))
@settings(deadline=None, max_examples=200)
def test_forced_words_are_imposed_and_preferred_ones_where_cuts_allow(user, found):
    dictionary = Dictionary.from_counts({"甲": 1, "丁甲": 1}).with_words(user)
    texts = ["".join(words) for words in found]
    assert impose_user_words(dictionary, texts, found) == [slow(user, words) for words in found]
    for words, spans in zip(impose_user_words(dictionary, texts, found), forced_spans(dictionary, texts), strict=True):
        assert set(spans) <= set(itertools.pairwise(ends(words)))
