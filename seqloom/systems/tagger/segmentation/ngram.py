"""Unigram and bigram models of words: the most probable path through the word lattice."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from seqloom.decoding.lattice import Arcs, best_successors, follow, k_best_paths, line_graph, make_arcs
from seqloom.errors import ConfigError, DataError
from seqloom.systems.tagger.segmentation.best_path import LatticePath, LatticeSegmenter, additive_readings, stored_parts
from seqloom.systems.tagger.segmentation.bigrams import BigramCounts
from seqloom.systems.tagger.segmentation.dictionary import Dictionary
from seqloom.systems.tagger.segmentation.hmm import HiddenMarkovModel
from seqloom.systems.tagger.segmentation.method import Arrays, Settings, bound_texts
from seqloom.systems.tagger.segmentation.word_lattice import WordLattice, build_lattice

__all__ = ["PREFERENCE", "BigramPaths", "UnigramPaths"]

PREFERENCE = 1.0
"""By how many nats a preferred user word beats the best other reading of its characters, if its frequency says no more."""

Scores = NDArray[np.float64]
Integers = NDArray[np.int64]


def _log_probabilities(counts: Scores, total: float, delta: float, unseen: float) -> Scores:
    """(V + 1,) log p per word, the last for an unknown atom: no word is less probable than that."""
    pseudo = np.append(counts + delta, unseen)
    scores: Scores = np.log(np.maximum(pseudo, unseen)) - math.log(max(total, 1.0))
    return scores


def _check(delta: float, unseen: float) -> None:
    if not (math.isfinite(delta) and delta >= 0):
        raise ConfigError(f"delta is {delta}; expected a number from 0 up")
    if not (math.isfinite(unseen) and unseen > 0):
        raise ConfigError(f"unseen is {unseen}; expected a number above 0")


def _split_lattice(dictionary: Dictionary, words: Sequence[str], join_runs: bool) -> WordLattice:
    """The readings of each word other than the word itself, by the base dictionary."""
    lattice = build_lattice(dictionary, words, join_runs=join_runs)
    arcs, block = lattice.arcs, lattice.block
    length = np.zeros(arcs.nodes, dtype=np.int64)
    length[block.first] = np.subtract(block.last, block.first)
    whole = arcs.target - arcs.source == length[arcs.source]
    # A word that is a single atom has no other reading; it stays.
    has_other = np.zeros(arcs.nodes, dtype=bool)
    has_other[arcs.source[~whole]] = True
    kept = ~(whole & has_other[arcs.source])
    return WordLattice(block, Arcs(arcs.nodes, arcs.source[kept], arcs.target[kept]), lattice.word[kept])


class UnigramPaths(LatticeSegmenter):
    """The reading whose words are most probable, each by itself: ``p(w) = (count + delta) / (N + delta V)``.

    ``N`` and ``V`` are the sum of the counts and the number of the base dictionary's words; a user's words change neither.
    An unknown character, or an unknown run when runs are joined, scores as a word with ``unseen`` for its pseudo-count, and no
    word scores less. The score of a reading is its log-probability; a user's preferred words may lift it.

    >>> counts = {"乒乓球": 300, "拍卖": 400, "了": 50000, "乒乓球拍": 20, "卖": 900, "…": 948380}
    >>> segmenter = UnigramPaths(Dictionary.from_counts(counts), delta=0.0)
    >>> [(words, round(score, 3)) for words, score in segmenter.n_best("乒乓球拍卖了", 2)]
    [(['乒乓球', '拍卖', '了'], -18.932), (['乒乓球拍', '卖', '了'], -20.829)]
    """

    def __init__(
        self,
        dictionary: Dictionary,
        *,
        delta: float = 0.1,
        unseen: float = 0.01,
        join_runs: bool = True,
        unknown: HiddenMarkovModel | None = None,
    ) -> None:
        super().__init__(dictionary, join_runs=join_runs, unknown=unknown)
        _check(delta, unseen)
        self.delta = delta
        self.unseen = unseen
        self.scores = self._word_scores()

    @classmethod
    def fit(cls, lines: Iterable[list[str]], *, delta: float = 0.1, join_runs: bool = True) -> Self:
        """Count the words of segmented lines."""
        return cls(Dictionary.from_lines(lines), delta=delta, join_runs=join_runs)

    def _word_scores(self) -> Scores:
        """(words + 1,) score of each word, the last for an unknown atom."""
        base = self.dictionary.base_counts
        total = float(base.sum()) + self.delta * len(base)
        table = _log_probabilities(base, total, self.delta, self.unseen)
        users = list(self.dictionary.user)
        if not users:
            return table
        scores = _log_probabilities(self.dictionary.counts, total, self.delta, self.unseen)
        base_dictionary = self.dictionary.without_user_words()
        for words in bound_texts(users, self.block):
            lattice = _split_lattice(base_dictionary, words, self.join_runs)
            best, _ = best_successors(lattice.arcs, table[lattice.word], lattice.block.last)
            for word, first in zip(words, lattice.block.first, strict=True):
                place = self.dictionary.index[word]
                scores[place] = max(scores[place], best[first] + PREFERENCE)
        return scores

    def _best(self, lattice: WordLattice) -> list[list[str]]:
        _, successor = best_successors(lattice.arcs, self.scores[lattice.word], lattice.block.last)
        return lattice.block.words(successor)

    def _readings(self, lattice: WordLattice, k: int) -> list[LatticePath]:
        weight = self.scores[lattice.word]
        return additive_readings(lattice, weight, weight, k)

    def with_dictionary(self, dictionary: Dictionary) -> "UnigramPaths":
        """The same method with other words."""
        options = {"delta": self.delta, "unseen": self.unseen}
        return UnigramPaths(dictionary, **options, join_runs=self.join_runs, unknown=self.unknown)

    def state(self) -> tuple[Arrays, Settings]:
        """Arrays and settings that `from_state` reads."""
        return self._arrays(), {**self._settings(), "delta": self.delta, "unseen": self.unseen}

    @classmethod
    def from_state(cls, arrays: Arrays, settings: Settings) -> Self:
        """The method that `state` described."""
        dictionary, unknown = stored_parts(arrays, settings)
        options = {name: settings[name] for name in ("delta", "unseen", "join_runs")}
        return cls(dictionary, **options, unknown=unknown)


class BigramPaths(LatticeSegmenter):
    """The reading whose words are most probable in a row: ``p(w | v) = l c(v, w) / c(v) + (1 - l) p(w)``.

    Sentences are bounded by ``<s>`` and ``</s>``; ``p(w)`` is smoothed as in `UnigramPaths`, with ``</s>`` among the
    words; after a word that was never followed by one, ``p(w | v) = p(w)``. A user's word that training did not see stands
    for the best reading of its characters: its left neighbour sees that reading's first word, its right neighbour the last.
    Its score is that reading's plus `PREFERENCE`, more when its frequency says more.
    """

    block = 200_000

    def __init__(
        self,
        dictionary: Dictionary,
        bigrams: BigramCounts,
        *,
        weight: float = 0.5,
        delta: float = 0.1,
        unseen: float = 0.01,
        join_runs: bool = True,
        unknown: HiddenMarkovModel | None = None,
    ) -> None:
        super().__init__(dictionary, join_runs=join_runs, unknown=unknown)
        _check(delta, unseen)
        if not 0 <= weight < 1:
            raise ConfigError(f"weight is {weight}; expected a number from 0 up to, but not including, 1")
        if bigrams.size != len(dictionary.base):
            raise ValueError(f"bigrams are of {bigrams.size} words but the base dictionary has {len(dictionary.base)}")
        self.bigrams = bigrams
        self.weight = weight
        self.delta = delta
        self.unseen = unseen
        base = dictionary.base_counts
        total = float(base.sum()) + bigrams.sentences + delta * (len(base) + 1)
        table = _log_probabilities(np.append(base, 0.0), total, delta, unseen)
        table[-2] = table[-1]  # unknown; then <s>, which nothing leads to, and </s>
        ends = math.log(max(bigrams.sentences + delta, unseen)) - math.log(max(total, 1.0))
        self._single = np.append(table, ends)
        self._total = total
        self._alias()

    @classmethod
    def fit(
        cls, lines: Iterable[list[str]], *, weight: float = 0.5, delta: float = 0.1, join_runs: bool = True
    ) -> Self:
        """Count the words and pairs of segmented lines.

        Raises:
            DataError: there is no word in the lines.
        """
        kept = list(lines)
        dictionary = Dictionary.from_lines(kept)
        if not len(dictionary):
            raise DataError("the training lines of the bigram model hold no word; expected segmented text")
        bigrams = BigramCounts.count(dictionary, kept)
        return cls(dictionary, bigrams, weight=weight, delta=delta, join_runs=join_runs)

    def _alias(self) -> None:
        """Tables over the dictionary's words and unknown, <s>, </s>: what each is to its neighbours, and its extra score."""
        size, words = len(self.dictionary.base), len(self.dictionary)
        special = np.arange(size, size + 3)
        self._as_right = np.concatenate([np.arange(size), np.full(words - size, size), special])
        self._as_left = self._as_right.copy()
        self._extra = np.zeros(words + 3)
        users = list(self.dictionary.user)
        if not users:
            return
        own = _log_probabilities(self.dictionary.counts, self._total, self.delta, self.unseen)
        base = BigramPaths(
            self.dictionary.without_user_words(),
            self.bigrams,
            weight=self.weight,
            delta=self.delta,
            unseen=self.unseen,
            join_runs=self.join_runs,
        )
        for block in bound_texts(users, self.block):
            lattice = _split_lattice(base.dictionary, block, self.join_runs)
            for word, (inner, first, last) in zip(block, base._inner_readings(lattice), strict=True):
                place = self.dictionary.index[word]
                if place >= size:
                    self._as_right[place], self._as_left[place] = first, last
                plain = self._single[self._as_right[place]]
                self._extra[place] = max(0.0, inner + PREFERENCE - plain, own[place] - plain)

    def _inner_readings(self, lattice: WordLattice) -> list[tuple[float, int, int]]:
        """For each text of a lattice the score of its best reading out of any context, and its first and last word."""
        chain = _Chain(lattice, self)
        score = self._pair_scores(chain, free=True)
        best, successor = best_successors(chain.pairs, score, chain.ends)
        readings = []
        for begin in chain.begins:
            *_, last, _ = follow(successor, begin)
            readings.append((best[begin], int(chain.right[successor[begin]]), int(chain.left[last])))
        return readings

    def _pair_scores(self, chain: "_Chain", *, free: bool = False) -> Scores:
        """(pairs,) score of the right word of each pair after the left one.

        With ``free`` the ends of the text are no ends of a sentence: the first word has no context, the last no successor.
        """
        left, right = chain.left[chain.pairs.source], chain.right[chain.pairs.target]
        context = self.bigrams.contexts[left]
        single = self._single[right]
        known = context > 0
        rest = single + np.where(known, math.log1p(-self.weight), 0.0)
        counts = self.bigrams.lookup(left, right)
        seen = np.flatnonzero(counts)
        share = self.weight * counts[seen] / context[seen]
        rest[seen] = np.log(share + (1 - self.weight) * np.exp(single[seen]))
        if free:
            begins = left == self.bigrams.size + 1
            rest[begins] = single[begins]
            rest[right == self.bigrams.size + 2] = 0.0
        scores: Scores = rest + chain.extra[chain.pairs.target]
        return scores

    def _best(self, lattice: WordLattice) -> list[list[str]]:
        chain = _Chain(lattice, self)
        _, successor = best_successors(chain.pairs, self._pair_scores(chain), chain.ends)
        joined = lattice.block.joined
        source, target = chain.arcs.source.tolist(), chain.arcs.target.tolist()
        segmented = []
        for begin in chain.begins:
            *path, _ = follow(successor, successor[begin])
            segmented.append([joined[source[arc] : target[arc]] for arc in path])
        return segmented

    def _readings(self, lattice: WordLattice, k: int) -> list[LatticePath]:
        chain = _Chain(lattice, self)
        score = self._pair_scores(chain)
        pairs = zip(chain.pairs.source.tolist(), chain.pairs.target.tolist(), strict=True)
        shown = dict(zip(pairs, score.tolist(), strict=True))
        joined = lattice.block.joined
        readings = []
        for path, total in k_best_paths(chain.pairs, score, chain.begins[0], chain.ends, k):
            spans = [(int(chain.arcs.source[arc]), int(chain.arcs.target[arc])) for arc in path[1:-1]]
            parts = [shown[step] for step in pairwise(path)]
            ending = parts.pop()
            if parts:
                parts[-1] += ending  # the end of the sentence is shown with its last word
            readings.append(LatticePath([joined[low:high] for low, high in spans], parts, float(total)))
        return readings

    def with_dictionary(self, dictionary: Dictionary) -> "BigramPaths":
        """The same model with other user words; the base must be the one that it was trained with."""
        options = {"weight": self.weight, "delta": self.delta, "unseen": self.unseen}
        return BigramPaths(dictionary, self.bigrams, **options, join_runs=self.join_runs, unknown=self.unknown)

    def state(self) -> tuple[Arrays, Settings]:
        """Arrays and settings that `from_state` reads."""
        arrays = {**self._arrays(), "bigrams.keys": self.bigrams.keys, "bigrams.counts": self.bigrams.counts}
        return arrays, {**self._settings(), "weight": self.weight, "delta": self.delta, "unseen": self.unseen}

    @classmethod
    def from_state(cls, arrays: Arrays, settings: Settings) -> Self:
        """The method that `state` described."""
        dictionary, unknown = stored_parts(arrays, settings)
        bigrams = BigramCounts(len(dictionary.base), arrays["bigrams.keys"], arrays["bigrams.counts"])
        options = {name: settings[name] for name in ("weight", "delta", "unseen", "join_runs")}
        return cls(dictionary, bigrams, **options, unknown=unknown)


class _Chain:
    """A word lattice with ``<s>`` and ``</s>`` arcs, and the graph of its consecutive arcs."""

    def __init__(self, lattice: WordLattice, model: BigramPaths) -> None:
        arcs, block = lattice.arcs, lattice.block
        first, last = np.asarray(block.first, dtype=np.int64), np.asarray(block.last, dtype=np.int64)
        words = len(model.dictionary)
        sink = arcs.nodes  # one node beyond all, so that no sentence leads into the next
        self.arcs, order = make_arcs(
            arcs.nodes + 1,
            np.concatenate([arcs.source, first - 1, last]),
            np.concatenate([arcs.target, first, np.full(len(last), sink)]),
        )
        symbol = np.concatenate(
            [
                np.where(lattice.word < 0, words, lattice.word),
                np.full(len(first), words + 1),
                np.full(len(last), words + 2),
            ]
        )[order]
        self.pairs = line_graph(self.arcs)
        self.left, self.right, self.extra = model._as_left[symbol], model._as_right[symbol], model._extra[symbol]
        self.begins = np.flatnonzero(symbol == words + 1).tolist()
        self.ends = np.flatnonzero(symbol == words + 2).tolist()
