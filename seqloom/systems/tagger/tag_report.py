"""The report of a tagger's evaluation: by tag, by span, by what training has seen, by length, and the worst errors."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from seqloom.data.tagged.schemes import Scheme, as_scheme, spans_from
from seqloom.data.tagged.sentences import Sentence
from seqloom.scores.counts import ratio
from seqloom.systems.tagger.metrics import (
    SpanScores,
    TokenScores,
    aligned,
    score_spans,
    score_tokens,
    token_scores,
)
from seqloom.systems.tagger.seen import Seen, span_text

__all__ = ["LENGTH_BORDERS", "LengthRow", "Recall", "TagReport", "WorstSentence", "tag_report"]

LENGTH_BORDERS = (10, 20, 30, 40, 60)

Tags = Sequence[str]


@dataclass(frozen=True, slots=True)
class Recall:
    """How many of the expected spans were found."""

    correct: int
    support: int

    @property
    def recall(self) -> float:
        """The part that was found; 0 where nothing was expected."""
        return ratio(self.correct, self.support)

    def to_dict(self) -> dict[str, float]:
        """Rate and counts, for JSON."""
        return {"recall": self.recall, "correct": self.correct, "support": self.support}


@dataclass(frozen=True, slots=True)
class LengthRow:
    """The scores of the sentences with ``shortest`` to ``longest`` tokens; ``longest`` is ``None`` in the last row."""

    shortest: int
    longest: int | None
    sentences: int
    accuracy: float
    span_f1: float | None

    def to_dict(self) -> dict[str, Any]:
        """The same, for JSON."""
        return {
            "shortest": self.shortest,
            "longest": self.longest,
            "sentences": self.sentences,
            "accuracy": self.accuracy,
            "span_f1": self.span_f1,
        }


@dataclass(frozen=True, slots=True)
class WorstSentence:
    """A sentence with errors: where it stands and, for each error, the token's index, gold and given tag.

    ``index`` is its place among the sentences of the report.
    """

    where: str
    text: str
    errors: tuple[tuple[int, str, str], ...]
    index: int

    def to_dict(self) -> dict[str, Any]:
        """The same, for JSON."""
        return {"where": self.where, "text": self.text, "errors": [list(error) for error in self.errors]}


@dataclass(frozen=True, slots=True)
class TagReport:
    """All that an evaluation of a tagger says.

    Attributes:
        tokens: tags compared token by token.
        spans, strict_spans: spans in the CoNLL scorer's mode and in the strict one; ``None`` for plain tags.
        seen, unseen: tokens whose form occurs in the training data, and the others; ``None`` where it is not known.
        seen_spans, unseen_spans: recall of the spans whose text is a span of the training data, and of the others.
        labels: the labels of whole sentences, such as intents; ``None`` where there are none.
        lengths: the scores by sentence length.
        worst: the sentences with the most errors.
    """

    tokens: TokenScores
    spans: SpanScores | None = None
    strict_spans: SpanScores | None = None
    seen: TokenScores | None = None
    unseen: TokenScores | None = None
    seen_spans: Recall | None = None
    unseen_spans: Recall | None = None
    labels: TokenScores | None = None
    lengths: tuple[LengthRow, ...] = ()
    worst: tuple[WorstSentence, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Rates and counts, for JSON."""
        names = ("tokens", "spans", "strict_spans", "seen", "unseen", "seen_spans", "unseen_spans", "labels")
        parts = {name: getattr(self, name) for name in names}
        return {
            **{name: part.to_dict() for name, part in parts.items() if part is not None},
            "lengths": [row.to_dict() for row in self.lengths],
            "worst": [sentence.to_dict() for sentence in self.worst],
        }


def tag_report(
    sentences: Sequence[Sentence],
    predicted: Sequence[Tags],
    scheme: Scheme | str | None = None,
    *,
    training: Seen | None = None,
    labels: tuple[Sequence[str], Sequence[str]] | None = None,
    worst: int = 20,
) -> TagReport:
    """Everything about predicted tags of sentences that have gold tags.

    Args:
        scheme: in which both are written, or ``None`` for plain tags.
        training: what the training data had, for the split into seen and unseen tokens, and the recall of such spans.
        labels: the gold and the predicted label of each sentence, where sentences have labels.
        worst: how many sentences to list.
    Raises:
        ValueError: a sentence has no gold tags, or not one predicted tag per token; names the sentence.
    """
    gold = []
    for sentence in sentences:
        if sentence.tags is None:
            raise ValueError(f"{sentence.where()}: the sentence has no tags to compare with")
        gold.append(sentence.tags)
    seen = unseen = None
    if training is not None:
        seen, unseen = _split_by_knowledge(sentences, gold, predicted, training.tokens)
    seen_spans = unseen_spans = None
    if training is not None and training.spans is not None and scheme is not None:
        seen_spans, unseen_spans = _span_recall(sentences, predicted, as_scheme(scheme), training.spans)
    return TagReport(
        tokens=score_tokens(gold, predicted),
        spans=score_spans(gold, predicted, scheme) if scheme is not None else None,
        strict_spans=score_spans(gold, predicted, scheme, "strict") if scheme is not None else None,
        seen=seen,
        unseen=unseen,
        seen_spans=seen_spans,
        unseen_spans=unseen_spans,
        labels=score_tokens(zip(labels[0]), zip(labels[1])) if labels is not None else None,
        lengths=_by_length(gold, predicted, scheme),
        worst=_worst(sentences, gold, predicted, worst),
    )


def _span_recall(
    sentences: Sequence[Sentence], predicted: Sequence[Tags], scheme: Scheme, known: Collection[str]
) -> tuple[Recall, Recall]:
    correct, support = [0, 0], [0, 0]
    for sentence, tags in zip(sentences, predicted, strict=True):
        predicted_spans = set(spans_from(tags, scheme))
        for span in spans_from(sentence.tags or (), scheme):
            side = int(span_text(sentence, span) not in known)
            support[side] += 1
            correct[side] += span in predicted_spans
    return Recall(correct[0], support[0]), Recall(correct[1], support[1])


def _split_by_knowledge(
    sentences: Sequence[Sentence], gold: Sequence[Tags], predicted: Sequence[Tags], known: Collection[str]
) -> tuple[TokenScores, TokenScores]:
    sides: tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]] = (Counter(), Counter())
    perfect, holding = [0, 0], [0, 0]
    for sentence, (gold_tags, predicted_tags) in zip(sentences, aligned(gold, predicted), strict=True):
        right, present = [True, True], [False, False]
        for token, one, other in zip(sentence.tokens, gold_tags, predicted_tags, strict=True):
            side = int(token not in known)
            sides[side][one, other] += 1
            present[side] = True
            right[side] &= one == other
        for side in (0, 1):
            holding[side] += present[side]
            perfect[side] += present[side] and right[side]
    seen, unseen = (token_scores(sides[side], holding[side], perfect[side]) for side in (0, 1))
    return seen, unseen


def _by_length(gold: Sequence[Tags], predicted: Sequence[Tags], scheme: Scheme | str | None) -> tuple[LengthRow, ...]:
    rows = []
    for low, high in zip((0, *LENGTH_BORDERS), (*LENGTH_BORDERS, None), strict=True):
        some = [index for index, tags in enumerate(gold) if low < len(tags) and (high is None or len(tags) <= high)]
        if not some:
            continue
        gold_tags, predicted_tags = [gold[index] for index in some], [predicted[index] for index in some]
        accuracy = score_tokens(gold_tags, predicted_tags).accuracy
        f1 = score_spans(gold_tags, predicted_tags, scheme).overall.f1 if scheme is not None else None
        rows.append(LengthRow(low + 1, high, len(some), accuracy, f1))
    return tuple(rows)


def _worst(
    sentences: Sequence[Sentence], gold: Sequence[Tags], predicted: Sequence[Tags], number: int
) -> tuple[WorstSentence, ...]:
    worst = []
    for index, (sentence, expected, given) in enumerate(zip(sentences, gold, predicted, strict=True)):
        pairs = enumerate(zip(expected, given, strict=True))
        errors = tuple((place, one, other) for place, (one, other) in pairs if one != other)
        if errors:
            worst.append(WorstSentence(sentence.where(), sentence.text, errors, index))
    return tuple(sorted(worst, key=lambda sentence: -len(sentence.errors))[:number])
