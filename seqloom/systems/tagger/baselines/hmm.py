"""Trigram tagging by a hidden Markov model, as in TnT (Brants 2000): counts, deleted interpolation, endings of words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from seqloom.data.vocabulary import TagVocabulary, Vocabulary
from seqloom.decoding.lattice import k_best_paths, make_arcs
from seqloom.errors import ConfigError
from seqloom.systems.tagger.baselines.counts import SuffixCounts, TagCounts, dense, word_counts
from seqloom.systems.tagger.baselines.method import Ids, Probabilities, Stored, TaggedCorpus, Tokens

__all__ = ["TrigramModel", "TrigramTagger"]

# K + 1 cubed numbers are kept, 8 bytes each: 216 MB at this many tags.
MOST_TAGS = 300
# No move between tags is impossible, so that every sentence has a path, whatever training has not seen.
SMALLEST = 1e-12


class TrigramModel:
    """``p(c | a, b)`` for tags, smoothed by linear interpolation of trigrams, bigrams and unigrams.

    The weights are found by deleted interpolation (Brants 2000, figure 1): each trigram votes, as often as it occurs,
    for the order of model that predicts it best when it is taken out of the counts once; a draw is shared. The sentence
    border is one more symbol, ``K``: two of them stand before the first tag and one follows the last. Where a context
    was never seen, the next shorter one takes its place, so each context's probabilities sum to one.

    Args:
        tags: number of tags K.
        trigrams: (M, 3) the distinct trigrams.
        counts: (M,) how often each occurs.

    Attributes:
        weights: (3,) of unigrams, bigrams and trigrams.
        probability: (K + 1, K + 1, K + 1) p(c | a, b).
        unigram: (K,) share of each tag among all tags.
    """

    def __init__(self, tags: int, trigrams: Ids, counts: Ids) -> None:
        if tags > MOST_TAGS:
            raise ConfigError(f"the data have {tags} tags; the hidden Markov model takes at most {MOST_TAGS}")
        if trigrams.shape != (len(counts), 3) or trigrams.min(initial=0) < 0 or trigrams.max(initial=0) > tags:
            raise ValueError(f"the trigrams are not rows of three tags, each of 0 to {tags}")
        if counts.ndim != 1 or counts.min(initial=0) < 0:
            raise ValueError("a trigram does not occur a number of times from 0 up")
        self.tags, self.trigrams, self.counts = tags, trigrams, counts
        symbols = tags + 1
        three = np.zeros((symbols,) * 3)
        three[tuple(trigrams.T)] = counts
        two, one = three.sum(0), three.sum((0, 1))
        self.weights = _deleted_interpolation(three, trigrams)
        uni = one / one.sum()
        self.unigram: Probabilities = one[:tags] / one[:tags].sum()
        bi = _shares(two, np.broadcast_to(uni, two.shape))
        tri = _shares(three, np.broadcast_to(bi, three.shape))
        mixed = self.weights[0] * uni + self.weights[1] * bi + self.weights[2] * tri
        self.probability: Probabilities = np.maximum(mixed, SMALLEST)

    @classmethod
    def fit(cls, tags: int, lengths: Ids, targets: Ids) -> Self:
        """Counts the trigrams of sentences of these lengths; ``targets`` are all their tags, one after the other."""
        filled = lengths[lengths > 0]
        padded = np.full(len(targets) + 3 * len(filled), tags, dtype=np.int64)
        ends = np.cumsum(filled + 3)
        inside = np.ones(len(padded), dtype=bool)
        for border in (ends - 1, ends - filled - 2, ends - filled - 3):
            inside[border] = False
        padded[inside] = targets
        windows = np.lib.stride_tricks.sliding_window_view(padded, 3)
        # A window that begins with the end of a sentence reaches into the next one.
        within = np.ones(len(windows), dtype=bool)
        within[ends[:-1] - 1] = within[ends[:-1] - 2] = False
        trigrams, counts = np.unique(windows[within], axis=0, return_counts=True)
        return cls(tags, trigrams, counts)


def _shares(counts: Probabilities, otherwise: Probabilities) -> Probabilities:
    total = counts.sum(-1, keepdims=True)
    shares: Probabilities = np.where(total > 0, counts / np.maximum(total, 1.0), otherwise)
    return shares


def _deleted_interpolation(three: Probabilities, trigrams: Ids) -> Probabilities:
    """The weights of unigrams, bigrams and trigrams."""
    two, one = three.sum(0), three.sum((0, 1))
    a, b, c = trigrams.T
    seen = three[a, b, c]

    def without(count: Probabilities, context: Probabilities) -> Probabilities:
        rate: Probabilities = np.where(context > 1, (count - 1) / np.maximum(context - 1, 1), 0.0)
        return rate

    rates = np.stack(
        [
            without(one[c], np.full(len(c), one.sum())),
            without(two[b, c], two.sum(1)[b]),
            without(seen, three.sum(2)[a, b]),
        ]
    )
    best = rates == rates.max(0)
    votes: Probabilities = (seen * best / best.sum(0)).sum(1)
    weights: Probabilities = votes / votes.sum()
    return weights


@dataclass(frozen=True, slots=True)
class _Choice:
    """The tags that a token can have, C of them, and the log of what it says for each."""

    tags: Ids
    scores: Probabilities


class TrigramTagger:
    """``argmax prod p(t_i | t_{i-2}, t_{i-1}) p(w_i | t_i)`` with a border after the last tag (Brants 2000, eq. 1).

    Known words are emitted by relative frequency. An unknown word's tags come from its ending: the shares of tags at
    each longer ending are mixed with those at the shorter one, ``(p(t | l_1..l_i) + theta p(t | l_1..l_{i-1})) / (1 +
    theta)``, theta the standard deviation of the tags' shares, and turned around by Bayes' rule (eqs. 7-10).
    Deviation from TnT: tags do not carry the capitalisation of their words.

    Args:
        model: of the tags.
        words: tags of the known words.
        suffixes: tags of the endings of rare words.
    """

    def __init__(self, model: TrigramModel, words: TagCounts, suffixes: SuffixCounts) -> None:
        self.model, self.words, self.suffixes = model, words, suffixes
        self.log_probability: Probabilities = np.log(model.probability)
        self._log_total = np.log(np.maximum(np.bincount(words.tags, words.counts, minlength=model.tags), 1.0))
        self.theta = float(model.unigram.std(ddof=1)) if model.tags > 1 else 0.0

    @classmethod
    def fit(cls, corpus: TaggedCorpus, *, longest_suffix: int = 10, rare: int = 10) -> Self:
        """Counts trigrams of tags, words, and the endings of words that occur at most ``rare`` times."""
        model = TrigramModel.fit(len(corpus.tags), corpus.lengths, corpus.targets)
        return cls(model, word_counts(corpus), SuffixCounts.fit(corpus, longest_suffix, rare))

    def unknown(self, word: str) -> Probabilities:
        """(K,) p(tag | ending) of a word that training has not seen."""
        shares = self.model.unigram
        for row in self.suffixes.rows(word):
            counts = dense(row, self.model.tags)
            shares = (counts / counts.sum() + self.theta * shares) / (1 + self.theta)
        return shares

    def _choice(self, word: str) -> _Choice:
        row = self.words.row(word)
        if row is not None:
            return _Choice(row[0], np.log(row[1]) - self._log_total[row[0]])
        shares = self.unknown(word)
        tags = np.flatnonzero(shares)
        return _Choice(tags, np.log(shares[tags]) - np.log(self.model.unigram[tags]))

    def _choices(self, sentences: Sequence[Tokens]) -> list[list[_Choice]]:
        known = {token: self._choice(token) for token in {token for sentence in sentences for token in sentence}}
        return [[known[token] for token in sentence] for sentence in sentences]

    def tag(self, sentences: Sequence[Tokens]) -> list[Ids]:
        """(T,) the most probable tags, exactly: a token's possible tags are all that its word was seen with."""
        return [self._viterbi(choices) for choices in self._choices(sentences)]

    def _blocks(self, choices: Sequence[_Choice]) -> list[Probabilities]:
        """log p(c | a, b) for the tags that each three neighbours can have, the borders included: T + 1 of them."""
        border = np.array([self.model.tags])
        tags = [border, border, *(choice.tags for choice in choices), border]
        return [
            self.log_probability[a[:, None, None], b[:, None], c]
            for a, b, c in zip(tags, tags[1:], tags[2:], strict=False)
        ]

    def _viterbi(self, choices: Sequence[_Choice]) -> Ids:
        path = np.zeros(len(choices), dtype=np.int64)
        if not len(choices):
            return path
        score = np.zeros((1, 1))
        back: list[NDArray[np.intp]] = []
        *blocks, ending = self._blocks(choices)
        for block, choice in zip(blocks, choices, strict=True):
            ways = score[:, :, None] + block
            back.append(ways.argmax(0))
            score = ways.max(0) + choice.scores
        before, last = np.unravel_index((score + ending[:, :, 0]).argmax(), score.shape)
        for step in range(len(choices) - 1, -1, -1):
            path[step] = choices[step].tags[last]
            before, last = back[step][before, last], before
        return path

    def marginals(self, sentences: Sequence[Tokens]) -> list[Probabilities]:
        """(T, K) the posterior probability of every tag at every token."""
        return [self._forward_backward(choices)[0] for choices in self._choices(sentences)]

    def _forward_backward(self, choices: Sequence[_Choice]) -> tuple[Probabilities, float]:
        """The posteriors (T, K), and the log of the sum over all paths; rescaled at every step."""
        posterior = np.zeros((len(choices), self.model.tags))
        if not len(choices):
            return posterior, 0.0
        blocks = [np.exp(block) for block in self._blocks(choices)]
        emitted = [np.exp(choice.scores - choice.scores.max()) for choice in choices]
        log_total = sum(float(choice.scores.max()) for choice in choices)
        forward, backward = [np.ones((1, 1))], [blocks[-1][:, :, 0]]
        for block, emission in zip(blocks[:-1], emitted, strict=True):
            reached = (forward[-1][:, :, None] * block).sum(0) * emission
            log_total += float(np.log(reached.sum()))
            forward.append(reached / reached.sum())
        log_total += float(np.log((forward[-1] * backward[0]).sum()))
        for block, emission in zip(blocks[-2:0:-1], emitted[:0:-1], strict=True):
            ahead = (block * (emission * backward[-1])).sum(2)
            backward.append(ahead / ahead.max())
        for row, choice, reached, ahead in zip(posterior, choices, forward[1:], reversed(backward), strict=True):
            joint = (reached * ahead).sum(0)
            row[choice.tags] = joint / joint.sum()
        return posterior, log_total

    def k_best(self, sentences: Sequence[Tokens], k: int) -> list[list[tuple[Ids, float]]]:
        """The ``k`` most probable tag paths, exactly."""
        return [self._ranked(choices, k) for choices in self._choices(sentences)]

    def _ranked(self, choices: Sequence[_Choice], k: int) -> list[tuple[Ids, float]]:
        if not len(choices):
            return [(np.zeros(0, dtype=np.int64), 0.0)]
        blocks = self._blocks(choices)
        # Node 0 starts; then come, for each token, the pairs of its predecessor's and its own tag; the last node ends.
        sizes = np.array([1, *(block.shape[1] * block.shape[2] for block in blocks[:-1]), 1])
        first = np.cumsum(sizes) - sizes
        sources, targets, weights = [], [], []
        for step, block in enumerate(blocks):
            a, b, c = (places.ravel() for places in np.indices(block.shape))
            scores = choices[step].scores[c] if step < len(choices) else 0.0
            sources.append(first[step] + a * block.shape[1] + b)
            targets.append(first[step + 1] + (b * block.shape[2] + c if step < len(choices) else 0 * a))
            weights.append(block.ravel() + scores)
        arcs, order = make_arcs(int(sizes.sum()), np.concatenate(sources), np.concatenate(targets))
        paths = k_best_paths(arcs, np.concatenate(weights)[order], 0, [int(first[-1])], k)
        log_total = self._forward_backward(choices)[1]
        wide = [len(choice.tags) for choice in choices]
        return [
            (
                np.array(
                    [
                        choice.tags[(node - first[step + 1]) % wide[step]]
                        for step, (choice, node) in enumerate(zip(choices, nodes[1:-1], strict=True))
                    ],
                    dtype=np.int64,
                ),
                float(score) - log_total,
            )
            for nodes, score in paths
        ]

    def stored(self) -> Stored:
        """The counts; all else follows from them."""
        arrays = self.words.arrays("words") | self.suffixes.counts.arrays("suffixes")
        arrays |= {"trigrams": self.model.trigrams, "counts": self.model.counts}
        arrays["longest_suffix"] = np.array([self.suffixes.longest])
        return Stored(arrays, {"suffixes": self.suffixes.counts.vocabulary})

    @classmethod
    def restored(cls, words: Vocabulary, tags: TagVocabulary, stored: Stored) -> Self:
        """The method that `stored` described."""
        endings = TagCounts.from_arrays(stored.vocabularies["suffixes"], stored.arrays, "suffixes", len(tags))
        trigrams, counts = (stored.arrays[name].astype(np.int64) for name in ("trigrams", "counts"))
        suffixes = SuffixCounts(int(stored.arrays["longest_suffix"][0]), endings)
        return cls(
            TrigramModel(len(tags), trigrams, counts),
            TagCounts.from_arrays(words, stored.arrays, "words", len(tags)),
            suffixes,
        )
