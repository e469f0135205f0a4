"""How good tags are: accuracy, each tag's figures, spans as the CoNLL scorer and as seqeval's strict mode count them.

Every result is a frozen dataclass with counts in it, so that two files' results can be told apart from their rates.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seqloom.data.tagged.schemes import Scheme, as_scheme, spans_from
from seqloom.scores.counts import Counts, class_counts, confusion_matrix, ratio

__all__ = [
    "TOKEN_SIGNATURE",
    "Mode",
    "SpanScores",
    "TokenScores",
    "aligned",
    "score_spans",
    "score_tokens",
    "sentence_ratios",
    "token_scores",
]

TOKEN_SIGNATURE = "accuracy of tokens, punctuation included"

Mode = Literal["conlleval", "strict"]
Tags = Sequence[str]


@dataclass(frozen=True, slots=True)
class TokenScores:
    """Tags compared token by token.

    Attributes:
        correct, tokens: right tags and all tags, punctuation included.
        sentences, correct_sentences: all of them, and those without an error.
        tags: each tag's counts, by name.
        confusion: how often a gold tag was given as another: ``{(gold, predicted): count}``, errors only, most
            frequent first.
    """

    correct: int
    tokens: int
    sentences: int
    correct_sentences: int
    tags: dict[str, Counts] = field(default_factory=dict)
    confusion: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        """Right tags per token; 0 where there is no token."""
        return ratio(self.correct, self.tokens)

    @property
    def sentence_accuracy(self) -> float:
        """Sentences without an error per sentence."""
        return ratio(self.correct_sentences, self.sentences)

    @property
    def macro_f1(self) -> float:
        """The mean of the tags' F1, over the tags that are expected or given out."""
        return ratio(sum(counts.f1 for counts in self.tags.values()), len(self.tags))

    def to_dict(self) -> dict[str, Any]:
        """Rates and counts, for JSON."""
        return {
            "accuracy": self.accuracy,
            "correct": self.correct,
            "tokens": self.tokens,
            "sentences": self.sentences,
            "sentence_accuracy": self.sentence_accuracy,
            "macro_f1": self.macro_f1,
            "tags": {tag: counts.to_dict() for tag, counts in self.tags.items()},
            "confusion": [[gold, predicted, count] for (gold, predicted), count in self.confusion.items()],
        }


@dataclass(frozen=True, slots=True)
class SpanScores:
    """Spans compared by their borders and their label.

    Attributes:
        scheme, mode: how the spans were read; figures of two modes are not comparable (seqeval, issue 57).
        overall: micro-averaged over all labels.
        labels: each label's counts, by name.
    """

    scheme: str
    mode: Mode
    overall: Counts
    labels: dict[str, Counts] = field(default_factory=dict)

    @property
    def signature(self) -> str:
        """What must be quoted with the figure."""
        return f"span F1, scheme {self.scheme}, mode {self.mode}, micro average"

    def to_dict(self) -> dict[str, Any]:
        """Rates and counts, for JSON."""
        return {
            "signature": self.signature,
            **self.overall.to_dict(),
            "labels": {label: counts.to_dict() for label, counts in self.labels.items()},
        }


def score_tokens(gold: Iterable[Tags], predicted: Iterable[Tags]) -> TokenScores:
    """Compare tags token by token.

    Raises:
        ValueError: not as many sentences, or tags in a sentence, on both sides; names the sentence.

    >>> score_tokens([["N", "V"]], [["N", "N"]]).accuracy
    0.5
    """
    pairs: Counter[tuple[str, str]] = Counter()
    sentences = perfect = 0
    for gold_tags, predicted_tags in aligned(gold, predicted):
        pairs.update(zip(gold_tags, predicted_tags, strict=True))
        sentences += 1
        perfect += all(one == other for one, other in zip(gold_tags, predicted_tags, strict=True))
    return token_scores(pairs, sentences, perfect)


def score_spans(
    gold: Iterable[Tags], predicted: Iterable[Tags], scheme: Scheme | str, mode: Mode = "conlleval"
) -> SpanScores:
    """Compare the spans that tags spell: right are those with equal borders and an equal label.

    ``conlleval`` reads illegal tags as the CoNLL scorer (Tjong Kim Sang & Buchholz 2000) and seqeval's default mode
    do; ``strict`` ignores spans that are not spelled in full, as seqeval's strict mode does. Where all tags are
    legal the two agree.

    >>> score_spans([["B-PER", "I-PER"]], [["I-PER", "I-PER"]], "bio").overall.f1
    1.0
    >>> score_spans([["B-PER", "I-PER"]], [["I-PER", "I-PER"]], "bio", mode="strict").overall.f1
    0.0
    """
    chosen = as_scheme(scheme)
    right: Counter[str] = Counter()
    given: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    for gold_tags, predicted_tags in aligned(gold, predicted):
        truth = set(spans_from(gold_tags, chosen, mode == "strict"))
        guess = set(spans_from(predicted_tags, chosen, mode == "strict"))
        wanted.update(span.label for span in truth)
        given.update(span.label for span in guess)
        right.update(span.label for span in truth & guess)
    labels = {label: Counts(right[label], given[label], wanted[label]) for label in sorted(wanted | given)}
    return SpanScores(chosen.name, mode, Counts(right.total(), given.total(), wanted.total()), labels)


def sentence_ratios(
    gold: Iterable[Tags],
    predicted: Iterable[Tags],
    scheme: Scheme | str | None = None,
    labels: tuple[Tags, Tags] | None = None,
) -> dict[str, NDArray[np.int64]]:
    """Each sentence's part of the numerator and the denominator of a metric, (S, 2): what a bootstrap resamples.

    Args:
        labels: the gold and the predicted label of each sentence, where sentences have labels.

    >>> {name: ratio.tolist() for name, ratio in sentence_ratios([["B-X", "O"]], [["B-X", "B-X"]], "bio").items()}
    {'accuracy': [[1, 2]], 'span_f1': [[2, 3]]}
    """
    pairs = list(aligned(gold, predicted))
    rows = [(sum(map(str.__eq__, one, other)), len(one)) for one, other in pairs]
    ratios = {"accuracy": np.array(rows, dtype=np.int64).reshape(-1, 2)}
    if scheme is not None:
        chosen = as_scheme(scheme)
        sides = [(set(spans_from(one, chosen)), set(spans_from(other, chosen))) for one, other in pairs]
        rows = [(2 * len(truth & guess), len(truth) + len(guess)) for truth, guess in sides]
        ratios["span_f1"] = np.array(rows, dtype=np.int64).reshape(-1, 2)
    if labels is not None:
        rows = [(one == other, 1) for one, other in zip(*labels, strict=True)]
        ratios["label_accuracy"] = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return ratios


def aligned(gold: Iterable[Tags], predicted: Iterable[Tags]) -> Iterator[tuple[Tags, Tags]]:
    """Gold and predicted tags, sentence by sentence. Raises ValueError where they do not match, naming the sentence."""
    gold_sentences, predicted_sentences = list(gold), list(predicted)
    if len(gold_sentences) != len(predicted_sentences):
        raise ValueError(
            f"there are {len(predicted_sentences)} predicted sentences for {len(gold_sentences)} gold ones"
        )
    for index, (one, other) in enumerate(zip(gold_sentences, predicted_sentences, strict=True)):
        if len(one) != len(other):
            raise ValueError(f"sentence {index} has {len(other)} predicted tags for {len(one)} gold ones")
        yield one, other


def token_scores(pairs: Counter[tuple[str, str]], sentences: int, perfect: int) -> TokenScores:
    """The scores of counted pairs ``(gold, predicted)``; ``perfect`` of the ``sentences`` have no error."""
    names = sorted({name for pair in pairs for name in pair})
    matrix = confusion_matrix(pairs, names)
    errors = sorted((-count, pair) for pair, count in pairs.items() if pair[0] != pair[1])
    return TokenScores(
        correct=int(matrix.trace()),
        tokens=pairs.total(),
        sentences=sentences,
        correct_sentences=perfect,
        tags=class_counts(names, matrix),
        confusion={pair: -count for count, pair in errors},
    )
