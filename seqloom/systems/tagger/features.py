"""Features of tokens: each turns sentences into one id per token, and an id into a row of an embedding table.

A sentence is a sequence of tokens; a plain string is the sequence of its characters, which has a fast path. Sentences
are encoded together, as one flat array, so that a corpus costs a few array operations and no Python work per token.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seqloom.errors import ConfigError, ModelError, did_you_mean

__all__ = ["FEATURES", "PADDING", "UNKNOWN", "CharactersFeature", "Feature", "PairFeature", "make_feature"]

PADDING, UNKNOWN, START, END = 0, 1, 2, 3
_SPECIAL = 4

Tokens = Sequence[str]
Ids = NDArray[np.int64]


def code_points(text: str) -> NDArray[np.uint32]:
    """The code points of a text, lone surrogates included."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def sentence_offsets(sentences: Sequence[Tokens]) -> Ids:
    """Where each sentence begins in the flat array of all tokens; one more entry than sentences."""
    offsets = np.zeros(len(sentences) + 1, dtype=np.int64)
    np.cumsum([len(sentence) for sentence in sentences], out=offsets[1:])
    return offsets


def _shape(token: str) -> str:
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


def _identity(token: str) -> str:
    return token


def _prefix(size: int) -> Callable[[str], str]:
    return lambda token: token[:size]


def _suffix(size: int) -> Callable[[str], str]:
    return lambda token: token[-size:]


FUNCTIONS: dict[str, Callable[[str], str]] = {
    "token": _identity,
    "lowercase": str.lower,
    "shape": _shape,
    **{f"prefix{size}": _prefix(size) for size in range(1, 6)},
    **{f"suffix{size}": _suffix(size) for size in range(1, 6)},
}


class Feature:
    """One value per token, by a function of the token; rare values share the unknown entry.

    ``values[i]`` has the id ``i + 4``; the ids before are padding, unknown, and the two ends of a sentence.
    """

    def __init__(self, name: str, values: Sequence[str], counts: Sequence[int]):
        self.name = name
        self.values = list(values)
        self.counts = np.asarray(counts, dtype=np.int64)
        self._function = FUNCTIONS[name]
        self._ids = {value: index + _SPECIAL for index, value in enumerate(self.values)}
        self._table: Ids | None = None
        if all(len(value) == 1 for value in self.values):
            self._table = np.full(0x110000, UNKNOWN, dtype=np.int64)
            self._table[code_points("".join(self.values))] = np.arange(_SPECIAL, len(self.values) + _SPECIAL)

    @property
    def size(self) -> int:
        """Rows of the embedding table."""
        return len(self.values) + _SPECIAL

    @classmethod
    def fit(cls, name: str, sentences: Sequence[Tokens], minimum_count: int) -> Self:
        """The values seen at least that often, most frequent first and then in the order of their code points."""
        function = FUNCTIONS[name]
        counts: Counter[str] = Counter()
        for token, count in _token_counts(sentences).items():
            counts[function(token)] += count
        kept = sorted((item for item in counts.items() if item[1] >= minimum_count), key=lambda item: (-item[1], item[0]))
        return cls(name, [value for value, _ in kept], [count for _, count in kept])

    def encode(self, sentences: Sequence[Tokens]) -> Ids:
        """(N,) ids of all tokens of all sentences, one after the other."""
        if self.name == "token" and self._table is not None and all(isinstance(s, str) for s in sentences):
            return self._table[code_points("".join(sentences))]  # type: ignore[arg-type]
        ids, function = self._ids, self._function
        cache: dict[str, int] = {}
        flat = []
        for sentence in sentences:
            for token in sentence:
                found = cache.get(token)
                if found is None:
                    found = cache[token] = ids.get(function(token), UNKNOWN)
                flat.append(found)
        return np.array(flat, dtype=np.int64)

    def seen_once(self) -> NDArray[np.bool_]:
        """(size,) whether training has seen the value of an id just once."""
        return np.concatenate([np.zeros(_SPECIAL, dtype=bool), self.counts == 1])

    def to_json(self) -> dict[str, Any]:
        return {"values": self.values, "counts": self.counts.tolist()}

    @classmethod
    def from_json(cls, name: str, content: Any) -> Self:
        """Raises ModelError where the content is not what :meth:`to_json` gives."""
        try:
            values, counts = content["values"], content["counts"]
            if len(values) != len(counts) or len(set(values)) != len(values):
                raise ValueError
            if not all(isinstance(value, str) for value in values) or not all(isinstance(n, int) for n in counts):
                raise ValueError
        except (TypeError, KeyError, ValueError):
            raise ModelError(f"vocabulary of feature '{name}' is damaged: expected values and their counts") from None
        return cls(name, values, counts)


class PairFeature:
    """Two neighbouring tokens as one value: ``bigram_left`` is (t-1, t), ``bigram_right`` is (t, t+1).

    A pair is looked up by the ids of its two tokens, so the table of 100,000 and more pairs is two sorted arrays.
    """

    def __init__(self, name: str, token: Feature, keys: Ids, counts: Ids):
        self.name, self.token, self.keys, self.counts = name, token, keys, counts

    @property
    def size(self) -> int:
        """Rows of the embedding table."""
        return len(self.keys) + _SPECIAL

    @classmethod
    def fit(cls, name: str, token: Feature, sentences: Sequence[Tokens], minimum_count: int) -> Self:
        """The pairs of known tokens seen at least that often."""
        # Both sides have the same pairs but for the sentence ends; each is fitted on what it will be asked for.
        flat, offsets = token.encode(sentences), sentence_offsets(sentences)
        keys, counts = np.unique(_pair_keys(name, flat, offsets), return_counts=True)
        known = (keys >> 32 != UNKNOWN) & (keys & 0xFFFFFFFF != UNKNOWN) & (counts >= minimum_count)
        return cls(name, token, keys[known], counts[known].astype(np.int64))

    def encode_ids(self, flat: Ids, offsets: Ids) -> Ids:
        """(N,) ids of the pairs, from the ids of the tokens and the beginnings of the sentences."""
        if not len(self.keys):
            return np.full(len(flat), UNKNOWN, dtype=np.int64)
        wanted = _pair_keys(self.name, flat, offsets)
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[place] == wanted, place + _SPECIAL, UNKNOWN)

    def encode(self, sentences: Sequence[Tokens]) -> Ids:
        """(N,) ids of all pairs of all sentences, one after the other."""
        return self.encode_ids(self.token.encode(sentences), sentence_offsets(sentences))

    def seen_once(self) -> NDArray[np.bool_]:
        """(size,) whether training has seen the value of an id just once."""
        return np.concatenate([np.zeros(_SPECIAL, dtype=bool), self.counts == 1])

    def to_json(self) -> dict[str, Any]:
        return {"first": (self.keys >> 32).tolist(), "second": (self.keys & 0xFFFFFFFF).tolist(), "counts": self.counts.tolist()}

    @classmethod
    def from_json(cls, name: str, token: Feature, content: Any) -> Self:
        """Raises ModelError where the content is not what :meth:`to_json` gives."""
        try:
            first, second, counts = (np.asarray(content[key], dtype=np.int64) for key in ("first", "second", "counts"))
            keys = (first << 32) | second
            if not (keys.ndim == 1 and len(keys) == len(counts) and np.all(np.diff(keys) > 0)):
                raise ValueError
        except (TypeError, KeyError, ValueError, OverflowError):
            raise ModelError(f"vocabulary of feature '{name}' is damaged: expected sorted pairs of ids") from None
        return cls(name, token, keys, counts)


class CharactersFeature:
    """The spelling of a token, for a recurrent network over its characters (Ling et al. 2015; Lample et al. 2016)."""

    name = "characters"
    maximum_length = 24

    def __init__(self, character: Feature):
        self.character = character

    @property
    def size(self) -> int:
        """Rows of the character embedding table."""
        return self.character.size

    @classmethod
    def fit(cls, sentences: Sequence[Tokens], minimum_count: int) -> Self:
        return cls(Feature.fit("token", ["".join(sentence) for sentence in sentences], minimum_count))

    def spell(self, tokens: Sequence[str]) -> tuple[Ids, Ids]:
        """(U, L) character ids of the tokens, padded with 0, and (U,) their lengths, both ends kept where one is long."""
        half = self.maximum_length // 2
        short = [t if len(t) <= self.maximum_length else t[:half] + t[-half:] for t in tokens]
        lengths = np.array([len(token) for token in short], dtype=np.int64)
        ids = np.zeros((len(short), max(1, int(lengths.max(initial=0)))), dtype=np.int64)
        ids[np.arange(ids.shape[1]) < lengths[:, None]] = self.character.encode(short)
        return ids, lengths

    def to_json(self) -> dict[str, Any]:
        return self.character.to_json()

    @classmethod
    def from_json(cls, content: Any) -> Self:
        return cls(Feature.from_json("token", content))


FEATURES = (*FUNCTIONS, "bigram_left", "bigram_right", "characters")
AnyFeature = Feature | PairFeature | CharactersFeature


def make_feature(
    name: str, earlier: Mapping[str, AnyFeature], build: Callable[[type[AnyFeature], tuple[Any, ...]], AnyFeature]
) -> AnyFeature:
    """One feature, fitted or read back by ``build(class, leading arguments)``; pairs need the token feature before them.

    Raises:
        ConfigError: the name is unknown, or a pair is asked for without tokens.
    """
    if name not in FEATURES:
        raise ConfigError(f"model.features: {name!r} is not a known feature{did_you_mean(name, FEATURES)}")
    if name == "characters":
        return build(CharactersFeature, ())
    if name in FUNCTIONS:
        return build(Feature, (name,))
    if "token" not in earlier:
        raise ConfigError(f"model.features: '{name}' is made of tokens; put 'token' before it with a size above 0")
    return build(PairFeature, (name, earlier["token"]))


def _token_counts(sentences: Sequence[Tokens]) -> Counter[str]:
    if all(isinstance(sentence, str) for sentence in sentences):
        points, counts = np.unique(code_points("".join(sentences)), return_counts=True)  # type: ignore[arg-type]
        return Counter({chr(point): int(count) for point, count in zip(points, counts, strict=True)})
    return Counter(token for sentence in sentences for token in sentence)


def _pair_keys(name: str, flat: Ids, offsets: Ids) -> Ids:
    first, second = flat, flat
    starts, ends = offsets[:-1], offsets[1:]
    inner = ends > starts
    if name == "bigram_left":
        first = np.empty_like(flat)
        first[1:] = flat[:-1]
        first[starts[inner]] = START
    else:
        second = np.empty_like(flat)
        second[:-1] = flat[1:]
        second[ends[inner] - 1] = END
    keys: Ids = (first << 32) | second
    return keys
