"""What an answer rests on: sums that must hold, words that decide, pages that cannot be injected into."""

import json

import numpy as np
import pytest
import torch

import seqloom
from seqloom.data.source import Source
from seqloom.errors import ConfigError
from seqloom.systems.classifier.config import PredictOptions
from seqloom.systems.classifier.documents.system import DocumentClassifierSystem
from seqloom.systems.supervised import evaluating

PLACES = ("what a {} film", "{} and warm", "and a {} one")
TEXTS = [(place.format(word), label) for place in PLACES for word, label in (("fine", "good"), ("dull", "bad"))] * 2


def trained(**model):
    sections = {"hidden_size": 8, "embedding_size": 12, "minimum_count": 1, "dropout_input": 0.0, **model}
    training = {"epochs": 30, "batch_size": 4, "learning_rate": 0.02, "tensorboard": False}
    data = {"train": TEXTS, "held_out": 0.0}
    return seqloom.train("document", data=data, model=sections, training=training, baselines=())


@pytest.fixture(scope="module")
def words():
    return trained()


@pytest.fixture(scope="module")
def sentences():
    return trained(architecture="sentences", read_out="attention", cell="gru")


def test_integrated_gradients_add_up_to_the_difference_of_the_scores(words):
    text = "a fine film and a dull one"
    (found,) = words.explain([text], "gradients")
    batch = words.inputs.corpus(words.inputs.examples([text])).batch(np.array([0]))
    network, label = words.network, words.answer.names.index(found.answer)
    with evaluating(network):
        vectors = network.front(batch)
        scores = [
            network.head(network.encoder(one, lengths=batch.lengths)[0], batch.lengths)[0, label]
            for one in (vectors, torch.zeros_like(vectors))
        ]
    assert found.weights.sum() == pytest.approx(float(scores[0] - scores[1]), abs=0.05)


@pytest.mark.parametrize("method", ["gradients", "occlusion"])
def test_the_word_that_decides_weighs_most(words, method):
    for text, word in (("what a fine one", "fine"), ("and a dull one", "dull")):
        (found,) = words.explain([text], method)
        assert found.tokens[int(found.weights.argmax())] == word


def test_weights_of_words_and_of_sentences_add_up_to_one(sentences):
    (found,) = sentences.explain(["A fine film. What a dull one! And warm."], "attention")
    assert len(found.sentences) == 3
    assert found.weights.sum() == pytest.approx(1, abs=1e-5)
    for weight, words, tokens in found.sentences:
        assert weight > 0
        assert words.sum() == pytest.approx(1, abs=1e-5)
        assert len(words) == len(tokens)


def test_the_order_of_sentences_changes_a_document_but_not_a_bag(sentences):
    texts = ["A fine film. What a dull one! And warm.", "And warm. A fine film. What a dull one!"]
    first, second = sentences.probabilities(texts)
    assert not np.allclose(first, second, atol=1e-6)


def test_a_document_without_a_word_has_an_answer(words, sentences):
    for model in (words, sentences):
        assert model.predict(["", "   ", "fine"])[2] == "good"


@pytest.mark.parametrize("read_out", ["max", "votes"])
def test_the_nearest_of_the_training_examples_says_the_same(read_out):
    model = trained(read_out=read_out)
    among = [text for text, _ in TEXTS]
    ((place, cosine), *_), *_ = model.nearest(["what a fine film"], among)
    assert TEXTS[place] == ("what a fine film", "good")
    assert cosine == pytest.approx(1, abs=1e-5)
    assert model.vectors(["fine", ""]).shape[0] == 2


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_explanations_are_written_in_every_form(words, sentences, form):
    system = DocumentClassifierSystem()
    for model in (words, sentences):
        lines = list(system.predict(model, Source(["a <b>fine</b> film. dull!"]), PredictOptions(explain=form)))
        text = "\n".join(lines)
        if form == "json":
            assert json.loads(lines[0])["answer"] in ("good", "bad")
        elif form == "html":
            assert "<b>" not in text
            assert "<script" not in text
            assert text.startswith("<!doctype html>")
            assert text.endswith("</html>")
        else:
            assert lines[0].split()[0] in ("good", "bad")


def test_what_cannot_be_explained_is_one_sentence(words):
    with pytest.raises(ConfigError, match="has no attention; explain it by gradients or by occlusion"):
        words.explain(["fine"], "attention")
    baseline = seqloom.train("document", method="tfidf", data={"train": TEXTS, "held_out": 0.0}, baselines=())
    with pytest.raises(ConfigError, match="only a network explains its answers"):
        list(DocumentClassifierSystem().predict(baseline, Source(["x"]), PredictOptions(explain="text")))
