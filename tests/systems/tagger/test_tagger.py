"""The general tagger: columns, CoNLL-U and JSON lines in, tags out; its invariants and its files."""

import numpy as np
import pytest
import torch

import seqloom
from seqloom.data.vocabulary import TagVocabulary
from seqloom.errors import ConfigError, DataError, ModelError
from seqloom.systems.supervised import SupervisedTask
from seqloom.systems.tagger.config import PredictOptions, TaggerConfig, TaggerDataConfig, TaggerModelConfig
from seqloom.systems.tagger.encoding import EncodedCorpus, Hiding
from seqloom.systems.tagger.features import FEATURES, FeatureSet
from seqloom.systems.tagger.output import predict
from seqloom.systems.tagger.system import TaggerSystem
from seqloom.systems.tagger.tagger import Tagger
from seqloom.systems.train import train_system
from seqloom.training.config import TrainingConfig

SENTENCES = [["The", "IBM", "man"], ["no"], [], ["Ann", "Smith", "came", "to", "Rome", "x" * 40]]
ALL = {"token": 6, "lowercase": 4, "shape": 3, "prefix2": 3, "suffix3": 4, "characters": 6}


def _tagger(features=ALL, output="crf", sentences=SENTENCES, scheme="BIO", **model):
    torch.manual_seed(0)
    config = TaggerModelConfig(features=features, hidden_size=5, output=output, **model)
    tags = TagVocabulary(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
    return Tagger(config, FeatureSet.fit(list(features), sentences), tags, scheme)


@pytest.mark.parametrize("output", ["crf", "softmax"])
def test_a_sentence_alone_and_in_a_batch_has_the_same_scores(output):
    tagger = _tagger(output=output)
    together = tagger.marginals(SENTENCES)
    for sentence, found in zip(SENTENCES, together, strict=True):
        (alone,) = tagger.marginals([sentence])
        assert found.shape == (len(sentence), 5)
        np.testing.assert_allclose(found, alone, atol=1e-5)
        np.testing.assert_allclose(found.sum(1), 1.0, atol=1e-5)


@pytest.mark.parametrize("output", ["crf", "softmax"])
def test_no_tag_sequence_is_ever_illegal(output):
    tagger = _tagger(output=output)
    with torch.no_grad():
        for parameter in tagger.network.scores.parameters():
            parameter.mul_(100)
    for tags in tagger.predict(SENTENCES):
        for before, tag in zip(["O", *tags], tags, strict=False):
            assert not tag.startswith("I-") or before[2:] == tag[2:]


def test_n_best_begins_with_the_prediction_and_probabilities_sum_to_one():
    tagger = _tagger()
    (ranked,) = tagger.k_best([["Ann", "came"]], 100)
    legal = 3 * 3 + 2 * 1  # three starts, each followed by three; and I- after its own B-
    assert len(ranked) == legal
    assert sum(np.exp(value) for _, value in ranked) == pytest.approx(1.0, abs=1e-5)
    assert ranked[0][0].tolist() == tagger.decode([["Ann", "came"]])[0].tolist()
    assert tagger.k_best([[]], 3)[0][0][0].tolist() == []


@pytest.mark.parametrize("name", [name for name in FEATURES if name not in ("lexicon", "bigram_left", "bigram_right")])
def test_every_feature_of_tokens_trains_alone(name):
    tagger = _tagger({name: 6})
    targets = np.array([tag % 2 for sentence in SENTENCES for tag in range(len(sentence))])
    corpus = EncodedCorpus(tagger.features, SENTENCES, targets)
    batch = corpus.batch(np.arange(len(SENTENCES)))
    tagger.network(batch).backward()
    for label, parameter in tagger.network.named_parameters():
        assert parameter.grad is not None, label
    assert any(p.grad.to_dense().abs().sum() > 0 for p in tagger.network.parameters() if p.grad is not None)


def test_values_seen_once_are_read_as_unknown_at_the_stated_rate():
    sentences = ["甲乙" * 50, "丙"]
    features = FeatureSet.fit(["token", "bigram_left"], sentences)

    def batch_of(indices, **hiding):
        corpus = EncodedCorpus(features, sentences, hiding=Hiding(**hiding))
        return corpus.batch(np.array(indices), np.random.default_rng(0))

    batch = batch_of([1] * 400, unknown_rate=0.25)
    assert (batch.ids["token"] == 1).float().mean().item() == pytest.approx(0.25, abs=0.07)
    common = batch_of([0], unknown_rate=1.0)
    assert (common.ids["token"] != 1).all()
    dropped = batch_of([0] * 20, pair_dropout=0.5)
    assert (dropped.ids["bigram_left"] == 1).float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert (dropped.ids["token"] != 1).all()


def test_a_batch_of_an_epoch_is_a_function_of_the_seed_alone():
    tagger = _tagger()
    targets = np.zeros(sum(map(len, SENTENCES)), dtype=np.int64)
    corpus = EncodedCorpus(tagger.features, SENTENCES, targets)
    task = SupervisedTask(tagger.network, corpus, TrainingConfig(batch_size=2), dict, lambda path: None)
    first, second = task.plan(3), task.plan(3)
    for a, b in zip(first, second, strict=True):
        one, other = task.batch(a), task.batch(b)
        assert all(torch.equal(one.ids[name], other.ids[name]) for name in one.ids)
    shares = [task.split(first[0], rank, 2) for rank in range(2)]
    assert sorted(i for share in shares if share for i in share[2].tolist()) == sorted(first[0][2].tolist())


def test_pretrained_vectors_go_into_the_tables(tmp_path):
    (tmp_path / "vectors.txt").write_text("甲 1 2 3\n甲乙 4 5 6\n", encoding="utf-8")
    file = str(tmp_path / "vectors.txt")
    sentences = ["甲乙甲乙", "丙甲"]
    given = {"token": file, "bigram_right": file}
    tagger = _tagger({"token": 3, "bigram_right": 3}, sentences=sentences, embeddings=given)
    assert tagger.load_embeddings() == {
        "token": f"1 of 3 values found in {file}",
        "bigram_right": f"1 of {len(tagger.features.values('bigram_right'))} values found in {file}",
    }
    ids = tagger.features.encode(["甲乙"])
    assert tagger.network.embeddings["token"].weight[ids["token"][0]].tolist() == [1, 2, 3]
    assert tagger.network.embeddings["bigram_right"].weight[ids["bigram_right"][0]].tolist() == [4, 5, 6]
    with pytest.raises(ConfigError, match=r"vectors of size 3, but model.features.token is 4; set it to 3"):
        _tagger({"token": 4}, sentences=sentences, embeddings={"token": file}).load_embeddings()
    with pytest.raises(ConfigError, match="'shape' is not a feature in use"):
        _tagger({"token": 4}, sentences=sentences, embeddings={"shape": file}).load_embeddings()


def test_wrong_features_are_named():
    with pytest.raises(ConfigError, match="'tokn' is not a known feature; did you mean 'token'"):
        FeatureSet.fit(["tokn"], SENTENCES)
    with pytest.raises(
        ConfigError, match="bigram_left and bigram_right are pairs of tokens; they need the feature 'token'"
    ):
        FeatureSet.fit(["lowercase", "bigram_left"], SENTENCES)
    with pytest.raises(ConfigError, match="only segmenters have it"):
        FeatureSet.fit(["lexicon"], SENTENCES)


CONLL = "".join(
    f"Ann NNP B-PER\nSmith NNP I-PER\nsaw VBD O\n{city} NNP B-LOC\n. . O\n\n"
    for city in ("Rome", "Oslo", "Paris", "Bonn") * 5
)


def test_columns_are_learned_written_back_and_scored(tmp_path):
    data = tmp_path / "train.conll"
    data.write_text(CONLL, encoding="utf-8")
    config = TaggerConfig(
        data=TaggerDataConfig(train=str(data), overfit=20),
        model=TaggerModelConfig(features=ALL, hidden_size=12, dropout_input=0.0, dropout_output=0.0, unknown_rate=0.0),
        training=TrainingConfig(epochs=12, batch_size=4, learning_rate=0.02, monitor="auto", tensorboard=False),
    )
    train_system(TaggerSystem(), config, tmp_path / "run")
    model = seqloom.load(tmp_path / "run" / "model")
    assert model.evaluate(str(data))["span_f1"] == 1.0
    untagged = [line.rsplit(" ", 1)[0] + " O" if line else "" for line in CONLL.split("\n")]
    assert list(predict(model, untagged[:-1], PredictOptions())) == CONLL.split("\n")[:-1]
    assert list(predict(model, ["Ann saw Oslo ."], PredictOptions(format="plain"))) == [
        "Ann/B-PER saw/O Oslo/B-LOC ./O"
    ]
    bare = ["Ann", "Smith", "", "Ann", "saw", "Bonn"]
    assert list(predict(model, bare, PredictOptions(format="plain", read_as="columns"))) == [
        "Ann/B-PER Smith/I-PER",
        "Ann/B-PER saw/O Bonn/B-LOC",
    ]
    (tmp_path / "bad.conll").write_text("Ann NNP B-XYZ\n\n", encoding="utf-8")
    (tmp_path / "plain.txt").write_text("Ann saw Oslo\n", encoding="utf-8")
    with pytest.raises(DataError, match="has no tags"):
        model.evaluate(str(tmp_path / "plain.txt"))


def test_a_tagger_with_missing_weights_is_refused(tmp_path):
    from safetensors.numpy import load_file, save_file

    tagger = _tagger()
    tagger.save(tmp_path / "model")
    weights = tmp_path / "model" / "weights.safetensors"
    tensors = load_file(weights)
    name = next(iter(tensors))
    save_file({key: value for key, value in tensors.items() if key != name}, weights)
    with pytest.raises(ModelError, match="is missing; the model directory is damaged"):
        seqloom.load(tmp_path / "model")
