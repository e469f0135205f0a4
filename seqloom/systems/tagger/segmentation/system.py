"""The word segmenter: raw text in, words out, by a dictionary, a model of counts or a network."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from seqloom.data.source import Source
from seqloom.data.tagged.formats import ReadOptions, read
from seqloom.data.tagged.words import BMES
from seqloom.errors import ConfigError, DataError
from seqloom.systems.baseline import Baseline, ProgressCallback
from seqloom.systems.contract import Dataset, Sample, Splits, System
from seqloom.systems.evaluation import Evaluation, Metric, Panel, Readings, class_panels, length_table
from seqloom.systems.saved import ModelDirectory
from seqloom.systems.tagger.segmentation import methods
from seqloom.systems.tagger.segmentation.config import PredictOptions, SegmenterConfig, SegmenterDataConfig
from seqloom.systems.tagger.segmentation.dictionary import Dictionary
from seqloom.systems.tagger.segmentation.output import predict
from seqloom.systems.tagger.segmentation.pieces import fold_width, pieces
from seqloom.systems.tagger.segmentation.score import SegmentationScore, score_segmentation
from seqloom.systems.tagger.segmentation.segmenter import Segmenter

if TYPE_CHECKING:
    from seqloom.learning.diagnosis import DiagnosticBatch
    from seqloom.systems.tagger.encoding import EncodedCorpus

__all__ = ["SegmenterSystem"]

Words = list[str]


class SegmenterSystem(System[SegmenterConfig, Words, Segmenter]):
    """The words of Chinese text."""

    name, family = "segmenter", "Tagger"
    summary = "words of Chinese text: dictionary, lattice, HMM, feature CRF, BLSTM and BLSTM-CRF methods"
    config, options = SegmenterConfig, PredictOptions
    examples_name = "lines"
    kind = "tagged"

    def read(self, source: Source, data: SegmenterDataConfig) -> Dataset[Words]:
        """The words of each line of segmented text, whatever format holds them.

        Raises:
            DataError: the file cannot be read, is empty, or holds no word.
        """
        remedy = "expected one sentence per line, words separated by spaces"
        if not source.is_named:
            return Dataset(list(_word_lists(source.place))[: data.limit])
        corpus = read(source.path(), data.format, ReadOptions(encoding=data.encoding))
        if corpus.report.format == "plain":
            raise DataError(f"{source.name} holds no words but {corpus.report.reason}; {remedy}")
        lines = [list(sentence.tokens) for sentence in corpus.sentences[: data.limit]]
        if not any(lines):
            raise DataError(f"{source.name} holds no words; {remedy}")
        return Dataset(lines)

    def build(self, config: SegmenterConfig, splits: Splits[Words]) -> tuple[Segmenter, EncodedCorpus]:
        """A segmenter with a fresh network, and its training pieces."""
        from seqloom.systems.tagger.encoding import Hiding
        from seqloom.systems.tagger.segmentation.neural import NeuralSegmenter

        model = replace(config.model, output="softmax" if config.method == "blstm" else "crf")
        lines = _folded(splits.train, config.data.fold_width)
        cut = training_pieces(lines, config.data.maximum_length)
        neural = NeuralSegmenter.untrained(model, cut)
        segmenter = _wrapped(config)(config.method, Dictionary.from_lines(lines), neural)
        if vectors := neural.tagger.load_embeddings():
            segmenter.about = {"embeddings": vectors}
        hiding = Hiding(model.unknown_rate, model.pair_dropout, model.word_dropout)
        return segmenter, neural.encode(cut, hiding)

    def encode(self, model: Segmenter, examples: Sequence[Words]) -> EncodedCorpus:
        """Segmented lines as the pieces that the network sees.

        Raises:
            ConfigError: the model's method has no network.
        """
        from seqloom.systems.tagger.encoding import EncodedCorpus
        from seqloom.systems.tagger.segmentation.neural import bmes_ids

        if model.neural is None:
            raise ConfigError(f"a segmenter of method {model.method!r} has no recurrent layer to diagnose")
        lines = training_pieces(_folded(examples, model.fold), model.maximum_length)
        return EncodedCorpus(model.neural.tagger.features, ["".join(line) for line in lines], bmes_ids(lines))

    def score(self, model: Segmenter, examples: Sequence[Words]) -> Evaluation:
        """Precision, recall and F1 of the words of each line, found in its raw text."""
        return score(model, examples)

    def predict(self, model: Segmenter, source: Source, options: PredictOptions) -> Iterator[str | bytes]:
        """Words in the form that was asked for."""
        live = source.live()
        return predict(model, source.lines(live), options, live.pauses if live is not None else None)

    def restore(self, directory: ModelDirectory) -> Segmenter:
        """The segmenter of a directory."""
        return Segmenter.from_directory(directory)

    def sample(self) -> Sample[Words]:
        """A few short sentences."""
        lines = [
            "我 是 中国人 。",
            "他 在 北京 大学 读书 。",
            "中国 人民 热爱 和平 。",
            "李国庆 节日 在 加班 。",
            "北京 是 首都",
        ]
        features = {"token": 16, "bigram_left": 8, "bigram_right": 8, "lexicon": 8}
        model = {"features": features, "hidden_size": 16, "dropout_input": 0, "dropout_output": 0, "unknown_rate": 0}
        return Sample(
            sections={"model": model, "training": {"epochs": 25, "batch_size": 2, "learning_rate": 0.02}},
            examples=[line.split() for line in lines],
            lines=["他是中国人。", "首都", "李国庆在北京大学加班。我读书。"],
            inputs=["他是中国人。", "首都"],
            goal=("f1", 1.0, 1.0),
            stream="他是中国人。李国庆在北京大学加班。”我读书",
        )

    def baselines(self) -> Mapping[str, Baseline]:
        """Dictionary methods, models of counts, and a CRF of features."""
        return {name: _baseline(name) for name in methods.STATISTICAL_METHODS}

    def identity(self, config: SegmenterConfig, splits: Splits[Words]) -> dict[str, Any]:
        """The method too: both methods with a network have the same settings."""
        return {"method": config.method, **super().identity(config, splits)}

    def training_panels(self, config: SegmenterConfig, model: Segmenter) -> Sequence[Panel]:
        """The configuration's sentences, with their three best segmentations."""
        return [Readings("examples", "Examples", [_example(model, text) for text in config.examples], "zh")]

    def diagnostic_batch(self, model: Segmenter, source: Source, limit: int) -> DiagnosticBatch:
        """The training loss on the first pieces of segmented text."""
        from seqloom.systems.supervised import diagnostic_batch

        corpus = self.encode(model, self.evaluation_examples(model, source))
        return diagnostic_batch(model.network, corpus, limit)


def _word_lists(items: Iterable[Any]) -> Iterator[Words]:
    for position, item in enumerate(items):
        words = item.split() if isinstance(item, str) else item
        if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
            raise DataError(f"line[{position}] is {item!r:.60}; expected a list of words, or words separated by spaces")
        yield list(words)


def _folded(lines: Iterable[Sequence[str]], fold: bool) -> list[Words]:
    change = fold_width if fold else str
    return [[change(word) for word in words] for words in lines]


def _wrapped(config: SegmenterConfig) -> partial[Segmenter]:
    return partial(Segmenter, fold=config.data.fold_width, maximum_length=config.data.maximum_length)


def _baseline(name: str) -> Baseline:
    def fit(config: SegmenterConfig, splits: Splits[Words], progress: ProgressCallback) -> Segmenter:
        lines = _folded(splits.train, config.data.fold_width)
        words = Dictionary.from_lines(lines)
        return _wrapped(config)(name, words, methods.fit(name, lines, words, config.statistics, progress))

    return Baseline(fit, needs="pycrfsuite" if name == "crf" else "")


def training_pieces(lines: Iterable[Words], maximum_length: int) -> list[Words]:
    """The words of lines, cut into the pieces that prediction will see; a word that a cut would split joins two pieces."""
    cut = []
    for words in lines:
        ends = {end for _, end in pieces("".join(words), maximum_length)}
        piece: Words = []
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


def score(segmenter: Segmenter, gold: Sequence[Words]) -> Evaluation:
    """Scores a segmenter on the words of each line, from their raw text."""
    start = time.perf_counter()
    segmented = segmenter.predict(["".join(words) for words in gold])
    seconds = time.perf_counter() - start
    predicted = _folded((one.words for one in segmented), segmenter.fold)
    result = score_segmentation(_folded(gold, segmenter.fold), predicted, set(segmenter.words.base))
    characters = sum(len(one.text) for one in segmented)
    metrics = (
        Metric("precision", result.precision, compared="precision"),
        Metric("recall", result.recall, compared="recall"),
        Metric("f1", result.f1, compared="f1", ratios=result.f1_ratios),
        Metric("oov_rate", result.oov_rate, better="neither"),
        Metric("oov_recall", result.oov_recall, compared="oov_recall"),
        Metric("iv_recall", result.iv_recall),
        Metric("characters_per_second", characters / seconds, compared="characters_per_second"),
    )
    return Evaluation(metrics, list(_panels(result)), details={"counts": result.to_dict()["counts"]}, main="f1")


def _panels(result: SegmentationScore) -> Iterator[Panel]:
    yield from _by_tag(result)
    bands = [
        {**band, "from": band["shortest"], "to": band["longest"], "sentences": band["lines"]}
        for band in result.to_dict()["by_length"]
    ]
    yield length_table([band for band in bands if band["sentences"]])
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
    yield Readings("worst", "Worst errors", worst, "zh")


def _by_tag(result: SegmentationScore) -> Iterator[Panel]:
    """How characters' places in words are told apart: scores of begin, middle, end and single, and their confusion."""
    from seqloom.systems.tagger.segmentation.neural import bmes_ids

    gold, system = (bmes_ids([getattr(line, side) for line in result.lines]) for side in ("gold", "system"))
    tags = len(BMES)
    yield from class_panels(BMES, np.bincount(gold * tags + system, minlength=tags * tags).reshape(tags, tags))


def _example(segmenter: Segmenter, text: str) -> dict[str, Any]:
    ranked = segmenter.n_best(text, 3)
    readings = [{"words": reading.words, "score": score} for reading, score in ranked]
    return {"text": text, "gold": None, "predicted": readings[0]["words"], "n_best": readings}
