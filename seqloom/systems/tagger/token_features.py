"""Features that are a function of the token, computed once for each distinct token of a corpus."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, count
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from seqloom.data.characters import CharacterVocabulary
from seqloom.data.embeddings import word_forms
from seqloom.data.vocabulary import SPECIALS, UNKNOWN, Vocabulary, ordered_by_count

__all__ = [
    "FUNCTIONS",
    "WORDS",
    "CharactersFeature",
    "Distinct",
    "Ids",
    "TokenFeature",
    "Tokens",
    "digits_as_zero",
    "distinct_tokens",
    "word_shape",
]

Tokens = Sequence[str]
Ids = NDArray[np.int64]

# A long word's two ends say most about it, and one freak of 10,000 characters must not cost a batch its memory.
LONGEST_SPELLING = 24

_DIGIT = re.compile(r"\d")


def word_shape(token: str) -> str:
    """Classes of characters with repetitions removed: ``IBM-2020`` is ``X-d``, ``Peter`` is ``Xx``."""
    shape: list[str] = []
    for character in token:
        if character.isupper():
            kind = "X"
        elif character.islower():
            kind = "x"
        elif character.isdigit():
            kind = "d"
        elif character.isalpha():
            kind = "c"
        else:
            kind = character
        if not shape or shape[-1] != kind:
            shape.append(kind)
    return "".join(shape)


def _capitalisation(token: str) -> str:
    """How capitals are used (Wang et al. 2015, section 2.1).

    >>> [_capitalisation(token) for token in ("the", "IBM", "Rome", "iPhone", "42")]
    ['lower', 'upper', 'leading', 'mixed', 'none']
    """
    if token.islower():
        return "lower"
    if token.isupper():
        # One capital letter is a leading one: "A" begins more sentences than it abbreviates names.
        return "upper" if sum(map(str.isalpha, token)) > 1 else "leading"
    if token[:1].isupper() and token[1:].islower():
        return "leading"
    return "mixed" if any(map(str.isupper, token)) else "none"


def _prefix(size: int) -> Callable[[str], str]:
    return lambda token: token[:size]


def _suffix(size: int) -> Callable[[str], str]:
    return lambda token: token[-size:]


FUNCTIONS: dict[str, Callable[[str], str]] = {
    "token": str,
    "lowercase": str.lower,
    "capitalisation": _capitalisation,
    "shape": word_shape,
    **{f"prefix{size}": _prefix(size) for size in range(1, 6)},
    **{f"suffix{size}": _suffix(size) for size in range(1, 6)},
}

# The features that tell one word from all others: what word dropout hides, and what vectors of words are of.
WORDS = ("token", "lowercase")


def digits_as_zero(token: str) -> str:
    """The token with every digit as 0 (Lample et al. 2016).

    >>> digits_as_zero("1998-05")
    '0000-00'
    """
    return _DIGIT.sub("0", token)


class Distinct(NamedTuple):
    """The distinct tokens of a corpus in the order of their first places, and for each of its N tokens which it is."""

    tokens: list[str]
    which: Ids


def distinct_tokens(sentences: Sequence[Tokens]) -> Distinct:
    """The distinct tokens of sentences laid end to end.

    >>> distinct_tokens([["a", "b"], ["a"]])
    Distinct(tokens=['a', 'b'], which=array([0, 1, 0]))
    """
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    total = sum(map(len, sentences))
    index = np.fromiter(map(numbers.__getitem__, chain.from_iterable(sentences)), np.int64, total)
    return Distinct(list(numbers), index)


class TokenFeature:
    """One value per token, by a function of the token; values not seen in training share the unknown entry.

    Args:
        name: that of the function.
        vocabulary: the values.
        forms: whether a value that is not among them is looked up in lower case, and then with its digits as zeros too,
            as pretrained vectors are, which often have lower-case words alone.
    """

    def __init__(self, name: str, vocabulary: Vocabulary, forms: bool = False):
        self.name, self.vocabulary, self.forms = name, vocabulary, forms
        self._function = FUNCTIONS[name]

    @classmethod
    def fit(cls, name: str, counted: Mapping[str, int], minimum_count: int, forms: bool = False) -> Self:
        """The values of the counted training tokens, a value of the spelling ``<unk>`` left to the unknown entry."""
        function, counts = FUNCTIONS[name], Counter[str]()
        for token, number in counted.items():
            counts[function(token)] += number
        for special in SPECIALS:
            counts.pop(special, None)
        kept = ordered_by_count(counts, minimum_count)
        return cls(name, Vocabulary(kept, [counts[value] for value in kept]), forms)

    def know(self, tokens: Iterable[str]) -> None:
        """Gives the values of tokens that training has not seen an entry of their own behind all others, with count 0."""
        old = self.vocabulary
        values = dict.fromkeys(map(self._function, tokens))
        new = [value for value in values if value not in old and value not in SPECIALS]
        self.vocabulary = Vocabulary([*old.entries, *new], [*old.counts[len(SPECIALS) :].tolist(), *[0] * len(new)])

    def encode(self, tokens: Sequence[str]) -> Ids:
        """(U,) ids of U tokens."""
        values = list(map(self._function, tokens))
        ids = self.vocabulary.lookup(values)
        if self.forms:
            for place in np.flatnonzero(ids == UNKNOWN).tolist():
                candidates = (self.vocabulary[form] for form in word_forms(values[place])[1:])
                ids[place] = next((number for number in candidates if number != UNKNOWN), UNKNOWN)
        return ids


class CharactersFeature:
    """The spelling of a token, for a network over its characters (Ling et al. 2015; Lample et al. 2016)."""

    def __init__(self, vocabulary: CharacterVocabulary):
        self.vocabulary = vocabulary

    def spell(self, tokens: Sequence[str]) -> tuple[Ids, Ids]:
        """(N,) character ids of U tokens laid end to end, and (U + 1,) where each begins; long ones keep their two ends."""
        half = LONGEST_SPELLING // 2
        short = [token if len(token) <= LONGEST_SPELLING else token[:half] + token[-half:] for token in tokens]
        ids, offsets = self.vocabulary.encode_batch(short)
        return ids, offsets
