"""Segmentation as the best path through the word lattice: what all such methods share, and the fewest-words method.

The bigram and unigram models are in `ngram`.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seqloom.decoding.lattice import best_successors, k_best_paths
from seqloom.systems.tagger.segmentation.dictionary import Dictionary
from seqloom.systems.tagger.segmentation.hmm import HiddenMarkovModel
from seqloom.systems.tagger.segmentation.method import Arrays, Settings, bound_texts
from seqloom.systems.tagger.segmentation.user_words import forced_spans, impose_spans
from seqloom.systems.tagger.segmentation.word_lattice import WordLattice, build_lattice

LONELY_SHARE = 0.2
"""Share of its occurrences from which on a single-character word stays out of runs of unknown words; tuned on held-out
lines of the People's Daily, where it is worth 3.5 points of F over reading every run again."""

__all__ = ["FewestWords", "LatticeExplanation", "LatticePath", "LatticeSegmenter"]


@dataclass(frozen=True, slots=True)
class LatticePath:
    """One way to read a text: its words, the score of each, and of all together."""

    words: list[str]
    parts: list[float]
    score: float


@dataclass(frozen=True, slots=True)
class LatticeExplanation:
    """Why a text is read as it is: the competing readings, best first. ``str()`` is a table for people.

    Attributes:
        text: what was read.
        readings: the best ones with their scores.
        number_of_readings: how many the lattice holds.
        forced: the words that the user's dictionary forces here; readings against them are not in the lattice.
    """

    text: str
    readings: list[LatticePath]
    number_of_readings: int
    forced: list[str]

    def __str__(self) -> str:
        lines = [f"{self.text}: {self.number_of_readings} readings"]
        if self.forced:
            lines.append(f"  forced by the user's dictionary: {' '.join(self.forced)}")
        for rank, reading in enumerate(self.readings, start=1):
            parts = "  ".join(f"{word} {part:.3f}" for word, part in zip(reading.words, reading.parts, strict=True))
            lines.append(f"  {rank}. {reading.score:.3f}  {'/'.join(reading.words)}  ({parts})")
        return "\n".join(lines)


class LatticeSegmenter(ABC):
    """A method that scores the readings of a word lattice and takes the best.

    Args:
        dictionary: the words, with the user's.
        join_runs: keep runs of Latin letters and digits whole, known or not.
        unknown: a hidden Markov model that reads again every run of two or more single-character words, where unknown
            words hide. Characters that usually stand alone (`LONELY_SHARE`) take no part: they end a run.
    """

    block = 500_000  # characters that are worked on at a time

    def __init__(
        self, dictionary: Dictionary, *, join_runs: bool = True, unknown: HiddenMarkovModel | None = None
    ) -> None:
        self.dictionary = dictionary
        self.join_runs = join_runs
        self.unknown = unknown

    @cached_property
    def lonely(self) -> frozenset[str]:
        """Characters that take no part in runs of unknown words."""
        return _lonely(self.dictionary, LONELY_SHARE)

    @abstractmethod
    def _best(self, lattice: WordLattice) -> list[list[str]]:
        """The best reading of each text of a lattice."""

    @abstractmethod
    def _readings(self, lattice: WordLattice, k: int) -> list[LatticePath]:
        """The ``k`` best readings of a lattice of one text."""

    @abstractmethod
    def with_dictionary(self, dictionary: Dictionary) -> "LatticeSegmenter":
        """The same method with other words, such as a user's in addition."""

    @abstractmethod
    def state(self) -> tuple[Arrays, Settings]:
        """Arrays and settings that ``from_state`` reads."""

    def lattice(self, texts: Sequence[str]) -> WordLattice:
        """All readings of the texts."""
        return build_lattice(self.dictionary, texts, join_runs=self.join_runs)

    def segment(self, texts: Sequence[str]) -> list[list[str]]:
        """The words of each text."""
        segmented: list[list[str]] = []
        for block in bound_texts(texts, self.block):
            segmented += self._best(self.lattice(block))
        return segmented if self.unknown is None else self._read_runs_again(texts, segmented, self.unknown)

    def _read_runs_again(
        self, texts: Sequence[str], segmented: list[list[str]], model: HiddenMarkovModel
    ) -> list[list[str]]:
        runs = [(row, low, high) for row, words in enumerate(segmented) for low, high in _runs(words, self.lonely)]
        answers = model.segment(["".join(segmented[row][low:high]) for row, low, high in runs])
        for (row, low, high), answer in zip(reversed(runs), reversed(answers), strict=True):
            segmented[row][low:high] = answer  # from the last run to the first, so that places stay valid
        if self.dictionary.forced.any():
            return list(map(impose_spans, segmented, forced_spans(self.dictionary, texts)))
        return segmented

    def n_best(self, text: str, k: int) -> list[tuple[list[str], float]]:
        """The ``k`` best readings and their scores, exactly.

        With a model for unknown words the readings are those of the lattice after it; what becomes equal is said once.
        """
        best: dict[tuple[str, ...], float] = {}
        for reading in self._readings(self.lattice([text]), k):
            words = reading.words
            if self.unknown is not None:
                words = self._read_runs_again([text], [list(words)], self.unknown)[0]
            best.setdefault(tuple(words), reading.score)
        return [(list(words), score) for words, score in best.items()]

    def explain(self, text: str, k: int = 5) -> LatticeExplanation:
        """The ``k`` best readings of the lattice with the score of every word in them."""
        lattice = self.lattice([text])
        forced = [text[begin:end] for begin, end in forced_spans(self.dictionary, [text])[0]]
        return LatticeExplanation(text, self._readings(lattice, k), lattice.number_of_paths(), forced)

    def full(self, texts: Sequence[str]) -> list[list[str]]:
        """For each text every dictionary word of two or more characters in it, and the characters in none of them."""
        words: list[list[str]] = []
        for block in bound_texts(texts, self.block):
            spans = self.lattice(block).full()
            words += [[text[begin:end] for begin, end in row] for text, row in zip(block, spans, strict=True)]
        return words

    def _settings(self) -> Settings:
        return {"join_runs": self.join_runs, "unknown": None if self.unknown is None else self.unknown.state()[1]}

    def _arrays(self) -> Arrays:
        arrays = {f"dictionary.{name}": array for name, array in self.dictionary.arrays().items()}
        if self.unknown is not None:
            arrays |= {f"unknown.{name}": array for name, array in self.unknown.state()[0].items()}
        return arrays


def stored_parts(arrays: Arrays, settings: Settings) -> tuple[Dictionary, HiddenMarkovModel | None]:
    """The dictionary and the model for unknown words in the state of a `LatticeSegmenter`."""
    prefix = "unknown."
    inner = {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
    unknown = HiddenMarkovModel.from_state(inner, settings["unknown"]) if settings["unknown"] is not None else None
    return Dictionary.from_arrays(arrays, "dictionary."), unknown


def _lonely(dictionary: Dictionary, share: float) -> frozenset[str]:
    """Characters that make up a word by themselves in at least ``share`` of their occurrences, or that the user calls words."""
    everywhere: Counter[str] = Counter()
    for word, count in zip(dictionary.base, dictionary.base_counts.tolist(), strict=True):
        for character in word:
            everywhere[character] += count
    alone = {word for word in dictionary.user if len(word) == 1}
    for word, count in zip(dictionary.base, dictionary.base_counts.tolist(), strict=True):
        if len(word) == 1 and count >= share * everywhere[word]:
            alone.add(word)
    return frozenset(alone)


def _runs(words: list[str], lonely: frozenset[str]) -> list[tuple[int, int]]:
    """Where two or more single-character words follow each other, none of them lonely: ``(low, high)`` in the list."""
    runs: list[tuple[int, int]] = []
    low = 0
    for place, word in enumerate(words):
        if len(word) > 1 or word in lonely:
            if place - low > 1:
                runs.append((low, place))
            low = place + 1
    if len(words) - low > 1:
        runs.append((low, len(words)))
    return runs


def additive_readings(
    lattice: WordLattice, weight: NDArray[Any], parts: NDArray[np.float64], k: int
) -> list[LatticePath]:
    """The ``k`` best readings of a lattice of one text under a score per arc; ``parts`` is the score to be shown."""
    arcs, block = lattice.arcs, lattice.block
    shown = dict(zip(zip(arcs.source.tolist(), arcs.target.tolist(), strict=True), parts.tolist(), strict=True))
    readings = []
    for nodes, _ in k_best_paths(arcs, weight, block.first[0], block.last, k):
        steps = list(pairwise(nodes))
        scores = [shown[step] for step in steps]
        readings.append(LatticePath([block.joined[begin:end] for begin, end in steps], scores, float(sum(scores))))
    return readings


class FewestWords(LatticeSegmenter):
    """The reading with the fewest words.

    Of those the one with the fewest single characters; of those the one with the largest sum of log-frequencies (the log of
    a word's count, 0 for words with a count below 1 and for unknown characters); of those the leftmost-longest: the longest
    first word, then the longest second word, and so on. Costs are integers (log-frequencies in steps of 2^-16), so equal
    means equal. The score of a reading is minus its number of words.

    >>> counts = dict.fromkeys(["国庆", "国庆节", "节日", "加班", "李国庆"], 1)
    >>> FewestWords(Dictionary.from_counts(counts)).segment(["李国庆节日在加班"])
    [['李国庆', '节日', '在', '加班']]
    """

    @cached_property
    def _logs(self) -> NDArray[np.int64]:
        """(words + 1,) log-frequency of each word, the last for unknown characters."""
        logs = np.zeros(len(self.dictionary) + 1, dtype=np.int64)
        logs[:-1] = np.rint(np.log(np.maximum(self.dictionary.counts, 1.0)) * 65536).astype(np.int64)
        return logs

    def _weights(self, lattice: WordLattice) -> NDArray[Any]:
        log = self._logs[lattice.word]
        spans = np.subtract(lattice.block.last, lattice.block.first)
        longest = int(spans.max(initial=1))
        # Each criterion is worth more than all that the later ones can add up to over the longest text.
        single = 1 << (longest * int(self._logs.max())).bit_length()
        word = single << longest.bit_length()
        if word.bit_length() < 62:
            weight: NDArray[Any] = log - word - single * lattice.singles.astype(np.int64)
        else:
            weight = log.astype(object) - word - single * lattice.singles.astype(object)
        return weight

    def _best(self, lattice: WordLattice) -> list[list[str]]:
        _, successor = best_successors(lattice.arcs, self._weights(lattice), lattice.block.last)
        return lattice.block.words(successor)

    def _readings(self, lattice: WordLattice, k: int) -> list[LatticePath]:
        return additive_readings(lattice, self._weights(lattice), np.full(len(lattice.arcs), -1.0), k)

    def with_dictionary(self, dictionary: Dictionary) -> "FewestWords":
        """The same method with other words."""
        return FewestWords(dictionary, join_runs=self.join_runs, unknown=self.unknown)

    def state(self) -> tuple[Arrays, Settings]:
        """Arrays and settings that `from_state` reads."""
        return self._arrays(), self._settings()

    @classmethod
    def from_state(cls, arrays: Arrays, settings: Settings) -> Self:
        """The method that `state` described."""
        dictionary, unknown = stored_parts(arrays, settings)
        return cls(dictionary, join_runs=settings["join_runs"], unknown=unknown)
