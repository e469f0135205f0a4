"""How often each string was seen with each tag, in sparse rows; and what the endings of words tell about tags."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

import numpy as np

from seqloom.data.vocabulary import SPECIALS, Vocabulary
from seqloom.systems.tagger.baselines.method import Arrays, Ids, TaggedCorpus

__all__ = ["SuffixCounts", "TagCounts", "dense", "tag_ids_by_word", "word_counts"]


class TagCounts:
    """Counts of (string, tag), a row for each entry of a vocabulary.

    Args:
        vocabulary: the strings.
        offsets: (entries + 1,) where each entry's row begins in the other two arrays.
        tags: (R,) tag ids, rising within a row.
        counts: (R,) how often.
    """

    def __init__(self, vocabulary: Vocabulary, offsets: Ids, tags: Ids, counts: Ids) -> None:
        entries = len(vocabulary) - len(SPECIALS)
        if offsets.shape != (entries + 1,) or tags.shape != counts.shape or (entries and offsets[-1] != len(tags)):
            raise ValueError(f"counts of tags do not fit a vocabulary of {entries} entries")
        if (entries and (offsets[0] != 0 or (np.diff(offsets) < 0).any())) or min(
            tags.min(initial=0), counts.min(initial=0)
        ) < 0:
            raise ValueError("counts of tags are below zero or out of order")
        self.vocabulary, self.offsets, self.tags, self.counts = vocabulary, offsets, tags, counts

    @classmethod
    def of(cls, vocabulary: Vocabulary, pairs: Mapping[tuple[int, int], int]) -> Self:
        """From counts of (id in the vocabulary, tag id)."""
        rows = np.array(sorted((entry, tag, count) for (entry, tag), count in pairs.items()), np.int64).reshape(-1, 3)
        rows = rows[rows[:, 0] >= len(SPECIALS)]
        bounds = np.arange(len(SPECIALS), len(vocabulary) + 1)
        return cls(vocabulary, np.searchsorted(rows[:, 0], bounds).astype(np.int64), rows[:, 1], rows[:, 2])

    def row(self, string: str) -> tuple[Ids, Ids] | None:
        """The tags of a string and how often it had each; None where it was never seen."""
        entry = self.vocabulary[string] - len(SPECIALS)
        if entry < 0:
            return None
        place = slice(int(self.offsets[entry]), int(self.offsets[entry + 1]))
        return self.tags[place], self.counts[place]

    def arrays(self, prefix: str) -> Arrays:
        """The rows, for safetensors."""
        return {f"{prefix}.offsets": self.offsets, f"{prefix}.tags": self.tags, f"{prefix}.counts": self.counts}

    @classmethod
    def from_arrays(cls, vocabulary: Vocabulary, arrays: Arrays, prefix: str, size: int) -> Self:
        """What `arrays` described, for ``size`` tags. Raises ValueError where they do not fit together."""
        offsets, tags, counts = (arrays[f"{prefix}.{name}"].astype(np.int64) for name in ("offsets", "tags", "counts"))
        if tags.max(initial=-1) >= size:
            raise ValueError(f"a word has the tag {tags.max()}, and there are {size}")
        return cls(vocabulary, offsets, tags, counts)


class SuffixCounts:
    """Tags of rare words by their last characters, capitalised words apart from others (Samuelsson 1993; Brants 2000).

    Only rare words are counted: unknown words are like them, and frequent ones end as they do by chance.

    Args:
        longest: characters of the longest ending.
        counts: by endings, each behind ``A`` where the word begins with a capital and ``a`` where it does not.
    """

    def __init__(self, longest: int, counts: TagCounts) -> None:
        self.longest, self.counts = longest, counts

    @classmethod
    def fit(cls, corpus: TaggedCorpus, longest: int, rare: int) -> Self:
        """Counts the endings of up to ``longest`` characters of the words that occur at most ``rare`` times."""
        pairs: Counter[tuple[str, int]] = Counter()
        for (word, tag), count in tag_ids_by_word(corpus).items():
            # The few words spelled like special symbols have no count of their own and pass for rare.
            if corpus.words.counts[corpus.words[word]] <= rare:
                for key in _keys(word, longest):
                    pairs[key, tag] += count
        strings = Counter(key for key, _ in pairs)
        vocabulary = Vocabulary(sorted(strings))
        return cls(longest, TagCounts.of(vocabulary, {(vocabulary[key], tag): n for (key, tag), n in pairs.items()}))

    def rows(self, word: str) -> Iterator[tuple[Ids, Ids]]:
        """Tags and counts of a word's endings, from the empty one to the longest that is known."""
        for key in _keys(word, self.longest):
            row = self.counts.row(key)
            if row is None:
                return
            yield row


def tag_ids_by_word(corpus: TaggedCorpus) -> Counter[tuple[str, int]]:
    """How often each word had each tag."""
    tokens = [token for sentence in corpus.sentences for token in sentence]
    return Counter(zip(tokens, corpus.targets.tolist(), strict=True))


def word_counts(corpus: TaggedCorpus) -> TagCounts:
    """The counts of the corpus's words."""
    pairs: Counter[tuple[int, int]] = Counter()
    for (word, tag), count in tag_ids_by_word(corpus).items():
        pairs[corpus.words[word], tag] += count
    return TagCounts.of(corpus.words, pairs)


def dense(row: tuple[Ids, Ids] | None, tags: int) -> Ids:
    """(K,) a row's counts, zeros where there are none."""
    counts = np.zeros(tags, dtype=np.int64)
    if row is not None:
        counts[row[0]] = row[1]
    return counts


def _keys(word: str, longest: int) -> Sequence[str]:
    case = "A" if word[:1].isupper() else "a"
    return [case + word[len(word) - size :] for size in range(min(longest, len(word)) + 1)]
