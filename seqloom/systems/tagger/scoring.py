"""A tagger on tagged sentences: its scores for people and reports, and its errors, the worst first."""

import os
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from seqloom.data.schemes import scheme_named
from seqloom.data.sentences import Sentence
from seqloom.data.vocabulary import TagVocabulary
from seqloom.systems.family import Evaluation
from seqloom.systems.tagger.explanation import Explanation
from seqloom.systems.tagger.metrics import TOKEN_SIGNATURE, sentence_ratios
from seqloom.systems.tagger.streaming import blocks
from seqloom.systems.tagger.tag_report import TagReport, WorstSentence, tag_report

__all__ = ["AnyTagger", "score", "sentence_errors"]

Tokens = Sequence[str]

# A tag that the model thinks impossible, or has never heard of, costs this many nats and not infinitely many.
LARGEST_LOSS = 50.0


class AnyTagger(Protocol):
    """What scoring and prediction need of a tagger, with a network or without."""

    tags: TagVocabulary
    scheme: str | None
    about: dict[str, Any]
    reading: dict[str, Any]

    @property
    def known_tokens(self) -> frozenset[str] | None:
        """The tokens of the training data, where the model has kept them all."""
        ...

    def predict(self, sentences: Iterable[Tokens]) -> list[list[str]]:
        """The tags of each sentence."""
        ...

    def predict_labels(self, sentences: Sequence[Tokens]) -> list[str] | None:
        """The label of each whole sentence, such as an intent; None where the model gives none."""
        ...

    def predict_with_labels(self, sentences: Sequence[Tokens]) -> list[tuple[list[str], str | None]]:
        """The tags of each sentence and its label, or None where the model gives none."""
        ...

    def predict_with_marginals(self, sentences: Sequence[Tokens]) -> list[tuple[list[str], NDArray[np.float64]]]:
        """The tags of each sentence and the (T, K) probabilities of all tags."""
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
    known: Collection[str] | None = None,
    known_spans: Collection[str] | None = None,
) -> Evaluation:
    """Scores a tagger on tagged sentences.

    Args:
        known: the tokens of the training data, for accuracy on unknown ones.
        known_spans: the texts of the spans of the training data (`span_texts`), for the recall of unseen ones.
    """
    start = time.perf_counter()
    found = tagger.predict_with_labels([sentence.tokens for sentence in sentences])
    seconds = time.perf_counter() - start
    predicted = [tags for tags, _ in found]
    labels = _labels(sentences, [label for _, label in found])
    scheme = scheme_named(tagger.scheme) if tagger.scheme is not None else None
    report = tag_report(sentences, predicted, scheme, known_tokens=known, known_spans=known_spans, labels=labels)
    metrics = {**_metrics(report), "tokens_per_second": report.tokens.tokens / max(seconds, 1e-9)}
    classes = report.spans.labels if report.spans is not None else report.tokens.tags
    details = {
        "by_class": [
            {"class": name, "precision": c.precision, "recall": c.recall, "f1": c.f1, "support": c.support}
            for name, c in classes.items()
        ],
        "confusion": _confusion(report),
        "by_length": [
            {
                "from": row.shortest,
                "to": row.longest,
                "sentences": row.sentences,
                "f1": row.span_f1 if row.span_f1 is not None else row.accuracy,
            }
            for row in report.lengths
        ],
        "worst": _worst(report.worst, sentences, predicted),
        "details": report.to_dict(),
    }
    gold = [sentence.tags or () for sentence in sentences]
    signature = TOKEN_SIGNATURE if report.spans is None else f"{report.spans.signature}; {TOKEN_SIGNATURE}"
    return Evaluation(metrics, details, sentence_ratios(gold, predicted, scheme, labels), signature)


def _labels(sentences: Sequence[Sentence], predicted: Sequence[str | None]) -> tuple[list[str], list[str]] | None:
    """Gold and predicted labels of the sentences, where both the file and the model have them."""
    gold = [sentence.label for sentence in sentences if sentence.label is not None]
    given = [label for label in predicted if label is not None]
    return (gold, given) if sentences and len(gold) == len(given) == len(sentences) else None


def _metrics(report: TagReport) -> dict[str, float]:
    metrics = {"accuracy": report.tokens.accuracy}
    if report.spans is not None and report.strict_spans is not None:
        overall = report.spans.overall
        metrics |= {"span_precision": overall.precision, "span_recall": overall.recall, "span_f1": overall.f1}
        metrics["strict_span_f1"] = report.strict_spans.overall.f1
    if report.labels is not None:
        metrics["label_accuracy"] = report.labels.accuracy
    if report.unseen is not None:
        metrics["unknown_accuracy"] = report.unseen.accuracy if report.unseen.tokens else float("nan")
    if report.unseen_spans is not None:
        metrics["unseen_span_recall"] = report.unseen_spans.recall if report.unseen_spans.support else float("nan")
    return metrics


def _confusion(report: TagReport) -> dict[str, Any]:
    labels = list(report.tokens.tags)
    place = {label: index for index, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for (gold, found), count in report.tokens.confusion.items():
        counts[place[gold], place[found]] = count
    for label, tag in report.tokens.tags.items():
        counts[place[label], place[label]] = tag.correct
    return {"labels": labels, "counts": counts.tolist()}


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
    """A row for each sentence with a wrong tag, the largest loss first.

    ``where`` is the first wrong token's place, ``errors`` the number of wrong tags, ``loss`` the sum of minus the log
    of the marginal probabilities of the gold tags in nats (at most 50 for each), ``confidence`` the highest marginal
    probability of a wrong tag; then come the sentence, its gold tags and the predicted ones, each separated by spaces.
    """
    rows = [row for block in blocks(sentences) for row in _errors(tagger, block)]
    return sorted(rows, key=lambda row: -row["loss"])


def _errors(tagger: AnyTagger, sentences: Sequence[Sentence]) -> Iterator[dict[str, Any]]:
    number = {tag: index for index, tag in enumerate(tagger.tags.entries)}
    found = tagger.predict_with_marginals([sentence.tokens for sentence in sentences])
    for sentence, (predicted, marginals) in zip(sentences, found, strict=True):
        gold = sentence.tags or ()
        wrong = [place for place, pair in enumerate(zip_longest(gold, predicted)) if pair[0] != pair[1]]
        if not wrong:
            continue
        chances = np.array([marginals[place, number[tag]] if tag in number else 0.0 for place, tag in enumerate(gold)])
        sure = [float(marginals[place, number[predicted[place]]]) for place in wrong if predicted[place] in number]
        yield {
            "where": sentence.where(wrong[0]),
            "errors": len(wrong),
            "loss": float(-np.log(np.maximum(chances, np.exp(-LARGEST_LOSS))).sum()),
            "confidence": max(sure, default=0.0),
            "sentence": " ".join(sentence.tokens),
            "gold": " ".join(gold),
            "predicted": " ".join(predicted),
        }
