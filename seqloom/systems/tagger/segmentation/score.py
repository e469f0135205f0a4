"""Scores of word segmentation as in the SIGHAN bakeoffs: precision, recall and F over the spans of words.

The bakeoff's ``score`` script aligns the two lists of words of a line with ``diff``; here a word is right when both its ends
are, which is what that alignment counts whenever it puts equal spans side by side.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.errors import DataError
from seqloom.scores.counts import Counts, ratio

__all__ = ["LengthBand", "LineScore", "SegmentationScore", "score_segmentation"]

LENGTH_BANDS = (10, 20, 40, 80)
"""Upper ends, in characters, of the bands of the breakdown by sentence length; a last band is open."""


@dataclass(frozen=True, slots=True)
class LineScore:
    """One line: its number (from 1), its words on both sides, and how many of them are the same span."""

    line: int
    gold: list[str]
    system: list[str]
    correct: int

    @property
    def errors(self) -> int:
        """Words of either side that the other does not have."""
        return len(self.gold) + len(self.system) - 2 * self.correct


@dataclass(frozen=True, slots=True)
class LengthBand:
    """The score of the lines of ``shortest`` to ``longest`` characters (None: no upper end)."""

    shortest: int
    longest: int | None
    lines: int
    gold: int
    system: int
    correct: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return _words(self).f1


@dataclass(frozen=True, slots=True)
class SegmentationScore:
    """Counts of gold words, system words and common spans, and what follows from them. Ratios without a base are NaN.

    Attributes:
        gold, system, correct: numbers of words and of common spans.
        oov, oov_correct: gold words outside the training words, and those of them that were found; None if unknown.
        lines: one entry per line of text.
        bands: breakdown by length.
    """

    gold: int
    system: int
    correct: int
    oov: int | None
    oov_correct: int | None
    lines: tuple[LineScore, ...]
    bands: tuple[LengthBand, ...]

    @property
    def precision(self) -> float:
        """Common spans over system words."""
        return _words(self).precision

    @property
    def recall(self) -> float:
        """Common spans over gold words."""
        return _words(self).recall

    @property
    def f1(self) -> float:
        """``2 P R / (P + R)``."""
        return _words(self).f1

    @property
    def f1_ratios(self) -> NDArray[np.int64]:
        """(lines, 2) each line's part of the numerator and the denominator of the F: what a bootstrap resamples."""
        rows = [(2 * line.correct, len(line.gold) + len(line.system)) for line in self.lines]
        return np.array(rows, dtype=np.int64).reshape(-1, 2)

    @property
    def oov_rate(self) -> float:
        """Share of the gold words that training did not have."""
        return math.nan if self.oov is None else ratio(self.oov, self.gold, math.nan)

    @property
    def oov_recall(self) -> float:
        """Recall over the gold words that training did not have."""
        if self.oov is None or self.oov_correct is None:
            return math.nan
        return ratio(self.oov_correct, self.oov, math.nan)

    @property
    def iv_recall(self) -> float:
        """Recall over the gold words that training had."""
        if self.oov is None or self.oov_correct is None:
            return math.nan
        return ratio(self.correct - self.oov_correct, self.gold - self.oov, math.nan)

    def worst(self, k: int = 20) -> list[LineScore]:
        """The ``k`` lines with the most errors, most first, earlier lines first among equals."""
        wrong = [line for line in self.lines if line.errors]
        return sorted(wrong, key=lambda line: -line.errors)[:k]

    def to_dict(self) -> dict[str, Any]:
        """Metrics and counts for JSON (ratios without a base become null); lines are left out."""
        names = ("precision", "recall", "f1", "oov_rate", "oov_recall", "iv_recall")
        ratios = {name: getattr(self, name) for name in names}
        return {
            **{name: None if math.isnan(value) else value for name, value in ratios.items()},
            "counts": {"gold": self.gold, "system": self.system, "correct": self.correct}
            | {"oov": self.oov, "oov_correct": self.oov_correct, "lines": len(self.lines)},
            "by_length": [{**asdict(band), "f1": None if math.isnan(band.f1) else band.f1} for band in self.bands],
        }


def _words(score: LengthBand | SegmentationScore) -> Counts:
    return Counts(score.correct, predicted=score.system, support=score.gold, empty=math.nan)


def _clean(words: Iterable[str]) -> list[str]:
    """Words without whitespace; what was only whitespace is no word."""
    return [bare for word in words if (bare := "".join(word.split()))]


def _spans(words: Iterable[str]) -> list[tuple[int, int]]:
    spans = []
    end = 0
    for word in words:
        begin, end = end, end + len(word)
        spans.append((begin, end))
    return spans


def score_segmentation(
    gold: Sequence[Sequence[str]], system: Sequence[Sequence[str]], training_words: Collection[str] | None = None
) -> SegmentationScore:
    """Score the words of each line against the gold words. Whitespace counts as nothing, neither word nor character.

    Args:
        gold: the right words, line by line.
        system: the words to be judged, line by line.
        training_words: the words of the training text (not of the test text), for recall in and out of vocabulary.
    Raises:
        DataError: the numbers of lines differ, or a line differs in more than its word ends; names the line.

    >>> score = score_segmentation([["我", "是", "中国人"]], [["我", "是", "中国", "人"]], {"我", "是"})
    >>> score.correct, round(score.f1, 3), score.oov_recall
    (2, 0.571, 0.0)
    """
    if len(gold) != len(system):
        raise DataError(f"the gold text has {len(gold)} lines and the system's {len(system)}; expected the same lines")
    known = None if training_words is None else frozenset(training_words)
    lines = []
    oov = oov_correct = 0
    for number, (right, judged) in enumerate(zip(gold, system, strict=True), start=1):
        line, unseen, unseen_correct = _score_line(number, _clean(right), _clean(judged), known)
        lines.append(line)
        oov += unseen
        oov_correct += unseen_correct
    return SegmentationScore(
        gold=sum(len(line.gold) for line in lines),
        system=sum(len(line.system) for line in lines),
        correct=sum(line.correct for line in lines),
        oov=None if known is None else oov,
        oov_correct=None if known is None else oov_correct,
        lines=tuple(lines),
        bands=_by_length(lines),
    )


def _score_line(
    number: int, gold: list[str], system: list[str], known: frozenset[str] | None
) -> tuple[LineScore, int, int]:
    right, judged = "".join(gold), "".join(system)
    if right != judged:
        place = next((i for i, pair in enumerate(zip(right, judged, strict=False)) if pair[0] != pair[1]), None)
        place = min(len(right), len(judged)) if place is None else place
        raise DataError(
            f"line {number}: the system's text differs from the gold text at character {place + 1} "
            f"({judged[place : place + 10]!r}, expected {right[place : place + 10]!r}); only word ends may differ"
        )
    spans = set(_spans(system))
    hits = [span in spans for span in _spans(gold)]
    unseen = [hit for word, hit in zip(gold, hits, strict=True) if known is not None and word not in known]
    return LineScore(number, gold, system, sum(hits)), len(unseen), sum(unseen)


def _by_length(lines: Sequence[LineScore]) -> tuple[LengthBand, ...]:
    bands = []
    shortest = 1
    for longest in (*LENGTH_BANDS, None):
        inside = [
            line
            for line in lines
            if shortest <= sum(map(len, line.gold)) and (longest is None or sum(map(len, line.gold)) <= longest)
        ]
        sizes = (sum(len(line.gold) for line in inside), sum(len(line.system) for line in inside))
        bands.append(LengthBand(shortest, longest, len(inside), *sizes, sum(line.correct for line in inside)))
        shortest = (longest or 0) + 1
    return tuple(bands)
