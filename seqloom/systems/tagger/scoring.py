"""A tagger on tagged sentences: its scores for people and reports, and its errors, the worst first."""

import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seqloom.data.live import blocks
from seqloom.data.tagged.schemes import scheme_named
from seqloom.data.tagged.sentences import Sentence
from seqloom.data.vocabulary import TagVocabulary
from seqloom.scores.counts import confusion_matrix
from seqloom.systems.evaluation import Confusion, Evaluation, Metric, Readings, Table, class_table, length_table
from seqloom.systems.tagger.explanation import Explanation, Reading
from seqloom.systems.tagger.metrics import TOKEN_SIGNATURE, sentence_ratios
from seqloom.systems.tagger.seen import Seen
from seqloom.systems.tagger.tag_report import TagReport, WorstSentence, tag_report

__all__ = ["AnyTagger", "score", "sentence_errors"]

Tokens = Sequence[str]

# A tag that the model thinks impossible, or has never heard of, costs this many nats and not infinitely many.
LARGEST_LOSS = 50.0


class AnyTagger(Protocol):
    """What scoring and prediction need of a tagger, with a network or without."""

    tags: TagVocabulary
    labels: TagVocabulary | None
    scheme: str | None
    about: dict[str, Any]
    reading: dict[str, Any]
    seen: Seen | None

    def predict(self, sentences: Iterable[Tokens]) -> list[list[str]]:
        """The tags of each sentence."""
        ...

    def predict_with_labels(self, sentences: Sequence[Tokens]) -> list[tuple[list[str], str | None]]:
        """The tags of each sentence and its label, or None where the model gives none."""
        ...

    def readings(self, sentences: Sequence[Tokens]) -> list[Reading]:
        """The tags of each sentence, its label, and the probabilities of all of them."""
        ...

    def n_best(self, sentences: Sequence[Tokens], k: int) -> list[list[tuple[list[str], float]]]:
        """Up to k taggings of each sentence, best first, with their log-probabilities in nats."""
        ...

    def explain(self, tokens: Tokens, k: int = 3) -> Explanation:
        """How the tags of one sentence came about."""
        ...

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model directory."""
        ...


def score(
    tagger: AnyTagger,
    sentences: Sequence[Sentence],
    training: Seen | None = None,
) -> Evaluation:
    """Scores a tagger on tagged sentences.

    Args:
        training: what the training data had, for accuracy on unknown tokens and the recall of unseen spans.
    """
    start = time.perf_counter()
    tagged = tagger.predict_with_labels([sentence.tokens for sentence in sentences])
    seconds = time.perf_counter() - start
    predicted = [tags for tags, _ in tagged]
    labels = _labels(sentences, [label for _, label in tagged])
    scheme = scheme_named(tagger.scheme) if tagger.scheme is not None else None
    report = tag_report(sentences, predicted, scheme, training=training, labels=labels)
    gold = [sentence.tags or () for sentence in sentences]
    ratios = sentence_ratios(gold, predicted, scheme, labels)
    speed = Metric("tokens_per_second", report.tokens.tokens / max(seconds, 1e-9), compared="tokens_per_second")
    metrics = [*_metrics(report, ratios), speed]
    signature = TOKEN_SIGNATURE if report.spans is None else f"{report.spans.signature}; {TOKEN_SIGNATURE}"
    panels = list(_panels(report, sentences, predicted))
    main = "accuracy" if report.spans is None else "span_f1"
    return Evaluation(metrics, panels, signature, {"details": report.to_dict()}, main)


def _panels(
    report: TagReport, sentences: Sequence[Sentence], predicted: Sequence[Sequence[str]]
) -> Iterator[Table | Confusion | Readings]:
    classes = report.spans.labels if report.spans is not None else report.tokens.tags
    yield class_table(classes)
    tags = report.tokens.tags
    pairs = {**report.tokens.confusion, **{(tag, tag): counts.correct for tag, counts in tags.items()}}
    yield Confusion("confusion", "Confusions", list(tags), confusion_matrix(pairs, list(tags)).tolist())
    lengths = [
        {
            "from": row.shortest,
            "to": row.longest,
            "sentences": row.sentences,
            "f1": row.span_f1 if row.span_f1 is not None else row.accuracy,
        }
        for row in report.lengths
    ]
    yield length_table(lengths)
    yield Readings("worst", "Worst errors", _worst(report.worst, sentences, predicted))


def _labels(sentences: Sequence[Sentence], predicted: Sequence[str | None]) -> tuple[list[str], list[str]] | None:
    """Gold and predicted labels of the sentences, where both the file and the model have them."""
    gold = [sentence.label for sentence in sentences if sentence.label is not None]
    given = [label for label in predicted if label is not None]
    return (gold, given) if sentences and len(gold) == len(given) == len(sentences) else None


def _metrics(report: TagReport, ratios: Mapping[str, NDArray[Any]]) -> Iterator[Metric]:
    yield Metric("accuracy", report.tokens.accuracy, compared="accuracy", ratios=ratios.get("accuracy"))
    if report.spans is not None and report.strict_spans is not None:
        overall = report.spans.overall
        yield Metric("span_precision", overall.precision, compared="precision")
        yield Metric("span_recall", overall.recall, compared="recall")
        yield Metric("span_f1", overall.f1, compared="f1", ratios=ratios.get("span_f1"))
        yield Metric("strict_span_f1", report.strict_spans.overall.f1)
    if report.labels is not None:
        yield Metric(
            "label_accuracy", report.labels.accuracy, compared="label_accuracy", ratios=ratios.get("label_accuracy")
        )
    if report.unseen is not None:
        value = report.unseen.accuracy if report.unseen.tokens else float("nan")
        yield Metric("unknown_accuracy", value, compared="unknown_accuracy")
    if report.unseen_spans is not None:
        yield Metric("unseen_span_recall", report.unseen_spans.recall if report.unseen_spans.support else float("nan"))


def _worst(
    worst: Sequence[WorstSentence], sentences: Sequence[Sentence], predicted: Sequence[Sequence[str]]
) -> list[dict[str, Any]]:
    """The sentences with the most errors as a report shows them: tokens over their tags."""
    return [
        {
            "line": sentences[entry.index].line,
            "text": entry.text,
            "tokens": list(sentences[entry.index].tokens),
            "gold": list(sentences[entry.index].tags or ()),
            "predicted": list(predicted[entry.index]),
            "errors": len(entry.errors),
        }
        for entry in worst
    ]


def sentence_errors(tagger: AnyTagger, sentences: Sequence[Sentence]) -> list[dict[str, Any]]:
    """A row for each sentence with a wrong tag or label, the largest loss first.

    ``where`` is the first wrong token's place, ``errors`` the number of wrong tags and labels, ``loss`` the sum of minus
    the log of the marginal probabilities of the gold ones in nats (at most 50 for each), ``confidence`` the highest
    marginal probability of a wrong one; then come the sentence, its gold tags and the predicted ones, each separated by
    spaces, and where the model labels sentences, the gold and the predicted label.
    """
    rows = [row for block in blocks(sentences) for row in _errors(tagger, block)]
    return sorted(rows, key=lambda row: -row["loss"])


def _errors(tagger: AnyTagger, sentences: Sequence[Sentence]) -> Iterator[dict[str, Any]]:
    number = {tag: index for index, tag in enumerate(tagger.tags.entries)}
    labels = {label: index for index, label in enumerate(tagger.labels.entries if tagger.labels is not None else ())}
    for sentence, reading in zip(sentences, tagger.readings([one.tokens for one in sentences]), strict=True):
        gold = sentence.tags or ()
        pairs = list(zip(gold, reading.tags, reading.marginals, strict=True))
        wrong = [place for place, (one, other, _) in enumerate(pairs) if one != other]
        chances = [(one, other, _chance(row, number, one), _chance(row, number, other)) for one, other, row in pairs]
        described = {"sentence": " ".join(sentence.tokens), "gold": " ".join(gold), "predicted": " ".join(reading.tags)}
        if reading.label is not None and reading.label_chances is not None:
            one, other = sentence.label or "", reading.label
            described |= {"gold_label": one, "predicted_label": other}
            if one:
                row = reading.label_chances
                chances.append((one, other, _chance(row, labels, one), _chance(row, labels, other)))
        mistakes = [given for one, other, _, given in chances if one != other]
        if mistakes:
            loss = sum(-math.log(max(right, math.exp(-LARGEST_LOSS))) for _, _, right, _ in chances)
            place = sentence.where(wrong[0] if wrong else None)
            yield {"where": place, "errors": len(mistakes), "loss": loss, "confidence": max(mistakes), **described}


def _chance(row: NDArray[np.floating[Any]], number: Mapping[str, int], name: str) -> float:
    """The probability of a tag or label; none where the model does not know it."""
    return float(row[number[name]]) if name in number else 0.0
