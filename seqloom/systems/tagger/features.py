"""Features of tokens: each turns sentences into one id per token, and an id into a row of an embedding table.

A sentence is a sequence of tokens; a plain string is the sequence of its characters, which has a fast path. Sentences
are encoded together, as one flat array, so that a corpus costs a few array operations and no Python work per character.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from seqloom.data.characters import BigramVocabulary, CharacterVocabulary, FlatBatch
from seqloom.data.vocabulary import SPECIALS, Vocabulary, ordered_by_count
from seqloom.errors import ConfigError, did_you_mean
from seqloom.systems.tagger.lexicon import LexiconFeature

__all__ = ["FEATURES", "PAIRS", "CharactersFeature", "FeatureSet", "Ids", "Tokens"]

Tokens = Sequence[str]
Ids = NDArray[np.int64]

# A long word's two ends say most about it, and one freak of 10,000 characters must not cost a batch its memory.
LONGEST_SPELLING = 24


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


_DIGITS_AND_LETTERS = str.maketrans(
    {**dict.fromkeys("0123456789", "0"), **dict.fromkeys("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "a")}
)


def _fold_digits(text: str) -> str:
    return text.translate(_DIGITS_AND_LETTERS)


def _prefix(size: int) -> Callable[[str], str]:
    return lambda token: token[:size]


def _suffix(size: int) -> Callable[[str], str]:
    return lambda token: token[-size:]


_FUNCTIONS: dict[str, Callable[[str], str]] = {
    "token": str,
    "lowercase": str.lower,
    "shape": _shape,
    **{f"prefix{size}": _prefix(size) for size in range(1, 6)},
    **{f"suffix{size}": _suffix(size) for size in range(1, 6)},
}
PAIRS = ("bigram_left", "bigram_right")

FEATURES = (*_FUNCTIONS, *PAIRS, "lexicon", "characters")


class TokenFeature:
    """One value per token, by a function of the token; values not seen in training share the unknown entry."""

    def __init__(self, name: str, vocabulary: Vocabulary):
        self.name, self.vocabulary = name, vocabulary
        self._function = _FUNCTIONS[name]

    @classmethod
    def fit(cls, name: str, sentences: Sequence[Tokens], minimum_count: int) -> Self:
        """The values of the training sentences, a value of the spelling ``<unk>`` left to the unknown entry."""
        function, counts = _FUNCTIONS[name], Counter[str]()
        for token, count in Counter(token for sentence in sentences for token in sentence).items():
            counts[function(token)] += count
        for special in SPECIALS:
            counts.pop(special, None)
        kept = ordered_by_count(counts, minimum_count)
        return cls(name, Vocabulary(kept, [counts[value] for value in kept]))

    def encode(self, sentences: Sequence[Tokens]) -> Ids:
        """(N,) ids of all tokens of all sentences, one after the other."""
        cache: dict[str, str] = {}
        values = []
        for sentence in sentences:
            for token in sentence:
                value = cache.get(token)
                if value is None:
                    value = cache[token] = self._function(token)
                values.append(value)
        return self.vocabulary.lookup(values)


class CharactersFeature:
    """The spelling of a token, for a recurrent network over its characters (Ling et al. 2015; Lample et al. 2016)."""

    def __init__(self, vocabulary: CharacterVocabulary):
        self.vocabulary = vocabulary

    def spell(self, tokens: Sequence[str]) -> tuple[Ids, Ids]:
        """(U, L) character ids of U tokens, padded with 0, and (U,) their lengths; long ones keep their two ends."""
        half = LONGEST_SPELLING // 2
        short = [token if len(token) <= LONGEST_SPELLING else token[:half] + token[-half:] for token in tokens]
        lengths = np.array([len(token) for token in short], dtype=np.int64)
        ids = np.zeros((len(short), max(1, int(lengths.max(initial=0)))), dtype=np.int64)
        ids[np.arange(ids.shape[1]) < lengths[:, None]] = self.vocabulary.encode("".join(short))
        return ids, lengths


class FeatureSet:
    """The features of one tagger, in the order of its configuration.

    Args:
        names: which features; the pairs ``bigram_left`` (t-1, t) and ``bigram_right`` (t, t+1) are of characters.
        tokens: the features that are a function of the token.
        characters: the vocabulary of characters, where sentences are strings or tokens are spelled.
        bigrams: the vocabulary of neighbouring characters.
        lexicon: what a list of words says about each character.
        fold_digits: whether every digit is read as 0 and every Latin letter as a, outside the lexicon.
    """

    def __init__(
        self,
        names: Sequence[str],
        tokens: dict[str, TokenFeature],
        characters: CharacterVocabulary | None,
        bigrams: BigramVocabulary | None,
        lexicon: LexiconFeature | None = None,
        fold_digits: bool = False,
    ):
        self.names = tuple(names)
        self.tokens, self.characters, self.bigrams, self.lexicon = tokens, characters, bigrams, lexicon
        self.fold_digits = fold_digits
        # Sentences are strings, and their tokens characters, exactly when there is no vocabulary of other tokens.
        self.of_characters = "token" in self.names and "token" not in tokens
        self.spelling = CharactersFeature(characters) if characters and "characters" in self.names else None

    @classmethod
    def fit(
        cls,
        names: Sequence[str],
        sentences: Sequence[Tokens],
        minimum_count: int = 1,
        *,
        words: Sequence[Sequence[str]] | None = None,
        fold_digits: bool = False,
    ) -> Self:
        """Collects the values of the features from training sentences.

        Args:
            words: the words of each sentence, for the lexicon, where sentences are strings.

        Raises:
            ConfigError: a name is unknown, or a feature of characters is asked for where tokens are words.
        """
        for name in names:
            if name not in FEATURES:
                raise ConfigError(f"model.features: {name!r} is not a known feature{did_you_mean(name, FEATURES)}")
        strings = [sentence for sentence in sentences if isinstance(sentence, str)]
        of_characters = len(strings) == len(sentences)
        bigrams = characters = None
        if of_characters or "characters" in names:
            texts = strings if of_characters else ["".join(sentence) for sentence in sentences]
            texts = strings = [_fold_digits(text) for text in texts] if fold_digits else texts
            characters = CharacterVocabulary.build(texts, minimum_count)
        if any(pair in names for pair in PAIRS):
            if not of_characters or characters is None or "token" not in names:
                raise ConfigError(
                    "model.features: bigram_left and bigram_right are pairs of characters; they need the feature 'token' "
                    "and sentences of characters (for words take prefixes, suffixes, shape or characters)"
                )
            bigrams = BigramVocabulary.build(characters.encode_batch(strings), len(characters), minimum_count)
        lexicon = None
        if "lexicon" in names:
            if words is None:
                raise ConfigError(
                    "model.features: 'lexicon' tells of the words around a character; only segmenters have it"
                )
            lexicon = LexiconFeature.fit(words)
        tokens = {
            name: TokenFeature.fit(name, sentences, minimum_count)
            for name in names
            if name in _FUNCTIONS and not (name == "token" and of_characters)
        }
        return cls(names, tokens, characters, bigrams, lexicon, fold_digits)

    def sizes(self) -> dict[str, int]:
        """Rows of each feature's embedding table."""
        return {name: LexiconFeature.size if name == "lexicon" else len(self._vocabulary(name)) for name in self.names}

    def seen_once(self, name: str) -> NDArray[np.bool_]:
        """(size,) whether training has seen the value of each id just once."""
        if name == "lexicon":
            return np.zeros(LexiconFeature.size, dtype=bool)
        counts: NDArray[np.bool_] = self._vocabulary(name).counts == 1
        return counts

    def values(self, name: str) -> list[str]:
        """The value of every id from the first real one on, as a file of word vectors would spell it."""
        if name in PAIRS and self.bigrams is not None and self.characters is not None:
            left, right = (self.characters.names(ids.tolist()) for ids in self.bigrams.pairs())
            return [first + second for first, second in zip(left, right, strict=True)]
        if name in self.tokens:
            return self.tokens[name].vocabulary.entries
        if name == "token" and self.characters is not None:
            return self.characters.entries
        raise ConfigError(f"model.embeddings: the feature {name!r} has no pretrained vectors; it may be left out there")

    def encode(
        self, sentences: Sequence[Tokens], *, training_words: Sequence[Sequence[str]] | None = None
    ) -> dict[str, Ids]:
        """(N,) ids of all tokens of all sentences, for every feature but the spelling.

        Args:
            training_words: the words of each sentence, given for the training sentences alone; the lexicon then hides
                from each sentence what only its own tenth of them knows.
        """
        flat: dict[str, Ids] = {}
        if self.of_characters and self.characters is not None:
            texts = ["".join(sentence) for sentence in sentences]
            if self.lexicon is not None:
                flat["lexicon"] = (
                    self.lexicon.encode(texts)
                    if training_words is None
                    else self.lexicon.encode_jackknifed(training_words)
                )
            batch = self.characters.encode_batch([_fold_digits(text) for text in texts] if self.fold_digits else texts)
            flat["token"] = batch.ids
            if self.bigrams is not None:
                pairs = dict(zip(PAIRS, self.bigrams.encode_batch(FlatBatch(*batch)), strict=True))
                flat |= {name: ids for name, ids in pairs.items() if name in self.names}
        for name, feature in self.tokens.items():
            flat[name] = feature.encode(sentences)
        return {name: flat[name] for name in self.names if name != "characters"}

    def save(self, folder: Path) -> None:
        """Writes each vocabulary as one JSON file."""
        for name, vocabulary in self._files():
            vocabulary.save(folder / f"{name}.json")

    @classmethod
    def load(cls, folder: Path, names: Sequence[str], *, fold_digits: bool = False) -> Self:
        """Reads what :meth:`save` wrote. Raises ModelError where something is missing or damaged."""
        found = folder / "characters.json"
        characters = CharacterVocabulary.load(found) if found.exists() or "characters" in names else None
        pairs = any(pair in names for pair in PAIRS)
        bigrams = BigramVocabulary.load(folder / "bigrams.json") if pairs else None
        tokens = {
            name: TokenFeature(name, Vocabulary.load(folder / f"{name}.json"))
            for name in names
            if name in _FUNCTIONS and not (name == "token" and characters and not (folder / "token.json").exists())
        }
        lexicon = LexiconFeature.load(folder / "lexicon.json") if "lexicon" in names else None
        return cls(names, tokens, characters, bigrams, lexicon, fold_digits)

    def _vocabulary(self, name: str) -> Vocabulary | CharacterVocabulary | BigramVocabulary:
        if name in self.tokens:
            return self.tokens[name].vocabulary
        found = self.bigrams if name in PAIRS else self.characters
        if found is None:
            raise ValueError(f"feature {name!r} has no vocabulary")
        return found

    def _files(self) -> Iterator[tuple[str, Vocabulary | CharacterVocabulary | BigramVocabulary | LexiconFeature]]:
        yield from ((name, feature.vocabulary) for name, feature in self.tokens.items())
        if self.characters is not None:
            yield "characters", self.characters
        if self.bigrams is not None:
            yield "bigrams", self.bigrams
        if self.lexicon is not None:
            yield "lexicon", self.lexicon
