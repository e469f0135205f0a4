"""The segmenter as a product: every method on an artificial language, its files, its user words, its invariants."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import seqloom
from seqloom.data.source import Source
from seqloom.errors import ConfigError, DataError, ModelError
from seqloom.systems.tagger.config import TaggerModelConfig
from seqloom.systems.tagger.segmentation import methods
from seqloom.systems.tagger.segmentation.config import METHODS, PredictOptions, SegmenterDataConfig, StatisticsConfig
from seqloom.systems.tagger.segmentation.dictionary import Dictionary, UserEntry
from seqloom.systems.tagger.segmentation.neural import NeuralSegmenter, bmes_ids
from seqloom.systems.tagger.segmentation.output import predict
from seqloom.systems.tagger.segmentation.segmenter import Segmenter, _best_combinations
from seqloom.systems.tagger.segmentation.system import SegmenterSystem, score, training_pieces

FEATURES = {"token": 8, "bigram_left": 8, "bigram_right": 8, "lexicon": 4}


def _segmenter(method: str, lines: list[list[str]]) -> Segmenter:
    words = Dictionary.from_lines(lines)
    if method in methods.NETWORK_METHODS:
        torch.manual_seed(0)
        output = "softmax" if method == "blstm" else "crf"
        config = TaggerModelConfig(features=FEATURES, hidden_size=6, output=output, fold_digits=True)
        return Segmenter(method, words, NeuralSegmenter.untrained(config, lines), maximum_length=30)
    settings = StatisticsConfig(iterations=5)
    return Segmenter(method, words, methods.fit(method, lines, words, settings), maximum_length=30)


@pytest.fixture(scope="module")
def segmenters(segmented_lines):
    return {method: _segmenter(method, segmented_lines[:60]) for method in METHODS}


@pytest.mark.parametrize("method", METHODS)
def test_the_words_of_any_text_joined_are_the_text_without_its_whitespace(segmenters, method):
    segmenter = segmenters[method]

    @given(st.lists(st.text(max_size=50) | st.text(alphabet="甲子金的。，！”Ａ1 　\n", max_size=90), max_size=4))
    @settings(deadline=None, max_examples=20)
    def holds(texts):
        for text, found in zip(texts, segmenter.predict(texts), strict=True):
            assert "".join(found.words) == "".join(text.split())
            assert all(found.text[start:end] for start, end in found.spans)
            assert "".join(found.with_spaces().words) == text

    holds()


@pytest.mark.parametrize("method", METHODS)
def test_a_text_alone_and_among_others_has_the_same_words(segmenters, segmented_lines, method):
    texts = ["".join(words) for words in segmented_lines[60:80]] + ["", "的", " "]
    together = segmenters[method].predict(texts)
    assert together == [segmenters[method].predict([text])[0] for text in texts]


@pytest.mark.parametrize("method", METHODS)
def test_the_best_of_n_is_the_prediction_and_scores_fall(segmenters, method):
    text = "甲子金的乙丑木。丙水在丁寅火 和"
    ranked = segmenters[method].n_best(text, 4)
    assert ranked[0][0] == segmenters[method].predict([text])[0]
    scores = [value for _, value in ranked]
    assert scores == sorted(scores, reverse=True)
    assert len({found.spans for found, _ in ranked}) == len(ranked)


@pytest.mark.parametrize("method", METHODS)
def test_a_saved_segmenter_loads_and_says_the_same(segmenters, segmented_lines, method, tmp_path):
    segmenters[method].save(tmp_path / "model")
    loaded = seqloom.load(tmp_path / "model")
    texts = ["".join(words) for words in segmented_lines[60:90]]
    assert loaded.method == method
    assert loaded.predict(texts) == segmenters[method].predict(texts)
    loaded.save(tmp_path / "model")  # over itself
    assert seqloom.load(tmp_path / "model").predict(texts) == segmenters[method].predict(texts)


@pytest.mark.parametrize("method", METHODS)
def test_a_forced_user_word_is_a_word_wherever_it_stands(segmenters, method, tmp_path):
    user = Dictionary.from_counts({}).with_words({"金的乙": UserEntry("force")})
    segmenter = segmenters[method].with_dictionary(user)
    (found,) = segmenter.predict(["甲子金的乙丑木"])
    assert "金的乙" in found.words
    assert "金的乙" in segmenter.with_method("fmm").predict(["甲子金的乙丑木"])[0].words
    segmenter.save(tmp_path / "model")
    assert seqloom.load(tmp_path / "model").predict(["甲子金的乙丑木"]) == [found]


@pytest.mark.parametrize("method", ["blstm-crf", "unigram"])
def test_a_stream_gives_the_words_of_the_whole_text(segmenters, method):
    text = "甲子金的乙丑木。” 丙水在，丁寅火！\n和甲金" * 3
    whole = segmenters[method].predict([text])[0].words
    for size in (1, 2, 7, 1000):
        stream = segmenters[method].stream()
        words = [w for start in range(0, len(text), size) for w in stream.push(text[start : start + size])]
        assert words + stream.close() == whole


def test_probabilities_of_all_readings_of_a_short_text_sum_to_one(segmenters):
    ranked = segmenters["blstm-crf"].implementation.n_best("甲子金的乙", 100)
    assert len(ranked) == 2**4
    assert sum(torch.tensor([value for _, value in ranked]).exp()) == pytest.approx(1.0, abs=1e-5)


def test_a_preferred_word_wins_where_the_network_hesitates(segmenters):
    segmenter = segmenters["blstm-crf"]  # untrained: it hesitates everywhere
    user = Dictionary.from_counts({}).with_words({"子金的": UserEntry("prefer")})
    assert "子金的" in segmenter.with_dictionary(user).predict(["甲子金的乙"])[0].words


def test_every_model_can_run_the_dictionary_methods_and_no_other(segmenters):
    assert segmenters["blstm-crf"].with_method("fmm").predict(["甲金的"])[0].words
    with pytest.raises(ConfigError, match="beside its own method a model can run fmm, bmm"):
        segmenters["blstm-crf"].with_method("hmm")


def test_training_learns_the_language_and_pieces_keep_gold_words_whole(segmented_lines):
    lines = [["他", "说", "：", "“", "好", "！", "”", "走"], ["甲。乙", "丙"]]
    assert training_pieces(lines, 200) == [["他", "说", "：", "“", "好", "！", "”"], ["走"], ["甲。乙", "丙"]]
    assert bmes_ids([["我", "是"], [], ["中国人"]]).tolist() == [3, 3, 0, 1, 2]


def test_scores_are_those_of_the_words_whatever_their_width():
    lines = [["ＡＢ", "的"], ["的", "AB"]]
    segmenter = Segmenter(
        "fmm",
        Dictionary.from_lines([["AB", "的"]]),
        methods.dictionary_method("fmm", Dictionary.from_lines([["AB", "的"]])),
    )
    metrics = score(segmenter, lines)
    assert metrics["f1"] == 1.0
    assert metrics["oov_rate"] == 0.0


def test_output_lines_answer_input_lines(segmenters):
    texts = ["甲子金的", "", "乙木 了"]
    model = segmenters["fmm"]
    plain = list(predict(model, texts, PredictOptions()))
    assert [line.replace(" ", "") for line in plain] == ["甲子金的", "", "乙木了"]
    kept = list(predict(model, texts, PredictOptions(keep_space=True, format="json")))
    assert "".join(word["w"] for word in json.loads(kept[2])["words"]) == "乙木 了"
    for line, text in zip(predict(model, texts, PredictOptions(format="json")), texts, strict=True):
        found = json.loads(line)
        assert all(text[word["start"] : word["end"]] == word["w"] for word in found["words"])
    bmes = "\n".join(predict(model, texts, PredictOptions(format="bmes")))
    assert "".join(row.split("\t")[0] for row in bmes.split("\n") if row) == "甲子金的乙木了"
    ranked = list(predict(segmenters["unigram"], texts[:1], PredictOptions(nbest=2)))
    assert ranked[0].split("\t")[1].replace(" ", "") == "甲子金的"


@given(st.lists(st.lists(st.floats(-5, 0), min_size=1, max_size=4).map(lambda s: sorted(s, reverse=True)), max_size=4))
@settings(deadline=None, max_examples=50)
def test_best_combinations_are_those_of_enumeration(scores):
    import itertools

    every = sorted((sum(row) for row in itertools.product(*scores)), reverse=True)
    found = [value for _, value in _best_combinations(scores, 7)]
    assert found == pytest.approx(every[:7])


def test_a_damaged_model_is_one_sentence(segmenters, tmp_path):
    segmenters["blstm-crf"].save(tmp_path / "model")
    weights = tmp_path / "model" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(ModelError, match=r"weights\.safetensors cannot be read"):
        seqloom.load(tmp_path / "model")
    (tmp_path / "model" / "config.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(ModelError, match="not valid YAML"):
        seqloom.load(tmp_path / "model")
    with pytest.raises(ModelError, match="not a model directory"):
        seqloom.load(tmp_path / "nothing")


def test_reading_words_refuses_text_without_words(tmp_path):
    (tmp_path / "raw.txt").write_text("我是中国人\n你好\n", encoding="utf-8")
    with pytest.raises(DataError, match="holds no words but lines without spaces"):
        SegmenterSystem().read(Source(str(tmp_path / "raw.txt")), SegmenterDataConfig())


def test_a_string_is_one_text_and_what_is_no_string_is_named(segmenters):
    segmenter = segmenters["bigram"]
    assert segmenter.predict("我是中国人") == segmenter.predict(["我是中国人"])
    for wrong, message in (
        (["甲", None], r"text\[1\] is None; expected a string"),
        ([7], r"text\[0\] is 7"),
        (None, "None is given where texts are expected"),
    ):
        with pytest.raises(DataError, match=message):
            segmenter.predict(wrong)
    with pytest.raises(DataError, match=r"text\[0\] is 3"):
        segmenter.n_best(3, 2)


def test_full_width_entries_match_their_text_in_either_width(tmp_path, capsys):
    segmenter = _segmenter("bigram", [["我", "在"]])
    path = tmp_path / "words.txt"
    path.write_text("红楼梦（上）\nＡＴＭ机 5\nATM机 n\nNew York\n", encoding="utf-8")
    options = PredictOptions(dict=str(path), priority="force")
    assert list(predict(segmenter, ["红楼梦（上）在ＡＴＭ机", "红楼梦(上)在ATM机"], options)) == [
        "红楼梦（上） 在 ＡＴＭ机",
        "红楼梦(上) 在 ATM机",
    ]
    said = capsys.readouterr().err
    assert "3 words loaded" in said
    assert "1 words merged" in said
    assert "words.txt:4: skipped" in said
