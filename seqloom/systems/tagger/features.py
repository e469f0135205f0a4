"""Features of tokens: each turns sentences into one id per token, and an id into a row of an embedding table.

A sentence is a sequence of tokens; a plain string is the sequence of its characters, which has a fast path. Sentences
are encoded together, as one flat array, so that a corpus costs a few array operations and no Python work per character.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from seqloom.data.characters import BigramVocabulary, CharacterVocabulary, FlatBatch
from seqloom.data.vocabulary import UNKNOWN, Vocabulary
from seqloom.errors import ConfigError, did_you_mean
from seqloom.systems.tagger.lexicon import LexiconFeature
from seqloom.systems.tagger.token_features import (
    FUNCTIONS,
    WORDS,
    CharactersFeature,
    Distinct,
    Ids,
    TokenFeature,
    Tokens,
    digits_as_zero,
    distinct_tokens,
)

__all__ = ["FEATURES", "PAIRS", "CharactersFeature", "FeatureSet", "Ids", "Tokens"]

PAIRS = ("bigram_left", "bigram_right")
FEATURES = (*FUNCTIONS, *PAIRS, "lexicon", "characters")

_DIGITS_AND_LETTERS = str.maketrans(
    {**dict.fromkeys("0123456789", "0"), **dict.fromkeys("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "a")}
)


def _fold_digits(text: str) -> str:
    return text.translate(_DIGITS_AND_LETTERS)


class FeatureSet:
    """The features of one tagger, in the order of its configuration.

    Args:
        names: which features; the pairs ``bigram_left`` (t-1, t) and ``bigram_right`` (t, t+1) are of tokens.
        tokens: the features that are a function of the token.
        characters: the vocabulary of characters, where sentences are strings or tokens are spelled.
        bigrams: the vocabulary of neighbouring tokens.
        lexicon: what a list of words says about each character.
        fold_digits: of strings: whether every digit is read as 0 and every Latin letter as a, outside the lexicon.
        zero_digits: of other tokens: whether every digit is read as 0.
    """

    def __init__(
        self,
        names: Sequence[str],
        tokens: dict[str, TokenFeature],
        characters: CharacterVocabulary | None,
        bigrams: BigramVocabulary | None,
        lexicon: LexiconFeature | None = None,
        *,
        fold_digits: bool = False,
        zero_digits: bool = False,
    ):
        self.names = tuple(names)
        self.tokens, self.characters, self.bigrams, self.lexicon = tokens, characters, bigrams, lexicon
        self.fold_digits, self.zero_digits = fold_digits, zero_digits
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
        zero_digits: bool = False,
        with_vectors: Collection[str] = (),
    ) -> Self:
        """Collects the values of the features from training sentences.

        Args:
            words: the words of each sentence, for the lexicon, where sentences are strings.
            with_vectors: features that get pretrained vectors, and look up unknown values as these are looked up.

        Raises:
            ConfigError: a name is unknown, or a feature is asked for that such sentences cannot have.
        """
        _check(names, words)
        of_characters = all(isinstance(sentence, str) for sentence in sentences)
        tokens, characters = {}, None
        if of_characters:
            texts = ["".join(sentence) for sentence in sentences]
            characters = CharacterVocabulary.build(map(_fold_digits, texts) if fold_digits else texts, minimum_count)
        wanted = [name for name in names if name in FUNCTIONS and not (name == "token" and of_characters)]
        if wanted or not of_characters:
            counted = _counted(sentences, zero_digits and not of_characters)
            tokens = {
                name: TokenFeature.fit(name, counted, minimum_count, forms=name in with_vectors) for name in wanted
            }
            if "characters" in names and not of_characters:
                characters = CharacterVocabulary.build(counted.elements(), minimum_count)
        lexicon = LexiconFeature.fit(words) if "lexicon" in names and words is not None else None
        folding = {"fold_digits": fold_digits, "zero_digits": zero_digits}
        features = cls(names, tokens, characters, None, lexicon, **folding)
        if any(pair in names for pair in PAIRS):
            batch = features._tokens(sentences, features.distinct(sentences))
            features.bigrams = BigramVocabulary.build(batch, len(features._token_vocabulary()), minimum_count)
        return features

    def know(self, name: str, words: Iterable[str]) -> None:
        """Adds words that training has not seen to a feature, for which there are vectors from elsewhere."""
        if feature := self.tokens.get(name):
            feature.know(map(digits_as_zero, words) if self.zero_digits else words)

    def distinct(self, sentences: Sequence[Tokens]) -> Distinct | None:
        """The distinct tokens of sentences as the features read them; None where no feature asks for any."""
        if self.of_characters and not self.tokens and self.spelling is None:
            return None
        known = distinct_tokens(sentences)
        if self.zero_digits and not self.of_characters:
            return Distinct(list(map(digits_as_zero, known.tokens)), known.which)
        return known

    def sizes(self) -> dict[str, int]:
        """Rows of each feature's embedding table."""
        return {name: LexiconFeature.size if name == "lexicon" else len(self._vocabulary(name)) for name in self.names}

    def unknown_rates(self, name: str, unknown_rate: float, word_dropout: float = 0.0) -> NDArray[np.float64]:
        """(size,) how likely each id is read as unknown in training.

        Args:
            unknown_rate: of a value that training has seen once (Lample et al. 2016).
            word_dropout: alpha of alpha / (alpha + count), which 0 switches off; then that of every word alone, and
                ``unknown_rate`` is for the other features (Kiperwasser & Goldberg 2016).
        """
        counts = self._counts(name)
        if word_dropout > 0.0 and name in WORDS:
            return np.where(counts > 0, word_dropout / (word_dropout + counts), 0.0)
        return np.where(counts == 1, unknown_rate, 0.0)

    def values(self, name: str) -> list[str]:
        """The value of every id from the first real one on, as a file of word vectors would spell it."""
        if name in PAIRS and self.bigrams is not None:
            left, right = (self._token_vocabulary().names(ids.tolist()) for ids in self.bigrams.pairs())
            return [first + second for first, second in zip(left, right, strict=True)]
        if name in self.tokens:
            return self.tokens[name].vocabulary.entries
        if name == "token" and self.characters is not None:
            return self.characters.entries
        raise ConfigError(f"model.embeddings: the feature {name!r} has no pretrained vectors; it may be left out there")

    def encode(
        self,
        sentences: Sequence[Tokens],
        *,
        training_words: Sequence[Sequence[str]] | None = None,
        distinct: Distinct | None = None,
    ) -> dict[str, Ids]:
        """(N,) ids of all tokens of all sentences, for every feature but the spelling.

        Args:
            training_words: the words of each sentence, given for the training sentences alone; the lexicon then hides
                from each sentence what only its own tenth of them knows.
            distinct: what :meth:`distinct` gives for these sentences, where it is known already.
        """
        flat: dict[str, Ids] = {}
        known = self.distinct(sentences) if distinct is None else distinct
        if self.lexicon is not None:
            flat["lexicon"] = (
                self.lexicon.encode(["".join(sentence) for sentence in sentences])
                if training_words is None
                else self.lexicon.encode_jackknifed(training_words)
            )
        if self.of_characters or self.bigrams is not None:
            batch = self._tokens(sentences, known)
            flat["token"] = batch.ids
            if self.bigrams is not None:
                # Words known from their vectors alone came behind the pairs of training.
                within = np.where(batch.ids < self.bigrams.characters, batch.ids, UNKNOWN)
                flat |= dict(zip(PAIRS, self.bigrams.encode_batch(FlatBatch(within, batch.offsets)), strict=True))
        if known is not None:
            for name, feature in self.tokens.items():
                if name not in flat:
                    flat[name] = feature.encode(known.tokens)[known.which]
        return {name: flat[name] for name in self.names if name != "characters"}

    def save(self, folder: Path) -> None:
        """Writes each vocabulary as one JSON file."""
        for name, vocabulary in self._files():
            vocabulary.save(folder / f"{name}.json")

    @classmethod
    def load(
        cls,
        folder: Path,
        names: Sequence[str],
        *,
        fold_digits: bool = False,
        zero_digits: bool = False,
        with_vectors: Collection[str] = (),
    ) -> Self:
        """Reads what :meth:`save` wrote. Raises ModelError where something is missing or damaged."""
        path = folder / "characters.json"
        characters = CharacterVocabulary.load(path) if path.exists() or "characters" in names else None
        pairs = any(pair in names for pair in PAIRS)
        bigrams = BigramVocabulary.load(folder / "bigrams.json") if pairs else None
        tokens = {
            name: TokenFeature(name, Vocabulary.load(folder / f"{name}.json"), forms=name in with_vectors)
            for name in names
            if name in FUNCTIONS and not (name == "token" and characters and not (folder / "token.json").exists())
        }
        lexicon = LexiconFeature.load(folder / "lexicon.json") if "lexicon" in names else None
        return cls(names, tokens, characters, bigrams, lexicon, fold_digits=fold_digits, zero_digits=zero_digits)

    def _tokens(self, sentences: Sequence[Tokens], known: Distinct | None) -> FlatBatch:
        """The ids of the feature ``token``, laid end to end."""
        if self.of_characters and self.characters is not None:
            texts = ["".join(sentence) for sentence in sentences]
            return self.characters.encode_batch([_fold_digits(text) for text in texts] if self.fold_digits else texts)
        known = distinct_tokens(sentences) if known is None else known
        offsets = np.zeros(len(sentences) + 1, dtype=np.int64)
        np.cumsum(list(map(len, sentences)), out=offsets[1:])
        return FlatBatch(self.tokens["token"].encode(known.tokens)[known.which], offsets)

    def _counts(self, name: str) -> Ids:
        """(size,) how often training has seen the value of each id; 0 where that is nothing to go by."""
        return np.zeros(LexiconFeature.size, np.int64) if name == "lexicon" else self._vocabulary(name).counts

    def _token_vocabulary(self) -> Vocabulary | CharacterVocabulary:
        vocabulary = self.tokens["token"].vocabulary if "token" in self.tokens else self.characters
        if vocabulary is None:
            raise ValueError("the feature 'token' has no vocabulary")
        return vocabulary

    def _vocabulary(self, name: str) -> Vocabulary | CharacterVocabulary | BigramVocabulary:
        if name in self.tokens:
            return self.tokens[name].vocabulary
        vocabulary = self.bigrams if name in PAIRS else self.characters
        if vocabulary is None:
            raise ValueError(f"feature {name!r} has no vocabulary")
        return vocabulary

    def _files(self) -> Iterator[tuple[str, Vocabulary | CharacterVocabulary | BigramVocabulary | LexiconFeature]]:
        yield from ((name, feature.vocabulary) for name, feature in self.tokens.items())
        if self.characters is not None:
            yield "characters", self.characters
        if self.bigrams is not None:
            yield "bigrams", self.bigrams
        if self.lexicon is not None:
            yield "lexicon", self.lexicon


def _check(names: Sequence[str], words: object) -> None:
    for name in names:
        if name not in FEATURES:
            raise ConfigError(f"model.features: {name!r} is not a known feature{did_you_mean(name, FEATURES)}")
    if any(pair in names for pair in PAIRS) and "token" not in names:
        raise ConfigError(
            "model.features: bigram_left and bigram_right are pairs of tokens; they need the feature 'token' beside them"
        )
    if "lexicon" in names and words is None:
        raise ConfigError("model.features: 'lexicon' tells of the words around a character; only segmenters have it")


def _counted(sentences: Sequence[Tokens], zeros: bool) -> Counter[str]:
    """How often each token occurs, in the order of the first places."""
    known = distinct_tokens(sentences)
    counted = Counter[str]()
    for token, number in zip(known.tokens, np.bincount(known.which).tolist(), strict=True):
        counted[digits_as_zero(token) if zeros else token] += number
    return counted
