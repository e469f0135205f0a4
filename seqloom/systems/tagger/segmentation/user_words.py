"""A user's words for methods that do not search a lattice: their readings are corrected afterwards.

Forced words become words wherever they match. Preferred words become words where the method has cuts at both their ends, so
that what it cut into pieces is one word again; where it reads across an end, its reading stays.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from seqloom.data.characters import code_points
from seqloom.systems.tagger.segmentation.dictionary import Dictionary
from seqloom.systems.tagger.segmentation.word_lattice import Matches, TextBlock, find_words, leftmost_longest

__all__ = ["forced_spans", "impose_spans", "impose_user_words"]

Span = tuple[int, int]


def _user_matches(dictionary: Dictionary, texts: Sequence[str]) -> list[Matches]:
    """For each text where the user's words match, with offsets in the text."""
    block = TextBlock.of(texts)
    matches = find_words(dictionary, code_points(block.joined), block.between())
    matches = matches.where(dictionary.by_user[matches.word])
    matches = matches.where(np.argsort(matches.begin, kind="stable"))
    bounds = np.searchsorted(matches.begin, [*block.first, len(block.joined)]).tolist()
    return [
        Matches(matches.begin[low:high] - first, matches.end[low:high] - first, matches.word[low:high])
        for first, low, high in zip(block.first, bounds, bounds[1:], strict=False)
    ]


def _forced(dictionary: Dictionary, matches: Matches) -> list[Span]:
    forced = matches.where(dictionary.forced[matches.word])
    return leftmost_longest(forced.begin, forced.end)


def forced_spans(dictionary: Dictionary, texts: Sequence[str]) -> list[list[Span]]:
    """For each text the ``(begin, end)`` of the words that the dictionary forces, which do not overlap."""
    if not dictionary.forced.any() or not texts:
        return [[] for _ in texts]
    return [_forced(dictionary, matches) for matches in _user_matches(dictionary, texts)]


def impose_spans(words: Sequence[str], spans: Sequence[Span]) -> list[str]:
    """The words of a text after certain spans are made words: their ends become cuts, cuts inside them go.

    >>> impose_spans(["李国", "庆节", "日"], [(0, 3)])
    ['李国庆', '节', '日']
    """
    if not spans:
        return list(words)
    text = "".join(words)
    cuts = set(np.cumsum([len(word) for word in words]).tolist())
    for begin, end in spans:
        cuts.difference_update(range(begin + 1, end))
        cuts.update((begin, end))
    ordered = sorted({0, *cuts})
    return [text[begin:end] for begin, end in pairwise(ordered)]


def impose_user_words(dictionary: Dictionary, texts: Sequence[str], segmented: Sequence[list[str]]) -> list[list[str]]:
    """The words of each text after the user's have had their say.

    Args:
        dictionary: forced words are imposed; preferred ones where both their ends are cuts already and none is forced.
        texts: the texts.
        segmented: the words of each text by some method.

    >>> from seqloom.systems.tagger.segmentation.dictionary import UserEntry
    >>> words = Dictionary.from_counts({}).with_words({"云计算": UserEntry(), "算法": UserEntry()})
    >>> impose_user_words(words, ["云计算法"], [["云", "计", "算法"]]), impose_user_words(words, ["云计算"], [["云", "计算"]])
    ([['云', '计', '算法']], [['云计算']])
    """
    if not dictionary.user or not texts:
        return [list(words) for words in segmented]
    return [
        _impose(dictionary, matches, words) if len(matches.word) else list(words)
        for matches, words in zip(_user_matches(dictionary, texts), segmented, strict=True)
    ]


def _impose(dictionary: Dictionary, matches: Matches, words: list[str]) -> list[str]:
    forced = _forced(dictionary, matches)
    words = impose_spans(words, forced)
    length = sum(map(len, words))
    cut = np.zeros(length + 1, dtype=bool)
    cut[np.cumsum([0, *map(len, words)])] = True
    taken = np.zeros(length + 1, dtype=np.int64)
    for begin, end in forced:
        taken[begin + 1 : end + 1] = 1
    below = np.cumsum(taken)  # forced characters before each gap
    free = cut[matches.begin] & cut[matches.end] & (below[matches.end] == below[matches.begin])
    preferred = matches.where(free)
    return impose_spans(words, leftmost_longest(preferred.begin, preferred.end))
