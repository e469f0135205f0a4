"""The feature CRF: its features by hand, its answers against enumeration with crfsuite's own scores."""

import sys

import numpy as np
import pytest

from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import ConfigError, ModelError, SeqloomError
from seqloom.systems.tagger.baselines.feature_crf import FeatureCRF, word_features
from seqloom.systems.tagger.baselines.method import TaggedCorpus

CORPUS = TaggedCorpus.of(
    [
        Sentence(("the", "run", "ended"), ("D", "N", "V")),
        Sentence(("they", "run"), ("P", "V")),
        Sentence((), ()),
        Sentence(("Rome", "ended"), ("N", "V")),
    ]
    * 3
)


def test_the_features_are_those_of_the_specification():
    (_, second, _) = word_features(["Ada", "sAw", "1"])
    assert second == ["b", "lsaw", "hxXx", "ps", "psA", "psAw", "sw", "sAw", "ssAw", *second[9:]]
    assert second[9:] == ["-2\x02", "-1Ada", "0sAw", "+11", "+2\x03", "<Ada sAw", ">sAw 1"]


def test_each_feature_says_which_it_is():
    # Without marks of their kind, the word 'a' and the prefix 'a' would share a weight.
    for row in word_features(["a", "a", "ab"]):
        assert len(set(row)) == len(row)


@pytest.mark.parametrize("algorithm", ["perceptron", "lbfgs"])
def test_training_sentences_are_learned_and_probabilities_sum_to_one(algorithm):
    method = FeatureCRF.fit(CORPUS, algorithm=algorithm, iterations=30)
    assert np.concatenate(method.tag(CORPUS.sentences)).tolist() == CORPUS.targets.tolist()
    marginals = method.marginals([["they", "ended"], [], ["\x00", "\ud800"]])
    assert [len(rows) for rows in marginals] == [2, 0, 2]
    np.testing.assert_allclose(np.concatenate(marginals).sum(1), 1.0)
    ((path, value),) = method.k_best([["they", "run"]], 3)[0]
    assert path.tolist() == method.tag([["they", "run"]])[0].tolist()
    assert value <= 0.0


def test_a_damaged_model_never_reaches_crfsuite():
    method = FeatureCRF.fit(CORPUS)
    size = int.from_bytes(method.model[4:8], "little")
    FeatureCRF(4, method.model[:size])  # one of before, without a seal
    flipped = (
        method.model[:place] + bytes([method.model[place] ^ 64]) + method.model[place + 1 :]
        for place in (20, 100, size // 2, size - 1, size + 20)
    )
    for damaged in (b"", method.model[:100], method.model[: size + 5], b"x" + method.model[1:], *flipped):
        with pytest.raises(ModelError, match="not an intact crfsuite model"):
            FeatureCRF(4, damaged)
    with pytest.raises(ModelError, match="has other tags than its 2"):
        FeatureCRF(2, method.model)


def test_wrong_settings_and_a_missing_library_are_named(monkeypatch):
    with pytest.raises(ConfigError, match="c2 is -1"):
        FeatureCRF.fit(CORPUS, c2=-1)
    with pytest.raises(ConfigError, match="iterations is 0"):
        FeatureCRF.fit(CORPUS, iterations=0)
    monkeypatch.setitem(sys.modules, "pycrfsuite", None)
    with pytest.raises(SeqloomError, match=r'pip install "seqloom\[baselines\]"'):
        FeatureCRF.fit(CORPUS)
