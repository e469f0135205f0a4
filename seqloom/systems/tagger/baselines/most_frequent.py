"""Each word gets the tag that it had most often: the yardstick of every tagger (Charniak et al. 1993)."""

from collections.abc import Sequence
from typing import Self

import numpy as np

from seqloom.data.vocabulary import TagVocabulary, Vocabulary
from seqloom.systems.tagger.baselines.counts import SuffixCounts, TagCounts, dense, word_counts
from seqloom.systems.tagger.baselines.method import Ids, Probabilities, Stored, TaggedCorpus, Tokens

__all__ = ["MostFrequentTag"]

LONGEST_SUFFIX = 4


class MostFrequentTag:
    """The most frequent tag of a word; of an unknown one, that of its longest known ending and capitalisation.

    Among equally frequent tags the one that is more frequent overall wins. The probabilities are the shares of the tags
    among what was counted; a tag path's is their product, for the tokens are independent.

    Args:
        tags: number of tags K.
        words: tags of the words.
        suffixes: tags of the endings of up to 4 characters.
    """

    def __init__(self, tags: int, words: TagCounts, suffixes: SuffixCounts) -> None:
        self.tags, self.words, self.suffixes = tags, words, suffixes
        total = np.bincount(words.tags, words.counts, minlength=tags)
        self._everywhere: Probabilities = (total if total.any() else np.ones(tags)) / max(total.sum(), 1.0)

    @classmethod
    def fit(cls, corpus: TaggedCorpus, *, rare: int = 10) -> Self:
        """Counts words, and the endings of those that occur at most ``rare`` times."""
        return cls(len(corpus.tags), word_counts(corpus), SuffixCounts.fit(corpus, LONGEST_SUFFIX, rare))

    def _shares(self, token: str) -> Probabilities:
        """(K,) how often each tag was seen, as shares."""
        row = self.words.row(token)
        for longer in self.suffixes.rows(token) if row is None else ():
            row = longer
        if row is None:
            return self._everywhere
        counts = dense(row, self.tags)
        shares: Probabilities = counts / counts.sum()
        return shares

    def marginals(self, sentences: Sequence[Tokens]) -> list[Probabilities]:
        """(T, K) the shares of the tags."""
        known = {token: self._shares(token) for token in {token for sentence in sentences for token in sentence}}
        empty = np.zeros((0, self.tags))
        return [np.stack([known[token] for token in sentence]) if len(sentence) else empty for sentence in sentences]

    def tag(self, sentences: Sequence[Tokens]) -> list[Ids]:
        """(T,) the most frequent tags."""
        known = {
            token: int(self._shares(token).argmax())
            for token in {token for sentence in sentences for token in sentence}
        }
        return [np.array([known[token] for token in sentence], dtype=np.int64) for sentence in sentences]

    def k_best(self, sentences: Sequence[Tokens], k: int) -> list[list[tuple[Ids, float]]]:
        """The ``k`` most probable tag paths, exactly."""
        import torch

        from seqloom.decoding.crf import viterbi_k_best

        best = []
        for shares in self.marginals(sentences):
            with np.errstate(divide="ignore"):
                scores = torch.from_numpy(np.log(shares))[None]
            flat = torch.zeros(self.tags, dtype=torch.float64)
            paths, values = viterbi_k_best(scores, flat.expand(self.tags, -1), flat, flat, k=k)
            ranked = zip(paths[0].numpy(), values[0].tolist(), strict=True)
            best.append([(path, value) for path, value in ranked if value > float("-inf")])
        return best

    def stored(self) -> Stored:
        """The counts."""
        arrays = self.words.arrays("words") | self.suffixes.counts.arrays("suffixes")
        return Stored(arrays, {"suffixes": self.suffixes.counts.vocabulary})

    @classmethod
    def restored(cls, words: Vocabulary, tags: TagVocabulary, stored: Stored) -> Self:
        """The method that `stored` described."""
        endings = TagCounts.from_arrays(stored.vocabularies["suffixes"], stored.arrays, "suffixes", len(tags))
        counts = TagCounts.from_arrays(words, stored.arrays, "words", len(tags))
        return cls(len(tags), counts, SuffixCounts(LONGEST_SUFFIX, endings))
