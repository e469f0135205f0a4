"""The network of taggers: its label of a whole sentence, its hidden layer, its loss, against loops over sentences."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import seqloom
from seqloom.data.tagged.sentences import Sentence
from seqloom.data.vocabulary import IGNORED, TagVocabulary
from seqloom.errors import ConfigError
from seqloom.systems.tagger.config import TaggerModelConfig
from seqloom.systems.tagger.encoding import EncodedCorpus, label_ids, sentence_labels
from seqloom.systems.tagger.features import FeatureSet
from seqloom.systems.tagger.tagger import Tagger

SENTENCES = [["play", "some", "jazz"], ["rain"], [], ["will", "it", "rain", "in", "Rome"]]
LABELS = ["music", "weather", None, "weather"]
TAGGED = [Sentence(tokens, ("O",) * len(tokens), label=label) for tokens, label in zip(SENTENCES, LABELS, strict=True)]


def _tagger(**model):
    torch.manual_seed(0)
    features = {"token": 6, "characters": 4}
    config = TaggerModelConfig(features=features, hidden_size=5, dropout_input=0.0, dropout_output=0.0, **model)
    labels, ids = sentence_labels(TAGGED)
    tags = TagVocabulary(["O", "B-X", "I-X"])
    tagger = Tagger(config, FeatureSet.fit(list(features), SENTENCES), tags, "bio", labels)
    targets = np.zeros(sum(map(len, SENTENCES)), dtype=np.int64)
    return tagger, EncodedCorpus(tagger.features, SENTENCES, targets, labels=ids)


def test_labels_are_counted_and_a_sentence_without_one_is_ignored():
    labels, ids = sentence_labels(TAGGED)
    assert labels.entries == ["weather", "music"]
    assert ids.tolist() == [1, 0, IGNORED, 0]
    assert label_ids([Sentence(["x"], ("O",), label="unheard")], labels).tolist() == [IGNORED]
    assert sentence_labels([Sentence(["x"], ("O",), label="only")] * 3) == (None, None)


@pytest.mark.parametrize("output", ["crf", "softmax"])
def test_the_loss_is_that_of_tags_and_labels_sentence_by_sentence(output):
    tagger, corpus = _tagger(output=output)
    network = tagger.network.eval()
    together = network(corpus.batch(np.arange(4)))
    total = 0.0
    for index, sentence in enumerate(SENTENCES):
        batch = corpus.batch(np.array([index]))
        emissions, labels = network.outputs(batch)
        if sentence:
            tags = batch.targets[0]
            if output == "crf":
                total += network.crf(emissions, batch.targets, batch.lengths).item()
            else:
                total += F.cross_entropy(emissions[0], tags, reduction="sum").item()
        if LABELS[index] is not None:
            total += F.cross_entropy(labels, batch.labels).item()
    terms = len(SENTENCES) if output == "crf" else sum(map(len, SENTENCES))
    assert together.item() == pytest.approx(total / terms, rel=1e-5)


@pytest.mark.parametrize("spelling", ["lstm", "cnn"])
def test_labels_of_a_sentence_alone_and_in_a_batch_are_the_same(spelling):
    tagger, corpus = _tagger(spelling=spelling)
    tagger.network.eval()
    together = tagger.network.outputs(corpus.batch(np.arange(4)))[1]
    for index in range(4):
        alone = tagger.network.outputs(corpus.batch(np.array([index])))[1]
        torch.testing.assert_close(alone[0], together[index], atol=1e-6, rtol=1e-5)
    assert torch.equal(together[2], tagger.network.sentence_scores.scores.bias)


def test_tags_and_labels_of_one_pass_are_those_of_two(tmp_path):
    tagger, _ = _tagger()
    both = tagger.predict_with_labels(SENTENCES)
    assert [tags for tags, _ in both] == tagger.predict(SENTENCES)
    assert [label for _, label in both] == tagger.predict_labels(SENTENCES)
    tagger.save(tmp_path / "model")
    assert seqloom.load(tmp_path / "model").predict_with_labels(SENTENCES) == both


def test_a_tagger_without_labels_says_so():
    tagger, _ = _tagger()
    plain = Tagger(tagger.config, tagger.features, tagger.tags, "bio")
    assert plain.predict_labels(SENTENCES) is None
    assert [label for _, label in plain.predict_with_labels(SENTENCES)] == [None] * 4


def test_labels_are_learned_beside_tags():
    tagger, corpus = _tagger()
    optimiser = torch.optim.Adam([p for p in tagger.network.parameters() if not p.is_sparse], lr=0.03)
    for module in tagger.network.embeddings.values():
        module.sparse = False
    tagger.network.train()
    for _ in range(60):
        optimiser.zero_grad()
        loss = tagger.network(corpus.batch(np.arange(4)))
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.05
    found = tagger.predict_labels(SENTENCES)
    assert [found[i] for i in (0, 1, 3)] == ["music", "weather", "weather"]


def test_the_hidden_layer_stands_between_encoder_and_scores():
    tagger, corpus = _tagger(hidden_scores=7)
    network, batch = tagger.network.eval(), corpus.batch(np.array([0]))
    seen = []
    network.encoder.register_forward_hook(lambda module, inputs, outputs: seen.append(outputs[0]))
    emissions = network.emissions(batch)
    hidden = torch.tanh(seen[0] @ network.hidden.weight.T + network.hidden.bias)
    assert hidden.shape == (1, 3, 7)
    torch.testing.assert_close(emissions, hidden @ network.scores.weight.T + network.scores.bias)


@pytest.mark.parametrize("encoder", [{"arrangement": "block"}, {"arrangement": "dilated", "bidirectional": False}])
def test_a_tagger_may_have_any_encoder_and_comes_back_with_it(encoder, tmp_path):
    tagger, corpus = _tagger(layers=2, **encoder)
    whole = tagger.network.eval().emissions(corpus.batch(np.arange(4)))
    assert whole.shape == (4, 5, 3)
    tagger.save(tmp_path / "model")
    again = seqloom.load(tmp_path / "model")
    assert torch.equal(again.network.emissions(corpus.batch(np.arange(4))), whole)


def test_an_encoder_that_cannot_read_backwards_is_refused_before_any_data_are_read():
    with pytest.raises(ConfigError, match=r"model\.bidirectional is true.*this one is dilated; set it to false"):
        TaggerModelConfig(arrangement="dilated")
