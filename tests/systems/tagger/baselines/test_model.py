"""Every tagger without a network: what all of them promise."""

import json
import random
import subprocess
import sys

import numpy as np
import pytest

import seqloom
from seqloom.data.live import blocks
from seqloom.data.source import Source
from seqloom.data.tagged.legality import illegal_tags
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import ConfigError, DataError, ModelError
from seqloom.systems.tagger.baselines.config import BASELINES
from seqloom.systems.tagger.baselines.model import BaselineTagger
from seqloom.systems.tagger.config import PredictOptions, TaggerConfig, TaggerDataConfig
from seqloom.systems.tagger.output import predict
from seqloom.systems.tagger.system import TaggerSystem
from seqloom.systems.train import train_system

CITIES = ("Rome", "Oslo", "New York", "Bonn", "San Marino")
ROWS = [
    [("Ann", "B-PER"), ("Smith", "I-PER"), ("saw", "O")]
    + [(word, "B-LOC" if place == 0 else "I-LOC") for place, word in enumerate(city.split())]
    + [(".", "O")]
    for city in CITIES * 4
]
SENTENCES = [Sentence([word for word, _ in row], tuple(tag for _, tag in row), line=1) for row in ROWS]
UNSEEN = [["Bob", "York", "saw", "York", "Smith"], [], ["Marino"], ["saw", "saw", "Smith", "é" * 300]]


@pytest.fixture(scope="module", params=BASELINES)
def tagger(request):
    return BaselineTagger.fit(request.param, SENTENCES, "bio")


def test_a_sentence_alone_and_among_others_has_the_same_tags(tagger):
    together, marginals = tagger.predict(UNSEEN), tagger.marginals(UNSEEN)
    for sentence, tags, rows in zip(UNSEEN, together, marginals, strict=True):
        assert tagger.predict([sentence]) == [tags]
        assert len(tags) == len(sentence)
        np.testing.assert_allclose(tagger.marginals([sentence])[0], rows)
        np.testing.assert_allclose(rows.sum(1), 1.0)
    stream = tagger.stream()
    assert [tags for block in blocks(UNSEEN * 700) for tags in stream.push(block)] == together * 700
    assert stream.close() == []


def test_no_tag_sequence_is_illegal(tagger):
    words = sorted({word for row in ROWS for word, _ in row})
    draw = random.Random(0)
    sentences = [draw.choices(words, k=draw.randint(1, 7)) for _ in range(200)]
    assert [illegal_tags(tags, "bio") for tags in tagger.predict(sentences)] == [[]] * 200
    assert all(illegal_tags(tags, "bio") == [] for ranked in tagger.n_best(sentences[:20], 3) for tags, _ in ranked)


def test_the_order_of_the_training_sentences_does_not_matter(tagger):
    if tagger.method == "crf":
        pytest.skip("crfsuite's perceptron learns from one sentence after the other")
    other = BaselineTagger.fit(tagger.method, random.Random(1).sample(SENTENCES, len(SENTENCES)), "bio")
    assert other.predict(UNSEEN) == tagger.predict(UNSEEN)


def test_a_saved_tagger_is_the_same_and_holds_no_code(tagger, tmp_path):
    tagger.reading = {"columns": "text=0,tag=-1"}
    tagger.save(tmp_path / "model")
    loaded = seqloom.load(tmp_path / "model")
    assert isinstance(loaded, BaselineTagger)
    assert (loaded.method, loaded.scheme, loaded.reading) == (tagger.method, "bio", tagger.reading)
    assert loaded.predict(UNSEEN) == tagger.predict(UNSEEN)
    for one, other in zip(loaded.marginals(UNSEEN), tagger.marginals(UNSEEN), strict=True):
        np.testing.assert_array_equal(one, other)
    assert loaded.seen == tagger.seen
    assert tagger.seen.tokens == {word for row in ROWS for word, _ in row}
    found = {file.suffix for file in (tmp_path / "model").rglob("*") if file.is_file()}
    assert found == {".yaml", ".safetensors", ".json", ".md"}


@pytest.mark.parametrize("method", ["hmm", "most_frequent"])
def test_no_tagging_is_listed_twice_where_paths_are_respelled_alike(method):
    rows = [
        ("a", "B-X", "b", "E-X"),
        ("a", "S-X", "c", "O"),
        ("a", "B-X", "c", "I-X", "b", "E-X"),
        ("b", "S-X", "a", "O"),
    ]
    sentences = [Sentence(row[::2], row[1::2]) for row in rows]
    tagger = BaselineTagger.fit(method, sentences, "bioes")
    unseen = [["a", "c", "a"], ["b", "c", "b"], ["a"], []]
    repeated = 0
    for ranked, tags, paths in zip(
        tagger.n_best(unseen, 4), tagger.predict(unseen), tagger.implementation.k_best(unseen, 4), strict=True
    ):
        assert ranked[0][0] == tags
        assert len({tuple(some) for some, _ in ranked}) == len(ranked)
        assert [value for _, value in ranked] == sorted((value for _, value in ranked), reverse=True)
        repeated += len({tuple(tagger.spelled(path)) for path, _ in paths}) < len(paths)
    assert repeated  # else nothing was looked for


def test_a_damaged_directory_is_named(tagger, tmp_path):
    from safetensors.numpy import load_file, save_file

    tagger.save(tmp_path / "model")
    weights = tmp_path / "model" / "weights.safetensors"
    whole = load_file(weights)
    for name in whole:
        save_file({key: value for key, value in whole.items() if key != name}, weights)
        with pytest.raises(ModelError, match="is damaged"):
            seqloom.load(tmp_path / "model")
    # A list that has lost its last entry fits no vocabulary.
    save_file({key: value[:-1].copy() for key, value in whole.items()}, weights)
    with pytest.raises(ModelError):
        seqloom.load(tmp_path / "model")


def test_a_method_is_trained_scored_and_used_like_a_network(tmp_path, capsys):
    data = tmp_path / "train.conll"
    data.write_text("".join("".join(f"{word} {tag}\n" for word, tag in row) + "\n" for row in ROWS), encoding="utf-8")
    config = TaggerConfig(
        method="hmm", data=TaggerDataConfig(train=str(data), held_out=0.3), baselines=("most_frequent", "crf")
    )
    train_system(TaggerSystem(), config, tmp_path / "run")
    report = json.loads((tmp_path / "run" / "evaluation.json").read_text(encoding="utf-8"))
    assert report["method"] == "hmm"
    assert [row["method"] for row in report["baselines"]] == ["hmm", "most_frequent", "crf"]
    assert all(0.9 < row["f1"] <= 1 for row in report["baselines"])
    assert report["metrics"]["unseen_span_recall"] is None  # every span of the held-out part was seen
    assert report["signature"].startswith("span F1, scheme bio, mode conlleval")
    assert "fitting hmm on 14 sentences" in capsys.readouterr().err
    model = seqloom.load(tmp_path / "run" / "model")
    assert model.evaluate(str(data))["span_f1"] > 0.9
    assert model.about["scores"]["span_f1"] == report["metrics"]["span_f1"]
    assert list(predict(model, ["Ann saw Oslo ."], PredictOptions(format="plain"))) == [
        "Ann/B-PER saw/O Oslo/B-LOC ./O"
    ]
    with pytest.raises(ConfigError, match="method 'hmm' has no recurrent layer to diagnose"):
        TaggerSystem().diagnostic_batch(model, Source(str(data)), 1)


def test_wrong_methods_and_sentences_without_tags_are_named():
    with pytest.raises(ConfigError, match="method 'hm' is not known; did you mean 'hmm'"):
        BaselineTagger.fit("hm", SENTENCES)
    with pytest.raises(DataError, match="the sentence has no tags"):
        BaselineTagger.fit("hmm", [Sentence(["a"])])
    with pytest.raises(DataError, match="hold no token"):
        BaselineTagger.fit("hmm", [Sentence([], ())])


def test_predicting_without_a_network_does_not_wait_for_torch(tmp_path):
    BaselineTagger.fit("hmm", SENTENCES, "bio").save(tmp_path / "model")
    code = (
        "import sys, seqloom; from seqloom.data.source import Source; from seqloom.systems.registry import system; "
        "own, model = system('tagger').create(), seqloom.load(sys.argv[1]); "
        "print(*own.predict(model, Source(['Ann saw Oslo']), own.options(format='json')), 'torch' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code, str(tmp_path / "model")], capture_output=True, check=True)
    assert output.stdout.decode().strip().endswith("False")
