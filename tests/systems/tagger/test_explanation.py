"""What an explanation says adds up to the model's probabilities."""

import json
import math

import numpy as np
import pytest
import torch

from seqloom.data.tagged.sentences import Sentence
from seqloom.data.vocabulary import TagVocabulary
from seqloom.systems.tagger.baselines.config import BASELINES
from seqloom.systems.tagger.baselines.model import BaselineTagger
from seqloom.systems.tagger.config import TaggerModelConfig
from seqloom.systems.tagger.explanation import rank_tags
from seqloom.systems.tagger.features import FeatureSet
from seqloom.systems.tagger.tagger import Tagger

SENTENCE = ["Ann", "saw", "Rome"]


@pytest.fixture(params=["crf", "softmax"])
def network(request):
    torch.manual_seed(1)
    config = TaggerModelConfig(features={"token": 6}, hidden_size=5, output=request.param)
    tags = TagVocabulary(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])
    tagger = Tagger(config, FeatureSet.fit(["token"], [SENTENCE]), tags, "bio")
    with torch.no_grad():
        tagger.network.scores.weight.mul_(5)
    return tagger


def test_the_moves_add_up_to_the_score_and_the_score_to_the_probability(network):
    explained = network.explain(SENTENCE, 4)
    assert [move.tag for move in explained.moves] == [*explained.tags, ""]
    assert [move.before for move in explained.moves] == ["", *explained.tags]
    assert explained.score == pytest.approx(sum(move.emission + move.transition for move in explained.moves))
    best, probability = explained.alternatives[0]
    assert best == explained.tags == tuple(network.predict([SENTENCE])[0])
    assert explained.score - explained.log_partition == pytest.approx(probability, abs=1e-5)
    assert [list(tags) for tags, _ in explained.alternatives] == [tags for tags, _ in network.n_best([SENTENCE], 4)[0]]


def test_the_moves_follow_from_all_taggings(network):
    (everything,) = network.n_best([SENTENCE], 1000)
    explained = network.explain(SENTENCE)
    assert sum(math.exp(value) for _, value in everything) == pytest.approx(1.0, abs=1e-5)
    for place, chances in enumerate(explained.top):
        for chance in chances:
            share = sum(math.exp(value) for tags, value in everything if tags[place] == chance.tag)
            assert chance.probability == pytest.approx(share, abs=1e-5)
            assert chance.score is not None


@pytest.mark.parametrize("method", BASELINES)
def test_taggers_without_a_network_explain_themselves_too(method):
    sentences = [Sentence(("Ann", "saw", "Rome"), ("N", "V", "N")), Sentence(("saw", "it"), ("N", "P"))]
    tagger = BaselineTagger.fit(method, sentences * 3)
    explained = tagger.explain(["Ann", "saw"])
    assert explained.alternatives[0][0] == explained.tags
    assert explained.moves == ()
    assert [chances[0].tag for chances in explained.top] == list(explained.tags)
    assert set(json.loads(json.dumps(explained.to_dict()))) == {"tokens", "tags", "alternatives", "top"}
    assert list(tagger.explain([]).lines())[-1] == ""


def test_the_text_shows_scores_moves_and_what_differs(network):
    lines = list(network.explain(SENTENCE, 2).lines())
    assert lines[0].split() == ["token", "tag", "score", "from", "move", "tags", "by", "probability"]
    assert [line.split()[0] for line in lines[1:4]] == SENTENCE
    assert lines[1].split()[3] == "start"
    assert lines[4].startswith("score ")
    assert lines[5].startswith("1. probability 0.")
    second = network.explain(SENTENCE, 2).alternatives[1][0]
    differing = sum(one != other for one, other in zip(second, network.predict([SENTENCE])[0], strict=True))
    assert lines[6].count("/") == differing
    assert lines[-1] == ""
    assert list(network.explain([]).lines())[-1] == ""


def test_tags_are_ranked_by_probability_then_by_their_order():
    ranked = rank_tags(["a", "b", "c"], np.array([[0.2, 0.6, 0.2], [0.5, 0.0, 0.5]]), most=2)
    assert [[chance.tag for chance in row] for row in ranked] == [["b", "a"], ["a", "c"]]
