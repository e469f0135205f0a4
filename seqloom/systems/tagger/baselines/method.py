"""What every tagger without a network can do, and the training sentences that it is fitted on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seqloom.data.tagged.sentences import Sentence
from seqloom.data.vocabulary import TagVocabulary, Vocabulary
from seqloom.errors import DataError

__all__ = ["Arrays", "BaselineMethod", "Ids", "Probabilities", "Stored", "TaggedCorpus", "Tokens"]

Tokens: TypeAlias = Sequence[str]
Ids: TypeAlias = NDArray[np.int64]
Probabilities: TypeAlias = NDArray[np.float64]
Arrays: TypeAlias = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class TaggedCorpus:
    """Training sentences: their words and tags, and the ids of all tokens, one after the other.

    Attributes:
        words, tags: everything that occurs, most frequent first.
        sentences: the tokens of each sentence.
        lengths: (S,) their numbers.
        targets: (N,) the tag ids of all tokens.
    """

    words: Vocabulary
    tags: TagVocabulary
    sentences: list[Tokens]
    lengths: Ids
    targets: Ids

    @classmethod
    def of(cls, sentences: Sequence[Sentence]) -> Self:
        """The corpus of tagged sentences. Raises DataError where one has no tags, or there is no token at all."""
        tokens = [sentence.tokens for sentence in sentences]
        if not any(map(len, tokens)):
            raise DataError("the training sentences hold no token; expected tagged sentences")
        bare = next((sentence for sentence in sentences if sentence.tags is None), None)
        if bare is not None:
            raise DataError(f"{bare.where()}: the sentence has no tags; expected one per token")
        tags = TagVocabulary.build(chain.from_iterable(sentence.tags or () for sentence in sentences))
        targets = np.concatenate([tags.lookup_sentence(sentence) for sentence in sentences])
        lengths = np.array([len(sentence) for sentence in tokens], dtype=np.int64)
        return cls(Vocabulary.build(chain.from_iterable(tokens)), tags, tokens, lengths, targets)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a method keeps: arrays for safetensors, lists of strings for JSON."""

    arrays: Arrays
    vocabularies: dict[str, Vocabulary]


class BaselineMethod(Protocol):
    """Tags sentences; each sentence by itself, so that the company it is in never matters. Empty ones are legal."""

    def tag(self, sentences: Sequence[Tokens]) -> list[Ids]:
        """(T,) the best tag ids of each sentence."""
        ...

    def marginals(self, sentences: Sequence[Tokens]) -> list[Probabilities]:
        """(T, K) the probability of every tag at every token of each sentence."""
        ...

    def k_best(self, sentences: Sequence[Tokens], k: int) -> list[list[tuple[Ids, float]]]:
        """Up to ``k`` tag paths of each sentence with their log-probabilities in nats, best first."""
        ...

    def stored(self) -> Stored:
        """Everything needed to build the method again, beside the words and the tags of its corpus."""
        ...

    @classmethod
    def restored(cls, words: Vocabulary, tags: TagVocabulary, stored: Stored) -> Self:
        """The method that `stored` described."""
        ...
