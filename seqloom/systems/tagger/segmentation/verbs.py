"""The verbs of the word segmenter: train, evaluate, predict."""

import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqloom.data.files import checksum, write_atomic
from seqloom.data.tagged.formats import ReadOptions, read
from seqloom.data.tagged.words import BMES
from seqloom.errors import ConfigError, DataError
from seqloom.systems.card import about_training
from seqloom.systems.family import Evaluation, known_numbers, load, split_data
from seqloom.systems.tagger.metrics import Counts
from seqloom.systems.tagger.segmentation import methods
from seqloom.systems.tagger.segmentation.config import SegmenterConfig, SegmenterDataConfig, StatisticsConfig
from seqloom.systems.tagger.segmentation.dictionary import Dictionary
from seqloom.systems.tagger.segmentation.method import StoredSegmenter
from seqloom.systems.tagger.segmentation.output import PredictOptions, predict
from seqloom.systems.tagger.segmentation.pieces import fold_width, pieces
from seqloom.systems.tagger.segmentation.score import SegmentationScore, score_segmentation
from seqloom.systems.tagger.segmentation.segmenter import Segmenter
from seqloom.training.launch import first_process

if TYPE_CHECKING:
    from seqloom.learning.diagnosis import DiagnosticBatch
    from seqloom.systems.tagger.training import TaggerTask

__all__ = ["PredictOptions", "diagnostic_batch", "evaluate", "network_task", "predict", "read_data", "train"]

Lines = Sequence[list[str]]

# Reading -------------------------------------------------------------------------------------------------------------


def read_words(path: str, config: SegmenterDataConfig) -> list[list[str]]:
    """The words of each line of segmented text, whatever format holds them.

    Raises:
        DataError: the file cannot be read, is empty, or holds no word.
    """
    corpus = read(path, config.format, ReadOptions(encoding=config.encoding))
    if corpus.report.format == "plain":
        raise DataError(
            f"{path} holds no words but {corpus.report.reason}; expected one sentence per line, words separated by spaces"
        )
    lines = [list(sentence.tokens) for sentence in corpus.sentences[: config.limit]]
    if not any(lines):
        raise DataError(f"{path} holds no words; expected one sentence per line, words separated by spaces")
    return lines


@dataclass(frozen=True)
class SegmenterData:
    """The words of the lines that train, choose and score, as the files spell them; and the files, by their role."""

    train: Lines
    dev: Lines
    test: Lines
    files: dict[str, str]


def read_data(config: SegmenterDataConfig) -> SegmenterData:
    """The lines of a configuration's files, parts held out where it names no file for them.

    Raises:
        ConfigError: no training text is named.
        DataError: as :func:`read_words`.
    """
    if config.train is None:
        raise ConfigError("data.train is not given; name the training text with --data.train FILE")
    train: Lines = read_words(config.train, config)
    if config.overfit is not None:
        train = train[: config.overfit]
        return SegmenterData(train, train, train, {"train": config.train})
    given = [None if file is None else read_words(file, config) for file in (config.dev, config.test)]
    train, dev, test = split_data(train, given[0], given[1], config)
    names = {"train": config.train, "dev": config.dev, "test": config.test}
    return SegmenterData(train, dev, test, {split: file for split, file in names.items() if file is not None})


def training_pieces(lines: Lines, maximum_length: int) -> list[list[str]]:
    """The words of lines, cut into the pieces that prediction will see; a word that a cut would split joins two pieces."""
    cut = []
    for words in lines:
        ends = {end for _, end in pieces("".join(words), maximum_length)}
        piece: list[str] = []
        position = 0
        for word in words:
            piece.append(word)
            position += len(word)
            if position in ends:
                cut.append(piece)
                piece = []
        if piece:
            cut.append(piece)
    return cut


# Training ------------------------------------------------------------------------------------------------------------


def train(config: SegmenterConfig, run: Path, *, resume: bool, command: str) -> Segmenter:
    """Trains the method of the configuration and scores it, with its baselines, on the test text.

    Leaves ``run/model`` and ``run/evaluation.json``.
    """
    data = read_data(config.data)
    fold = fold_width if config.data.fold_width else str
    lines = [[fold(word) for word in words] for words in data.train]
    words = Dictionary.from_lines(lines)
    about = about_training(
        command,
        config.training.seed,
        {name: {"file": file, "sha256": checksum(file)} for name, file in data.files.items()},
    )
    wrap = partial(Segmenter, fold=config.data.fold_width, maximum_length=config.data.maximum_length)
    if config.method in methods.NETWORK_METHODS:
        segmenter = _train_network(config, run, words, lines, data.dev, about, resume)
    else:
        segmenter = wrap(config.method, words, _fit(config.method, lines, words, config.statistics))
    if not first_process():
        return segmenter
    evaluation = score(segmenter, data.test)
    baselines = [{"method": config.method, **_row(evaluation)}]
    for name in config.baselines:
        other = wrap(name, words, _fit(name, lines, words, config.statistics))
        baselines.append({"method": name, **_row(score(other, data.test))})
    segmenter.about = {**about, "scores": known_numbers(evaluation.metrics)}
    segmenter.save(run / "model")
    report = {
        "system": "segmenter",
        "method": config.method,
        "data": about["data"],
        "seed": config.training.seed,
        "versions": about["versions"],
        **evaluation.to_dict(),
        "baselines": baselines,
        "examples": [_example(segmenter, text) for text in config.examples],
    }
    write_atomic(run / "evaluation.json", json.dumps(report, ensure_ascii=False, indent=1))
    return segmenter


def network_task(
    config: SegmenterConfig, words: Dictionary, lines: Lines, dev: Lines, about: dict[str, Any]
) -> tuple[Segmenter, "TaggerTask"]:
    """A segmenter with fresh weights, drawn from the configuration's seed, and what the training loop asks about it.

    Args:
        config: of a method with a network.
        words: of the training text.
        lines: the training text's lines, widths folded; cut into pieces here.
        dev: lines that choose the best weights.
        about: what the model says of its making.
    """
    import torch

    from seqloom.systems.tagger.segmentation.neural import NeuralSegmenter
    from seqloom.systems.tagger.training import TaggerTask

    model = replace(config.model, output="softmax" if config.method == "blstm" else "crf")
    cut = training_pieces(lines, config.data.maximum_length)
    torch.manual_seed(config.training.seed)
    neural = NeuralSegmenter.untrained(model, cut)
    segmenter = Segmenter(
        config.method, words, neural, fold=config.data.fold_width, maximum_length=config.data.maximum_length
    )
    found = neural.tagger.load_embeddings()
    segmenter.about = about | ({"embeddings": found} if found else {})

    def evaluate_dev() -> dict[str, float]:
        return dict(score(segmenter, dev).metrics)

    return segmenter, TaggerTask(neural.tagger, neural.encode(cut), config.training, evaluate_dev, segmenter.fill)


def _train_network(
    config: SegmenterConfig,
    run: Path,
    words: Dictionary,
    lines: Lines,
    dev: Lines,
    about: dict[str, Any],
    resume: bool,
) -> Segmenter:
    from seqloom.training.loop import train as fit

    segmenter, task = network_task(config, words, lines, dev, about)
    fit(task, config.training, run, resume=resume, identity=_identity(config))
    if not first_process():
        return segmenter
    best: Segmenter = load(run / "model")
    return best


def _fit(method: str, lines: Sequence[list[str]], words: Dictionary, settings: StatisticsConfig) -> StoredSegmenter:
    """Fits a method without a network, and says on the standard error stream how far it is."""
    print(f"fitting {method} on {len(lines):,} lines", file=sys.stderr, flush=True)

    def progress(line: str) -> None:
        found = re.search(r"Iteration #(\d+)", line)
        if found and int(found.group(1)) % 10 == 0:
            print(f"{method}: iteration {found.group(1)} of at most {settings.iterations}", file=sys.stderr, flush=True)

    return methods.fit(method, lines, words, settings, progress)


def _identity(config: SegmenterConfig) -> dict[str, Any]:
    """What a resumed run must share with the run it continues, beside the training configuration."""
    described = asdict(config)
    return {key: described[key] for key in ("method", "data", "model")}


def _row(evaluation: Evaluation) -> dict[str, float | None]:
    names = ("precision", "recall", "f1", "oov_recall", "characters_per_second")
    return known_numbers({name: evaluation.metrics[name] for name in names})


def _example(segmenter: Segmenter, text: str) -> dict[str, Any]:
    ranked = segmenter.n_best(text, 3)
    readings = [{"words": found.words, "score": score} for found, score in ranked]
    return {"text": text, "gold": None, "predicted": readings[0]["words"], "n_best": readings}


# Evaluation ----------------------------------------------------------------------------------------------------------


def score(segmenter: Segmenter, gold: Lines) -> Evaluation:
    """Scores a segmenter on the words of each line, from their raw text."""
    start = time.perf_counter()
    system = segmenter.predict(["".join(words) for words in gold])
    seconds = time.perf_counter() - start
    fold = fold_width if segmenter.fold else str
    known = set(segmenter.words.base)
    result = score_segmentation(
        [[fold(word) for word in words] for words in gold],
        [[fold(word) for word in found.words] for found in system],
        known,
    )
    characters = sum(len(found.text) for found in system)
    found = result.to_dict()
    names = ("precision", "recall", "f1", "oov_rate", "oov_recall", "iv_recall")
    metrics = {name: getattr(result, name) for name in names} | {"characters_per_second": characters / seconds}
    worst = [
        {
            "line": line.line,
            "text": "".join(line.gold),
            "gold": line.gold,
            "predicted": line.system,
            "errors": line.errors,
        }
        for line in result.worst(20)
    ]
    details = {"counts": found["counts"], **_by_tag(result), "by_length": found["by_length"], "worst": worst}
    return Evaluation(metrics, details, {"f1": result.f1_ratios})


def _by_tag(result: SegmentationScore) -> dict[str, Any]:
    """How characters' places in words are told apart: scores of begin, middle, end and single, and their confusion."""
    from seqloom.systems.tagger.segmentation.neural import bmes_ids

    gold, system = (bmes_ids([getattr(line, side) for line in result.lines]) for side in ("gold", "system"))
    tags = len(BMES)
    confusion = np.bincount(gold * tags + system, minlength=tags * tags).reshape(tags, tags)
    classes = []
    for index, name in enumerate(BMES):
        correct, predicted, support = (
            int(confusion[index, index]),
            int(confusion[:, index].sum()),
            int(confusion[index].sum()),
        )
        counts = Counts(correct, predicted, support)
        row = {"precision": counts.precision, "recall": counts.recall, "f1": counts.f1, "support": support}
        classes.append({"class": name, **row})
    return {"by_class": classes, "confusion": {"labels": list(BMES), "counts": confusion.tolist()}}


def evaluate(model: Segmenter, path: str) -> Evaluation:
    """Scores a model on a file of segmented text."""
    return score(model, read_words(path, SegmenterDataConfig()))


def diagnostic_batch(model: Segmenter, path: str, limit: int) -> "DiagnosticBatch":
    """The training loss on the first sentences of a file of segmented text.

    Raises:
        ConfigError: the model's method has no network.
    """
    network = model._network
    if network is None:
        raise ConfigError(f"a segmenter of method {model.method!r} has no recurrent layer to diagnose")
    from seqloom.learning.diagnosis import DiagnosticBatch
    from seqloom.systems.tagger.encoding import EncodedCorpus
    from seqloom.systems.tagger.segmentation.neural import bmes_ids

    fold, tagger = (fold_width if model.fold else str), network.tagger
    words = [[fold(word) for word in line] for line in read_words(path, SegmenterDataConfig())]
    lines = training_pieces(words, model.maximum_length)[:limit]
    corpus = EncodedCorpus(tagger.features, ["".join(line) for line in lines], bmes_ids(lines))
    batch = corpus.batch(np.arange(len(lines)))
    return DiagnosticBatch(tagger.network, lambda: tagger.network(batch), len(lines))
