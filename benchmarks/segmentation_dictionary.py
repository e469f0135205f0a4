"""Speed and accuracy of the word segmenters without a network, beside jieba where it is installed.

    SEQLOOM_DATA=... python benchmarks/segmentation_dictionary.py [--repeats 5] [--crf-lines 2000] [--json FILE]

Methods are fitted on the People's Daily text (``cws-pku/pku98_training.utf8.xz``) and scored on the bakeoff's PKU test text,
with full-width forms folded on both sides. All methods are timed in turn, round after round, in one process and one thread,
from Python strings to lists of words; the table gives medians. A kilobyte is 1,000 bytes of UTF-8.
"""

import argparse
import json
import lzma
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from seqloom.systems.segmentation.best_path import FewestWords
from seqloom.systems.segmentation.feature_crf import FeatureCRF
from seqloom.systems.segmentation.hmm import HiddenMarkovModel
from seqloom.systems.segmentation.maximum_matching import MaximumMatching
from seqloom.systems.segmentation.ngram import BigramPaths, UnigramPaths
from seqloom.systems.segmentation.score import score_segmentation

Segment = Callable[[Sequence[str]], list[list[str]]]

FOLD = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: " "}


def read_lines(path: Path) -> list[list[str]]:
    """The words of each line that has some, in half-width forms."""
    with lzma.open(path, "rt", encoding="utf-8") as file:
        return [words for line in file if (words := line.translate(FOLD).split())]


def methods(training: list[list[str]], crf_lines: int) -> dict[str, Segment]:
    """What is compared, by name."""
    bigram = BigramPaths.fit(training)
    words, model = bigram.dictionary, HiddenMarkovModel.fit(training)
    table: dict[str, Segment] = {}
    for direction in ("fmm", "bmm", "bimm"):
        table[direction] = MaximumMatching(words, direction).segment
    table["fmm, runs split"] = MaximumMatching(words, "fmm", join_runs=False).segment
    table["fewest"] = FewestWords(words).segment
    table["unigram"] = UnigramPaths(words).segment
    table["unigram + hmm"] = UnigramPaths(words, unknown=model).segment
    table["bigram"] = bigram.segment
    table["bigram + hmm"] = BigramPaths(words, bigram.bigrams, unknown=model).segment
    table["hmm"] = model.segment
    if crf_lines:
        table[f"crf, {min(crf_lines, len(training))} lines"] = FeatureCRF.fit(training[:crf_lines]).segment
    try:
        import jieba
    except ImportError:
        print("jieba is not installed; it is left out", file=sys.stderr)
    else:
        jieba.setLogLevel("ERROR")
        jieba.initialize()
        table["jieba, own words"] = lambda texts: [jieba.lcut(text) for text in texts]
        table["jieba, own words, no hmm"] = lambda texts: [jieba.lcut(text, HMM=False) for text in texts]
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--crf-lines", type=int, default=0, help="train the feature CRF on so many lines; 0 leaves it out"
    )
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    if "SEQLOOM_DATA" not in os.environ:
        parser.error("SEQLOOM_DATA is not set; expected the folder that holds cws-pku/")
    folder = Path(os.environ["SEQLOOM_DATA"]) / "cws-pku"
    training, gold = read_lines(folder / "pku98_training.utf8.xz"), read_lines(folder / "pku_test_gold.utf8.xz")
    texts = ["".join(line) for line in gold]
    characters, kilobytes = sum(map(len, texts)), sum(len(text.encode()) for text in texts) / 1000
    known = {word for line in training for word in line}
    table = methods(training, options.crf_lines)
    seconds: dict[str, list[float]] = {name: [] for name in table}
    found: dict[str, list[list[str]]] = {}
    for _ in range(options.repeats):
        for name, segment in table.items():
            begin = time.perf_counter()
            found[name] = segment(texts)
            seconds[name].append(time.perf_counter() - begin)
    print(f"{'method':26}{'P':>8}{'R':>8}{'F':>8}{'R_oov':>8}{'R_iv':>8}{'KB/s':>9}{'chars/s':>11}")
    figures = {}
    for name, words in found.items():
        score = score_segmentation(gold, words, known)
        median = statistics.median(seconds[name])
        speed = kilobytes / median, characters / median
        ratios = (score.precision, score.recall, score.f1, score.oov_recall, score.iv_recall)
        print(f"{name:26}" + "".join(f"{value:8.4f}" for value in ratios) + f"{speed[0]:9.0f}{speed[1]:11.0f}")
        figures[name] = {**score.to_dict(), "kilobytes_per_second": speed[0], "characters_per_second": speed[1]}
    if options.json:
        options.json.write_text(json.dumps(figures, ensure_ascii=False, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
