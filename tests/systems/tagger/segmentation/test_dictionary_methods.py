"""Maximum matching and best paths: the worked examples, enumeration, user words, and the round trip."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.errors import ConfigError, DataError
from seqloom.systems.tagger.segmentation.best_path import FewestWords
from seqloom.systems.tagger.segmentation.dictionary import Dictionary, UserEntry
from seqloom.systems.tagger.segmentation.hmm import HiddenMarkovModel
from seqloom.systems.tagger.segmentation.maximum_matching import MaximumMatching
from seqloom.systems.tagger.segmentation.method import WordSegmenter
from seqloom.systems.tagger.segmentation.ngram import BigramPaths, UnigramPaths
from seqloom.systems.tagger.segmentation.word_lattice import build_lattice

NAME = "国庆 国庆节 节日 加班"
BATS = "乒乓 乒乓球 乒乓球拍 球拍 拍卖"
LINES = [
    ["乒乓球", "拍卖", "了"],
    ["乒乓球拍", "卖", "了"],
    ["我", "是", "中国人"],
    ["abc", "a", "bc", "cab", "b"],
    ["ab", "c"],
]


def dictionary_of(words):
    return Dictionary.from_counts(dict.fromkeys(words.split(), 1))


def all_methods(join_runs=True, unknown=None):
    dictionary = Dictionary.from_lines(LINES)
    bigrams = BigramPaths.fit(LINES).bigrams
    methods = [MaximumMatching(dictionary, direction, join_runs=join_runs) for direction in ("fmm", "bmm", "bimm")]
    methods += [cls(dictionary, join_runs=join_runs, unknown=unknown) for cls in (FewestWords, UnigramPaths)]
    return [*methods, BigramPaths(dictionary, bigrams, join_runs=join_runs, unknown=unknown)]


def segmentations(text):
    """All 2^(n-1) ways to cut a text."""
    for cuts in itertools.product([False, True], repeat=max(0, len(text) - 1)):
        ends = [i + 1 for i, cut in enumerate(cuts) if cut] + [len(text)]
        yield [text[begin:end] for begin, end in zip([0, *ends], ends, strict=False)] if text else []


def readings(text, dictionary):
    """The readings of a lattice, leftmost-longest first."""
    allowed = [words for words in segmentations(text) if all(len(w) == 1 or w in dictionary for w in words)]
    return sorted(allowed, key=lambda words: [-len(word) for word in words])


@pytest.mark.parametrize(
    ("text", "words", "forward", "backward", "paths"),
    [
        ("乒乓球拍卖了", BATS, "乒乓球拍/卖/了", "乒乓球/拍卖/了", 9),
        ("李国庆节日在加班", NAME, "李/国庆节/日/在/加班", "李/国庆/节日/在/加班", 10),
        ("李国庆节日在加班", f"{NAME} 李国庆", "李国庆/节日/在/加班", "李国庆/节日/在/加班", 14),
        ("我是中国人", "我 是 中国 中国人 国人", "我/是/中国人", "我/是/中国人", 4),
    ],
)
def test_the_worked_examples(text, words, forward, backward, paths):
    dictionary = dictionary_of(words)
    assert MaximumMatching(dictionary, "fmm").segment([text]) == [forward.split("/")]
    assert MaximumMatching(dictionary, "bmm").segment([text]) == [backward.split("/")]
    assert build_lattice(dictionary, [text]).number_of_paths() == paths
    assert build_lattice(dictionary_of(""), [text]).number_of_paths() == 1


def test_bidirectional_matching_takes_the_reading_with_fewer_singles():
    assert MaximumMatching(dictionary_of(BATS)).segment(["乒乓球拍卖了"]) == [["乒乓球", "拍卖", "了"]]


def test_without_a_dictionary_limit_there_are_two_to_the_power_of_gaps_readings():
    text = "乒乓球拍卖了"
    every = {text[i:j] for i in range(6) for j in range(i + 1, 7)}
    assert build_lattice(dictionary_of(" ".join(every)), [text]).number_of_paths() == 32


def test_the_fewest_words_of_the_name_example_are_four_and_unique():
    segmenter = FewestWords(dictionary_of(f"{NAME} 李国庆"))
    best = segmenter.n_best("李国庆节日在加班", 2)
    assert best[0] == (["李国庆", "节日", "在", "加班"], -4.0)
    assert best[1][1] < -4


def test_the_worked_log_probabilities():
    counts = {"乒乓球": 300, "拍卖": 400, "了": 50000, "乒乓球拍": 20, "卖": 900}
    dictionary = Dictionary.from_counts({**counts, "…": 10**6 - sum(counts.values())})
    best = UnigramPaths(dictionary, delta=0.0).n_best("乒乓球拍卖了", 2)
    assert [words for words, _ in best] == [["乒乓球", "拍卖", "了"], ["乒乓球拍", "卖", "了"]]
    assert [round(score, 3) for _, score in best] == [-18.932, -20.829]


TEXTS = st.text(alphabet="甲乙丙", max_size=10)
COUNTS = st.dictionaries(st.text(alphabet="甲乙丙", min_size=1, max_size=4), st.integers(0, 50), max_size=12)


@given(TEXTS, COUNTS)
@settings(deadline=None, max_examples=60)
def test_fewest_words_is_the_first_of_all_readings_by_its_documented_order(text, counts):
    def cost(words):
        logs = [round(math.log(max(counts.get(word, 0), 1)) * 65536) for word in words]
        return len(words), sum(len(word) == 1 for word in words), -sum(logs)

    expected = min(readings(text, counts), key=cost)  # min keeps the first, which is leftmost-longest
    segmenter = FewestWords(Dictionary.from_counts(counts))
    assert segmenter.segment([text]) == [expected]
    ranked = sorted(readings(text, counts), key=cost)[:4]
    assert [words for words, _ in segmenter.n_best(text, 4)] == ranked


@given(TEXTS, COUNTS, st.sampled_from([0.0, 0.5]))
@settings(deadline=None, max_examples=60)
def test_the_unigram_search_finds_the_best_of_all_readings(text, counts, delta):
    unseen = 0.01
    total = max(sum(counts.values()) + delta * len(counts), 1.0)

    def score(words):
        pseudo = [counts[word] + delta if word in counts else unseen for word in words]
        return sum(math.log(max(value, unseen) / total) for value in pseudo)

    segmenter = UnigramPaths(Dictionary.from_counts(counts), delta=delta, unseen=unseen)
    scores = sorted((score(words) for words in readings(text, counts)), reverse=True)[:5]
    found = segmenter.n_best(text, 5)
    assert [value for _, value in found] == pytest.approx(scores)
    assert [score(words) for words, _ in found] == pytest.approx(scores)
    assert score(segmenter.segment([text])[0]) == pytest.approx(scores[0])


@given(
    TEXTS,
    st.lists(
        st.lists(st.text(alphabet="甲乙丙", min_size=1, max_size=3), min_size=1, max_size=5), min_size=1, max_size=6
    ),
    st.sampled_from([0.0, 0.6, 0.9]),
)
@settings(deadline=None, max_examples=60)
def test_the_bigram_search_finds_the_best_of_all_readings(text, lines, weight):
    delta, unseen = 0.5, 0.01
    counts, left, pairs = {"</s>": 0}, {}, {}
    for line in lines:
        for a, b in itertools.pairwise(["<s>", *line, "</s>"]):
            counts[b] = counts.get(b, 0) + 1
            left[a] = left.get(a, 0) + 1
            pairs[a, b] = pairs.get((a, b), 0) + 1
    total = sum(counts.values()) + delta * len(counts)

    def score(words):
        value = 0.0
        for a, b in itertools.pairwise(["<s>", *words, "</s>"]):
            single = (counts[b] + delta if b in counts else unseen) / total
            joint = weight * pairs.get((a, b), 0) / left[a] + (1 - weight) * single if a in left else single
            value += math.log(joint)
        return value

    segmenter = BigramPaths.fit(lines, weight=weight, delta=delta)
    scores = sorted((score(words) for words in readings(text, counts)), reverse=True)[:5]
    found = segmenter.n_best(text, 5)
    assert [value for _, value in found] == pytest.approx(scores)
    assert [score(words) for words, _ in found] == pytest.approx(scores)
    assert score(segmenter.segment([text])[0]) == pytest.approx(scores[0])


@given(TEXTS, COUNTS)
@settings(deadline=None, max_examples=60)
def test_maximum_matching_takes_the_longest_word_at_each_place(text, counts):
    def longest(left):
        words, rest = [], text
        while rest:
            parts = [rest[:n] if left else rest[-n:] for n in range(len(rest), 0, -1)]
            word = next(part for part in parts if part in counts or len(part) == 1)
            words.append(word)
            rest = rest[len(word) :] if left else rest[: -len(word)]
        return words if left else words[::-1]

    dictionary = Dictionary.from_counts(counts)
    forward, backward = longest(True), longest(False)
    assert MaximumMatching(dictionary, "fmm").segment([text]) == [forward]
    assert MaximumMatching(dictionary, "bmm").segment([text]) == [backward]
    key = lambda words: (len(words), sum(len(word) == 1 for word in words))  # noqa: E731
    expected = min([backward, forward], key=key)
    assert MaximumMatching(dictionary, "bimm").segment([text]) == [expected]


@pytest.mark.parametrize("join_runs", [False, True])
def test_every_text_comes_back_whole_and_alone_as_in_company(join_runs):
    methods = all_methods(join_runs, HiddenMarkovModel.fit(LINES))

    @given(st.lists(st.text(st.characters(codec=None) | st.sampled_from("乒乓球拍卖了abc1.")), max_size=4))
    @settings(deadline=None, max_examples=60)
    def check(texts):
        for method in methods:
            found = method.segment(texts)
            assert ["".join(words) for words in found] == texts
            assert all(all(words) for words in found)
            assert found == [method.segment([text])[0] for text in texts]
            for text in texts[:1]:
                assert method.n_best(text, 3)[0][0] == found[0]

    check()


@given(st.text(alphabet="乒乓球拍卖了a1", max_size=12), COUNTS)
@settings(deadline=None, max_examples=60)
def test_the_full_mode_lists_every_long_word_and_every_character_in_none(text, counts):
    words = {*BATS.split(), *counts}
    found = FewestWords(dictionary_of(" ".join(words)), join_runs=False).full([text])[0]
    spans = [(i, j) for i in range(len(text)) for j in range(i + 2, len(text) + 1) if text[i:j] in words]
    covered = {place for i, j in spans for place in range(i, j)}
    spans += [(i, i + 1) for i in range(len(text)) if i not in covered]
    assert found == [text[i:j] for i, j in sorted(spans)]


@pytest.mark.parametrize(
    "method", all_methods(), ids=lambda method: getattr(method, "direction", type(method).__name__)
)
def test_a_forced_word_is_always_a_word(method):
    user = {"拍卖了": UserEntry("force"), "是中": UserEntry("force", 1), "b1": UserEntry("force")}
    forced = method.with_dictionary(method.dictionary.with_words(user))

    @given(
        st.text(alphabet="乒乓球我国人x", max_size=6),
        st.sampled_from(sorted(user)),
        st.text(alphabet="乒乓球我国人x", max_size=6),
    )
    @settings(deadline=None, max_examples=30)
    def check(before, word, after):
        words = forced.segment([before + word + after])[0]
        ends = np.cumsum([0, *map(len, words)]).tolist()
        assert (len(before), len(before) + len(word)) in set(itertools.pairwise(ends))

    check()


def test_overlapping_forced_words_are_leftmost_then_longest():
    user = dict.fromkeys(["甲乙", "甲乙丙", "丙丁"], UserEntry("force"))
    segmenter = MaximumMatching(Dictionary.from_counts({}).with_words(user), "bmm")
    assert segmenter.segment(["甲乙丙丁丙丁"]) == [["甲乙丙", "丁", "丙丁"]]


SCORED = [method for method in all_methods(False) if isinstance(method, UnigramPaths | BigramPaths)]


@pytest.mark.parametrize("method", SCORED, ids=lambda method: type(method).__name__)
def test_a_users_word_with_a_huge_frequency_always_wins(method):
    user = method.with_dictionary(method.dictionary.with_words({"拍卖": UserEntry("prefer", 1e60)}))

    @given(st.text(alphabet="乒乓球了我", max_size=8), st.text(alphabet="乒乓球了我", max_size=8))
    @settings(deadline=None, max_examples=60)
    def check(before, after):
        assert "拍卖" in user.segment([f"{before}拍卖{after}"])[0]

    check()


@pytest.mark.parametrize("method", SCORED, ids=lambda method: type(method).__name__)
@pytest.mark.parametrize("frequency", [None, 0.0, 1.0])
def test_a_preferred_word_beats_the_built_in_reading_whatever_its_frequency(method, frequency):
    # "了我是" is read as three frequent words by themselves
    text = "了我是"
    assert method.segment([text]) == [["了", "我", "是"]]
    user = method.with_dictionary(method.dictionary.with_words({text: UserEntry("prefer", frequency)}))
    assert user.segment([text, f"乒乓球拍卖{text}"])[0] == [text]
    assert user.segment([f"乒乓球拍卖{text}"])[0][-1] == text
    assert user.explain(text).readings[0].words == [text]


@given(st.dictionaries(st.sampled_from(["拍卖", "乒乓球", "了"]), st.none() | st.integers(0, 5).map(float), min_size=1))
@settings(deadline=None, max_examples=40)
def test_a_users_entry_for_a_known_word_never_makes_it_less_likely(frequencies):
    for method in SCORED:
        user = {word: UserEntry("prefer", frequency) for word, frequency in frequencies.items()}
        changed = method.with_dictionary(method.dictionary.with_words(user))
        for words, score in method.n_best("乒乓球拍卖了", 20):
            again = {tuple(found): value for found, value in changed.n_best("乒乓球拍卖了", 20)}
            assert again[tuple(words)] >= score - 1e-9


def test_runs_of_latin_letters_and_digits_stay_whole_unless_the_user_forces_a_cut():
    texts = ["用iPhone15拍了3.14米a", "ＡＢ１２球", "a.b"]
    expected = [["用", "iPhone15", "拍", "了", "3.14", "米", "a"], ["ＡＢ１２", "球"], ["a", ".", "b"]]
    for method in all_methods(join_runs=True):
        assert method.segment(texts) == expected
        forced = method.with_dictionary(method.dictionary.with_words({"Phone": UserEntry("force")}))
        assert forced.segment(texts)[0][:4] == ["用", "i", "Phone", "15"]


def test_the_model_for_unknown_words_reads_runs_of_characters_that_seldom_stand_alone():
    lines = [["张", "明白", "来", "了"], ["林小", "青", "走", "了"], ["王大海", "来", "了"]] * 5
    model = HiddenMarkovModel.fit([["陈小明", "来", "了"], ["李小海", "走", "了"]] * 9)
    dictionary = Dictionary.from_lines(lines)
    plain = UnigramPaths(dictionary)
    assert plain.segment(["李小明来了"]) == [["李", "小", "明", "来", "了"]]
    assert UnigramPaths(dictionary, unknown=model).segment(["李小明来了", ""]) == [["李小明", "来", "了"], []]


def test_the_explanation_shows_the_competing_readings_with_the_score_of_each_word():
    segmenter = UnigramPaths(dictionary_of(BATS).with_words({"拍卖": UserEntry("force")}))
    explanation = segmenter.explain("乒乓球拍卖了", 2)
    assert explanation.forced == ["拍卖"]
    assert explanation.number_of_readings == 3
    assert explanation.readings[0].words == ["乒乓球", "拍卖", "了"]
    for reading in explanation.readings:
        assert sum(reading.parts) == pytest.approx(reading.score)
    assert "forced by the user's dictionary: 拍卖" in str(explanation)
    bigram = BigramPaths.fit(LINES).explain("乒乓球拍卖了")
    for reading in bigram.readings:
        assert sum(reading.parts) == pytest.approx(reading.score)
        assert len(reading.parts) == len(reading.words)


@pytest.mark.parametrize(
    "method",
    [*all_methods(), *all_methods(False, HiddenMarkovModel.fit(LINES))],
    ids=lambda method: type(method).__name__,
)
def test_a_method_comes_back_from_its_state(method):
    import json

    user = {"了我": UserEntry("force", None, "n"), "拍卖了": UserEntry("prefer", 3)}
    method = method.with_dictionary(method.dictionary.with_words(user))
    assert isinstance(method, WordSegmenter)
    arrays, stored = method.state()
    restored = type(method).from_state(arrays, json.loads(json.dumps(stored)))
    texts = ["乒乓球拍卖了我是中国人abc12", "", "了我了"]
    assert restored.segment(texts) == method.segment(texts)
    assert restored.n_best(texts[0], 4) == method.n_best(texts[0], 4)


def test_blocks_do_not_change_the_words():
    for method in all_methods():
        if not isinstance(method, MaximumMatching):
            texts = ["乒乓球拍卖了", "", "我是中国人"] * 5
            whole = method.segment(texts)
            method.block = 7
            assert method.segment(texts) == whole


def test_what_cannot_be_meant_is_refused():
    empty = Dictionary.from_counts({})
    with pytest.raises(ConfigError, match="direction is 'left'; expected one of fmm, bmm, bimm"):
        MaximumMatching(empty, "left")
    with pytest.raises(ConfigError, match="delta is -1"):
        UnigramPaths(empty, delta=-1)
    with pytest.raises(ConfigError, match="weight is 1"):
        BigramPaths.fit(LINES, weight=1)
    with pytest.raises(DataError, match="hold no word"):
        BigramPaths.fit([[]])
    assert UnigramPaths(empty).segment(["中国", ""]) == [["中", "国"], []]
    assert FewestWords(empty).n_best("", 2) == [([], 0.0)]
