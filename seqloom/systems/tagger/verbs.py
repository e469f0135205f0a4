"""The verbs of the tagger: train, evaluate, predict, on any file that has a token to a line or a sentence to a line."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch

from seqloom.data.files import checksum, write_atomic
from seqloom.data.formats import ReadOptions, detect_format, format_sentences, read, read_lines
from seqloom.data.schemes import scheme_named
from seqloom.data.sentences import Sentence
from seqloom.data.vocabulary import TagVocabulary
from seqloom.errors import ConfigError, DataError
from seqloom.learning.diagnosis import DiagnosticBatch
from seqloom.learning.launch import first_process
from seqloom.systems.card import about_training
from seqloom.systems.family import Evaluation, known_numbers, load, split_data
from seqloom.systems.tagger.config import TaggerConfig
from seqloom.systems.tagger.encoding import EncodedCorpus
from seqloom.systems.tagger.features import FeatureSet
from seqloom.systems.tagger.tag_report import tag_report
from seqloom.systems.tagger.tagger import Tagger
from seqloom.systems.tagger.training import TaggerTask

__all__ = ["PredictOptions", "diagnostic_batch", "evaluate", "predict", "train"]


def _options(reading: dict[str, Any]) -> ReadOptions:
    names = ("columns", "tag", "tokens", "scheme", "on_misaligned", "encoding")
    return ReadOptions(**{name: reading[name] for name in names if name in reading})


def read_sentences(path: str, reading: dict[str, Any]) -> tuple[list[Sentence], str | None]:
    """Tagged sentences of a file, and the scheme of their tags where they spell spans.

    Args:
        reading: the reading part of a data configuration.
    Raises:
        DataError: the file is wrong, or has no tags.
    """
    corpus = read(path, reading.get("format", "auto"), _options(reading))
    sentences = corpus.sentences[: reading.get("limit")]
    if not any(sentence.tags for sentence in sentences):
        raise DataError(
            f"{path} has no tags ({corpus.report.format}: {corpus.report.reason}); expected a tag per token"
        )
    detected = corpus.report.scheme
    return sentences, detected.scheme.name if detected is not None and detected.scheme is not None else None


# Training ------------------------------------------------------------------------------------------------------------


def train(config: TaggerConfig, run: Path, *, resume: bool, command: str) -> Tagger:
    """Trains a tagger by the configuration and scores it on the test data.

    Leaves ``run/model`` and ``run/evaluation.json``.
    """
    from seqloom.learning.loop import train as fit

    data = config.data
    if data.train is None:
        raise ConfigError("data.train is not given; name the training data with --data.train FILE")
    reading = asdict(data)
    training, scheme = read_sentences(data.train, reading)
    files = {name: getattr(data, name) for name in ("train", "dev", "test") if getattr(data, name) is not None}
    if data.overfit is not None:
        training = training[: data.overfit]
        dev = test = training
    else:
        given = [None if file is None else read_sentences(file, reading)[0] for file in (data.dev, data.test)]
        training, dev, test = map(list, split_data(training, given[0], given[1], data))

    torch.manual_seed(config.training.seed)
    names = [name for name, size in config.model.features.items() if size > 0]
    tokens = [sentence.tokens for sentence in training]
    tags = TagVocabulary.build(chain.from_iterable(sentence.tags or () for sentence in training))
    tagger = Tagger(config.model, FeatureSet.fit(names, tokens, config.model.minimum_count), tags, scheme)
    tagger.reading = {key: reading[key] for key in ("format", "columns", "tag", "tokens", "on_misaligned", "encoding")}
    tagger.about = about_training(
        command, config.training.seed, {name: {"file": file, "sha256": checksum(file)} for name, file in files.items()}
    )
    tagger.about |= {"embeddings": found} if (found := tagger.load_embeddings()) else {}
    targets = np.concatenate([tags.lookup_sentence(sentence) for sentence in training])
    monitor = "span_f1" if scheme is not None else "accuracy"

    def evaluate_dev() -> dict[str, float]:
        return dict(score(tagger, dev).metrics)

    task = TaggerTask(
        tagger, EncodedCorpus(tagger.features, tokens, targets), config.training, evaluate_dev, tagger.fill
    )
    settings = (
        replace(config.training, monitor=monitor, mode="max") if config.training.monitor == "auto" else config.training
    )
    described = asdict(config)
    fit(task, settings, run, resume=resume, identity={key: described[key] for key in ("data", "model")})
    if not first_process():
        return tagger
    best: Tagger = load(run / "model")
    evaluation = score(best, test, {token for sentence in tokens for token in sentence})
    best.about = {**best.about, "scores": known_numbers(evaluation.metrics)}
    best.save(run / "model")
    report = {
        "system": "tagger",
        "method": f"{config.model.cell} {config.model.output}",
        "data": best.about["data"],
        "seed": config.training.seed,
        "versions": best.about["versions"],
        **evaluation.to_dict(),
    }
    write_atomic(run / "evaluation.json", json.dumps(report, ensure_ascii=False, indent=1))
    return best


# Evaluation ----------------------------------------------------------------------------------------------------------


def score(tagger: Tagger, sentences: Sequence[Sentence], known: set[str] | None = None) -> Evaluation:
    """Scores a tagger on tagged sentences.

    Args:
        known: the tokens of the training data, for accuracy on unknown ones.
    """
    start = time.perf_counter()
    predicted = tagger.predict([sentence.tokens for sentence in sentences])
    seconds = time.perf_counter() - start
    scheme = scheme_named(tagger.scheme) if tagger.scheme is not None else None
    report = tag_report(sentences, predicted, scheme, known_tokens=known)
    metrics = {"accuracy": report.tokens.accuracy}
    if report.spans is not None:
        overall = report.spans.overall
        metrics |= {"span_precision": overall.precision, "span_recall": overall.recall, "span_f1": overall.f1}
    if report.unseen is not None:
        metrics["unknown_accuracy"] = report.unseen.accuracy
    metrics["tokens_per_second"] = report.tokens.tokens / max(seconds, 1e-9)
    classes = report.spans.labels if report.spans is not None else report.tokens.tags
    by_class = [
        {"class": name, "precision": c.precision, "recall": c.recall, "f1": c.f1, "support": c.support}
        for name, c in classes.items()
    ]
    labels = list(report.tokens.tags)
    place = {label: index for index, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for (gold, found), count in report.tokens.confusion.items():
        counts[place[gold], place[found]] = count
    for label, tag in report.tokens.tags.items():
        counts[place[label], place[label]] = tag.correct
    by_length = [
        {
            "from": row.shortest,
            "to": row.longest,
            "sentences": row.sentences,
            "f1": row.span_f1 if row.span_f1 is not None else row.accuracy,
        }
        for row in report.lengths
    ]
    confusion = {"labels": labels, "counts": counts.tolist()}
    details = {"by_class": by_class, "confusion": confusion, "by_length": by_length, "details": report.to_dict()}
    return Evaluation(metrics, details)


def evaluate(model: Tagger, path: str) -> Evaluation:
    """Scores a model on a file that is read as its training data were."""
    sentences, _ = read_sentences(path, model.reading)
    return score(model, sentences)


def diagnostic_batch(model: Tagger, path: str, limit: int) -> DiagnosticBatch:
    """The training loss on the first sentences of a file that is read as the training data were.

    Raises:
        DataError: the file is wrong, or has a tag that training has not seen.
    """
    sentences = read_sentences(path, model.reading)[0][:limit]
    targets = np.concatenate([model.tags.lookup_sentence(sentence) for sentence in sentences])
    corpus = EncodedCorpus(model.features, [sentence.tokens for sentence in sentences], targets)
    batch = corpus.batch(np.arange(len(sentences)))
    return DiagnosticBatch(model.network, lambda: model.network(batch), len(sentences))


# Prediction ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PredictOptions:
    """How files are tagged and written."""

    format: Annotated[
        Literal["native", "plain", "json"],
        "the input's own format with the tags put in, 'token/tag' lines, or JSON lines",
    ] = "native"
    nbest: Annotated[int, "how many taggings of each sentence, best first (plain and json)"] = 1
    read_as: Annotated[
        Literal["auto", "columns", "conllu", "jsonl", "slashed", "segmented", "plain"], "the format of the input"
    ] = "auto"


def predict(model: Tagger, lines: Iterable[str], options: PredictOptions) -> Iterator[str]:
    """The lines of the input with a tag for each token; tags that the input has are ignored and replaced."""
    if options.nbest < 1:
        raise ConfigError(f"--nbest: {options.nbest} is not a number of taggings; expected 1 or more")
    if options.nbest > 1 and options.format == "native":
        raise ConfigError(
            "--nbest above 1 needs --format plain or --format json: the input's format has one tag per token"
        )
    numbered = list(enumerate(lines, start=1))
    found = detect_format([line for _, line in numbered[:200]])[0] if options.read_as == "auto" else options.read_as
    chosen = _options(model.reading)
    if found == "columns" and numbered and _is_untagged(numbered, chosen):
        chosen = replace(chosen, columns="text=0")
    if found == "plain":
        found = "segmented"
    sentences = list(read_lines(iter(numbered), "input", found, chosen))
    tokens = [sentence.tokens for sentence in sentences]
    if options.nbest > 1:
        for sentence, ranked in zip(sentences, model.k_best(tokens, options.nbest), strict=True):
            readings = [(model.tags.names(path.tolist()), value) for path, value in ranked]
            yield from _ranked(sentence, readings, options.format)
        return
    tags = model.predict(tokens)
    if options.format == "native":
        yield from format_sentences(sentences, tags, found, chosen, model.scheme or "")
    elif options.format == "plain":
        for sentence, row in zip(sentences, tags, strict=True):
            yield " ".join(f"{token}/{tag}" for token, tag in zip(sentence.tokens, row, strict=True))
    else:
        for sentence, row in zip(sentences, tags, strict=True):
            yield json.dumps({"tokens": list(sentence.tokens), "tags": row}, ensure_ascii=False)


def _is_untagged(numbered: Sequence[tuple[int, str]], options: ReadOptions) -> bool:
    """Whether a column file has the tokens alone: a model's users have no tags yet."""
    first = next((line for _, line in numbered if line.strip()), "")
    return len(first.split()) == 1 and "tag=" in options.columns


def _ranked(sentence: Sentence, readings: Sequence[tuple[list[str], float]], format: str) -> Iterator[str]:
    if format == "json":
        ranked = [{"tags": tags, "score": value} for tags, value in readings]
        yield json.dumps({"tokens": list(sentence.tokens), "n_best": ranked}, ensure_ascii=False)
        return
    for tags, value in readings:
        yield f"{value:.4f}\t" + " ".join(f"{token}/{tag}" for token, tag in zip(sentence.tokens, tags, strict=True))
