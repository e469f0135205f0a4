"""The verbs of the tagger: train, evaluate, predict, on any file that has a token to a line or a sentence to a line."""

import json
import re
import sys
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from seqloom.data.files import checksum, write_atomic
from seqloom.data.tagged.corpus import respelled
from seqloom.data.tagged.formats import read
from seqloom.data.tagged.legality import Detection, illegal_tags
from seqloom.data.tagged.schemes import Scheme
from seqloom.data.tagged.sentences import Sentence
from seqloom.data.vocabulary import TagVocabulary
from seqloom.errors import ConfigError, DataError
from seqloom.systems.card import about_training
from seqloom.systems.family import Evaluation, known_numbers, load, split_data
from seqloom.systems.tagger.baselines.model import BaselineTagger
from seqloom.systems.tagger.config import TaggerConfig, TaggerDataConfig
from seqloom.systems.tagger.output import PredictOptions, predict, read_options
from seqloom.systems.tagger.scoring import AnyTagger, score, sentence_errors
from seqloom.systems.tagger.seen import Seen
from seqloom.training.launch import first_process

if TYPE_CHECKING:
    from seqloom.learning.diagnosis import DiagnosticBatch
    from seqloom.systems.tagger.tagger import Tagger
    from seqloom.systems.tagger.training import TaggerTask

__all__ = [
    "PredictOptions",
    "TaggerData",
    "diagnostic_batch",
    "errors",
    "evaluate",
    "network_task",
    "predict",
    "read_data",
    "train",
]


class TaggerData(NamedTuple):
    """The data of a training.

    Attributes:
        train, dev, test: the sentences that train, choose and score.
        scheme: the scheme that the model learns, where tags spell spans.
        written: that of the training file, in which files are written back.
        files: where the sentences are from, by ``train``, ``dev``, ``test``.
    """

    train: list[Sentence]
    dev: list[Sentence]
    test: list[Sentence]
    scheme: str | None
    written: str | None
    files: dict[str, str]


def read_sentences(path: str, reading: dict[str, Any]) -> tuple[list[Sentence], Detection | None]:
    """Tagged sentences of a file, and what their tags are.

    Args:
        reading: the reading part of a data configuration.
    Raises:
        DataError: the file is wrong, or has no tags.
    """
    corpus = read(path, reading.get("format", "auto"), read_options(reading))
    sentences = corpus.sentences[: reading.get("limit")]
    if not any(sentence.tags for sentence in sentences):
        raise DataError(
            f"{path} has no tags ({corpus.report.format}: {corpus.report.reason}); expected a tag per token"
        )
    return sentences, corpus.report.scheme


# Training ------------------------------------------------------------------------------------------------------------


def read_data(config: TaggerDataConfig) -> TaggerData:
    """The sentences that train, choose and score.

    Raises:
        ConfigError: no training data are named, or nothing is left to train on.
        DataError: a file is wrong, or has no tags.
    """
    if config.train is None:
        raise ConfigError("data.train is not given; name the training data with --data.train FILE")
    reading = asdict(config)
    training, found = read_sentences(config.train, reading)
    schemes = {
        "scheme": found.scheme.name if found and found.scheme else None,
        "written": found.origin.name if found and found.origin else None,
    }
    if config.overfit is not None:
        training = training[: config.overfit]
        if found and found.scheme and found.conflicts:
            training = _respelled(training, found.scheme)
        return TaggerData(training, training, training, files={"train": config.train}, **schemes)
    given = [None if file is None else read_sentences(file, reading)[0] for file in (config.dev, config.test)]
    train, dev, test = map(list, split_data(training, given[0], given[1], config))
    if found and found.scheme and found.conflicts:
        train = _respelled(train, found.scheme)
    names = {"train": config.train, "dev": config.dev, "test": config.test}
    files = {name: file for name, file in names.items() if file is not None}
    return TaggerData(train, dev, test, files=files, **schemes)


def _respelled(sentences: list[Sentence], scheme: Scheme) -> list[Sentence]:
    """Training sentences in the scheme, and a line about those that were not: no network that keeps to it can learn them."""
    legal, broken = respelled(sentences, scheme)
    if broken:
        many = f"{len(broken):,} training sentences break" if len(broken) > 1 else "one training sentence breaks"
        where = broken[0].where(illegal_tags(broken[0].tags or (), scheme)[0][0])
        print(
            f"{many} the scheme {scheme.name}, the first at {where}; learned as the CoNLL scorer reads them",
            file=sys.stderr,
        )
    return legal


def train(config: TaggerConfig, run: Path, *, resume: bool, command: str) -> AnyTagger:
    """Trains a tagger by the configuration and scores it, with its baselines, on the test data.

    Leaves ``run/model`` and ``run/evaluation.json``.
    """
    data = read_data(config.data)
    sources = {name: {"file": file, "sha256": checksum(file)} for name, file in data.files.items()}
    about = about_training(command, config.training.seed, sources)
    tagger: AnyTagger
    if config.method == "network":
        tagger = _train_network(config, run, data, about, resume)
    else:
        tagger = _fit(config.method, config, data)
        tagger.about = about
    if not first_process():
        return tagger
    evaluation = score(tagger, data.test, tagger.seen)
    name = f"{config.model.cell} {config.model.output}" if config.method == "network" else config.method
    baselines = [{"method": name, **_row(evaluation)}]
    for other in config.baselines:
        fitted = _fit(other, config, data)
        baselines.append({"method": other, **_row(score(fitted, data.test, fitted.seen))})
    tagger.about = {**tagger.about, "scores": known_numbers(evaluation.metrics)}
    tagger.save(run / "model")
    report = {
        "system": "tagger",
        "method": name,
        "data": about["data"],
        "seed": config.training.seed,
        "versions": about["versions"],
        **evaluation.to_dict(),
        "baselines": baselines,
    }
    write_atomic(run / "evaluation.json", json.dumps(report, ensure_ascii=False, indent=1))
    return tagger


def network_task(config: TaggerConfig, data: TaggerData, about: dict[str, Any]) -> "tuple[Tagger, TaggerTask]":
    """A tagger at the start of its training, and that training as a task; the seed is the configuration's.

    Args:
        about: how the model is made, which it keeps.
    Raises:
        ConfigError: the configuration does not fit the data.
        DataError: a file of vectors is missing or damaged.
    """
    import torch

    from seqloom.systems.tagger.encoding import EncodedCorpus, sentence_labels
    from seqloom.systems.tagger.features import FeatureSet
    from seqloom.systems.tagger.tagger import Tagger
    from seqloom.systems.tagger.training import TaggerTask
    from seqloom.systems.tagger.vectors import know_first_words

    torch.manual_seed(config.training.seed)
    names = [name for name, size in config.model.features.items() if size > 0]
    tokens = [sentence.tokens for sentence in data.train]
    tags = TagVocabulary.build(chain.from_iterable(sentence.tags or () for sentence in data.train))
    model = config.model
    features = FeatureSet.fit(
        names,
        tokens,
        model.minimum_count,
        fold_digits=model.fold_digits,
        zero_digits=model.zero_digits,
        with_vectors=model.embeddings,
    )
    know_first_words(features, model.embeddings, model.extra_vectors)
    labels, label_ids = sentence_labels(data.train) if config.model.sentence_label == "auto" else (None, None)
    tagger = Tagger(config.model, features, tags, data.scheme, labels)
    tagger.reading, tagger.seen = _reading(config.data, data), Seen.of(data.train, data.scheme)
    found = tagger.load_embeddings()
    tagger.about = about | ({"embeddings": found} if found else {})
    targets = np.concatenate([tags.lookup_sentence(sentence) for sentence in data.train])

    def evaluate_dev() -> dict[str, float]:
        return dict(score(tagger, data.dev).metrics)

    corpus = EncodedCorpus(tagger.features, tokens, targets, labels=label_ids)
    return tagger, TaggerTask(tagger, corpus, config.training, evaluate_dev, tagger.fill)


def _train_network(config: TaggerConfig, run: Path, data: TaggerData, about: dict[str, Any], resume: bool) -> "Tagger":
    from seqloom.training.loop import train as fit

    tagger, task = network_task(config, data, about)
    monitor = "span_f1" if data.scheme is not None else "accuracy"
    settings = (
        replace(config.training, monitor=monitor, mode="max") if config.training.monitor == "auto" else config.training
    )
    described = asdict(config)
    fit(task, settings, run, resume=resume, identity={key: described[key] for key in ("data", "model")})
    if not first_process():
        return tagger
    best: Tagger = load(run / "model")
    return best


def _fit(method: str, config: TaggerConfig, data: TaggerData) -> BaselineTagger:
    """Fits a method without a network, and says on the standard error stream how far it is."""
    print(f"fitting {method} on {len(data.train):,} sentences", file=sys.stderr, flush=True)
    limit = config.statistics.iterations

    def progress(line: str) -> None:
        found = re.search(r"Iteration #(\d+)", line)
        if found and int(found.group(1)) % 10 == 0:
            print(f"{method}: iteration {found.group(1)} of at most {limit}", file=sys.stderr, flush=True)

    tagger = BaselineTagger.fit(method, data.train, data.scheme, config.statistics, progress)
    tagger.reading = _reading(config.data, data)
    return tagger


def _reading(config: TaggerDataConfig, data: TaggerData) -> dict[str, Any]:
    reading = asdict(config)
    names = ("format", "columns", "tag", "tokens", "scheme", "convert", "on_misaligned", "encoding")
    return {name: reading[name] for name in names} | {"written": data.written}


def _row(evaluation: Evaluation) -> dict[str, float | None]:
    """What a table of methods shows; the F1 of spans goes by the name that it has there."""
    names = {"span_precision": "precision", "span_recall": "recall", "span_f1": "f1"}
    left_out = ("strict_span_f1", "unseen_span_recall")
    metrics = {names.get(name, name): value for name, value in evaluation.metrics.items() if name not in left_out}
    return known_numbers(metrics)


# Evaluation ----------------------------------------------------------------------------------------------------------


def evaluate(model: AnyTagger, path: str) -> Evaluation:
    """Scores a model on a file that is read as its training data were."""
    sentences, _ = read_sentences(path, model.reading)
    return score(model, sentences, model.seen)


def errors(model: AnyTagger, path: str) -> list[dict[str, Any]]:
    """A row for each sentence of a file with a wrong tag, the worst first, as `sentence_errors` says."""
    return sentence_errors(model, read_sentences(path, model.reading)[0])


def diagnostic_batch(model: "Tagger | BaselineTagger", path: str, limit: int) -> "DiagnosticBatch":
    """The training loss on the first sentences of a file that is read as the training data were.

    Raises:
        ConfigError: the model has no network.
        DataError: the file is wrong, or has a tag that training has not seen.
    """
    if isinstance(model, BaselineTagger):
        raise ConfigError(f"a tagger of method {model.method!r} has no recurrent layer to diagnose")
    from seqloom.learning.diagnosis import DiagnosticBatch
    from seqloom.systems.tagger.encoding import EncodedCorpus, label_ids

    sentences = read_sentences(path, model.reading)[0][:limit]
    targets = np.concatenate([model.tags.lookup_sentence(sentence) for sentence in sentences])
    labels = None if model.labels is None else label_ids(sentences, model.labels)
    corpus = EncodedCorpus(model.features, [sentence.tokens for sentence in sentences], targets, labels=labels)
    batch = corpus.batch(np.arange(len(sentences)))
    return DiagnosticBatch(model.network, lambda: model.network(batch), len(sentences))
