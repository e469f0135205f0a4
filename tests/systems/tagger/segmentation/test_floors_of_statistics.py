"""Floors on the PKU test text of the bakeoff, measured once and then held."""

import os
from pathlib import Path

import pytest

from seqloom.systems.tagger.segmentation.best_path import FewestWords
from seqloom.systems.tagger.segmentation.hmm import HiddenMarkovModel
from seqloom.systems.tagger.segmentation.maximum_matching import MaximumMatching
from seqloom.systems.tagger.segmentation.ngram import BigramPaths, UnigramPaths
from seqloom.systems.tagger.segmentation.score import score_segmentation

pytestmark = pytest.mark.slow

FOLD = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: " "}


def read_lines(name):
    import lzma

    if "SEQLOOM_DATA" not in os.environ:
        pytest.skip("SEQLOOM_DATA is not set; the floors need its folder cws-pku")
    path = Path(os.environ["SEQLOOM_DATA"]) / "cws-pku" / name
    if not path.exists():
        pytest.skip(f"{path} is absent")
    with lzma.open(path, "rt", encoding="utf-8") as file:
        return [words for line in file if (words := line.translate(FOLD).split())]


@pytest.fixture(scope="module")
def measured():
    training, gold = read_lines("pku98_training.utf8.xz"), read_lines("pku_test_gold.utf8.xz")
    bigram, model = BigramPaths.fit(training), HiddenMarkovModel.fit(training)
    words = bigram.dictionary
    methods = {
        "fmm": MaximumMatching(words, "fmm"),
        "bmm": MaximumMatching(words, "bmm"),
        "bimm": MaximumMatching(words, "bimm"),
        "fewest": FewestWords(words),
        "unigram": UnigramPaths(words),
        "bigram": bigram,
        "hmm": model,
        "unigram with unknown words": UnigramPaths(words, unknown=model),
        "bigram with unknown words": BigramPaths(words, bigram.bigrams, unknown=model),
    }
    texts = ["".join(line) for line in gold]
    return {name: score_segmentation(gold, method.segment(texts), set(words.base)) for name, method in methods.items()}


@pytest.mark.parametrize(
    ("method", "floor"),
    [
        ("fmm", 0.91),
        ("bmm", 0.91),
        ("bimm", 0.911),
        ("fewest", 0.919),
        ("unigram", 0.92),
        ("bigram", 0.925),
        ("hmm", 0.808),
        ("unigram with unknown words", 0.931),
        ("bigram with unknown words", 0.936),
    ],
)
def test_f_stays_above_its_floor(measured, method, floor):
    assert measured[method].f1 >= floor


def test_the_test_text_is_what_it_was(measured):
    score = measured["fmm"]
    assert score.gold == 104_372
    assert score.oov_rate == pytest.approx(0.0345, abs=5e-4)
