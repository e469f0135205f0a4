"""Documents as ids of words, one after the other, or sentence by sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqloom.data.batching import pad_rows
from seqloom.data.documents.config import TokenConfig
from seqloom.data.documents.read import documents_of
from seqloom.data.documents.tokens import Tokeniser
from seqloom.data.embeddings import load_embeddings
from seqloom.data.labelled import Document
from seqloom.data.vocabulary import PADDING, SPECIALS, UNKNOWN, Vocabulary
from seqloom.errors import ConfigError, DataError
from seqloom.layers.encoder import build_encoder
from seqloom.layers.read_outs import build_read_out
from seqloom.systems.classifier.answers import Answer
from seqloom.systems.classifier.config import ClassifierModelConfig
from seqloom.systems.classifier.corpus import picked, target_tensor
from seqloom.systems.classifier.documents.config import DocumentModelConfig
from seqloom.systems.classifier.documents.network import ContextEncoder, SentenceFront, Shortcut, WordFront
from seqloom.systems.classifier.inputs import Inputs
from seqloom.systems.classifier.network import ClassifierBatch, ClassifierNetwork, Head
from seqloom.systems.supervised import Corpus

__all__ = ["DocumentInputs", "SentenceCorpus", "WordCorpus"]

_FILE = "words.json"


class WordCorpus(Corpus):
    """Documents as ids of their words.

    Args:
        words: of each document.
        vocabulary: of the words.
        targets: a row for each document.
        unknown_rate: probability that a word seen once is read as unknown in training.
    """

    def __init__(
        self,
        words: Sequence[Sequence[str]],
        vocabulary: Vocabulary,
        targets: NDArray[Any] | None = None,
        unknown_rate: float = 0.0,
    ):
        self._ids, self._offsets = _encoded(words, vocabulary)
        self.lengths = np.diff(self._offsets)
        self._targets = targets
        self._rare = vocabulary.counts == 1 if unknown_rate else None
        self._rate = unknown_rate

    def batch(self, indices: NDArray[Any], random: np.random.Generator | None = None) -> ClassifierBatch:
        """The documents of these indices, padded to the longest of them."""
        ids, lengths = pad_rows(self._ids, self._offsets, indices, PADDING)
        return ClassifierBatch(
            _hidden(ids, self._rare, self._rate, random),
            torch.from_numpy(lengths),
            target_tensor(self._targets, indices),
        )


class SentenceCorpus(Corpus):
    """Documents as sentences of ids of words; the other arguments are those of `WordCorpus`.

    Args:
        sentences: of each document, the words of each of its sentences.
    """

    def __init__(
        self,
        sentences: Sequence[Sequence[Sequence[str]]],
        vocabulary: Vocabulary,
        targets: NDArray[Any] | None = None,
        unknown_rate: float = 0.0,
    ):
        self._ids, self._offsets = _encoded(list(chain.from_iterable(sentences)), vocabulary)
        self._documents = np.zeros(len(sentences) + 1, np.int64)
        np.cumsum([len(document) for document in sentences], out=self._documents[1:])
        self.lengths = np.diff(self._documents)
        self._targets = targets
        self._rare = vocabulary.counts == 1 if unknown_rate else None
        self._rate = unknown_rate

    def batch(self, indices: NDArray[Any], random: np.random.Generator | None = None) -> ClassifierBatch:
        """The documents of these indices, all their sentences padded to the longest of them."""
        which, ends = picked(np.arange(self._documents[-1]), self._documents, indices)
        ids, inner = pad_rows(self._ids, self._offsets, which, PADDING)
        lengths = np.diff(ends)
        rows = np.repeat(np.arange(len(indices)), lengths)
        places = np.stack([rows, np.arange(len(which)) - ends[:-1][rows]], 1)
        return ClassifierBatch(
            _hidden(ids, self._rare, self._rate, random),
            torch.from_numpy(lengths),
            target_tensor(self._targets, indices),
            torch.from_numpy(inner),
            torch.from_numpy(places),
        )


class DocumentInputs(Inputs):
    """Texts through a tokeniser and a vocabulary.

    Args:
        settings: how a text becomes tokens.
        vocabulary: of words.
        in_sentences: whether documents are read in sentences.
        unknown_rate: in training.
        embeddings: file of pretrained vectors, of a model that is about to be trained.
    """

    def __init__(
        self,
        settings: TokenConfig,
        vocabulary: Vocabulary,
        in_sentences: bool,
        unknown_rate: float = 0.0,
        embeddings: str = "",
    ):
        self.settings, self.vocabulary, self.in_sentences = settings, vocabulary, in_sentences
        self.tokeniser, self._unknown_rate, self._embeddings = Tokeniser(settings), unknown_rate, embeddings

    @classmethod
    def fit(cls, settings: TokenConfig, model: DocumentModelConfig, train: Sequence[Document]) -> DocumentInputs:
        """The vocabulary of training documents."""
        tokeniser = Tokeniser(settings)
        words = chain.from_iterable(tokeniser.words(one.text) for one in train)
        vocabulary = Vocabulary.build(words, model.minimum_count, model.vocabulary_size or None)
        return cls(settings, vocabulary, model.architecture == "sentences", model.unknown_rate, model.embeddings)

    def corpus(
        self, examples: Sequence[Document], answer: Answer | None = None, *, augment: bool = False
    ) -> WordCorpus | SentenceCorpus:
        texts = [_text(one) for one in examples]
        targets = None if answer is None else answer.targets(examples)
        rate = self._unknown_rate if augment else 0.0
        if self.in_sentences:
            # A document without a word still is one sentence, so that it has a class.
            sentences = [self.tokeniser.sentences(text) or [[]] for text in texts]
            return SentenceCorpus(sentences, self.vocabulary, targets, rate)
        return WordCorpus([self.tokeniser.words(text) for text in texts], self.vocabulary, targets, rate)

    def network(self, config: ClassifierModelConfig, answer: Answer) -> ClassifierNetwork:
        assert isinstance(config, DocumentModelConfig)
        if answer.stepwise:
            raise ConfigError("documents have one answer each, not one for each word; a tagger does that")
        words = WordFront(
            len(self.vocabulary), config.embedding_size, config.word_dropout, config.pairs, config.pair_size
        )
        if self._embeddings:
            self._know(words)
        if config.architecture == "contexts":
            encoder = ContextEncoder(
                config.cell,
                words.output_size,
                config.context_size,
                config.hidden_size,
                config.dropout_input,
                config.dropout_output,
            )
            return ClassifierNetwork(words, encoder, Head(config, encoder.output_size, answer))
        inner = build_encoder(config, words.output_size)
        if config.architecture == "words":
            whole = Shortcut(inner, words.output_size) if config.shortcut else inner
            both = config.bidirectional and not config.shortcut
            return ClassifierNetwork(words, whole, Head(config, whole.output_size, answer, both))
        read_out = build_read_out(
            config.read_out,
            inner.output_size,
            bidirectional=config.bidirectional,
            attention_size=config.attention_size,
            clusters=config.clusters,
            size=config.pooled_size,
        )
        front = SentenceFront(words, inner, read_out)
        encoder_of_sentences = build_encoder(config, front.output_size)
        head = Head(config, encoder_of_sentences.output_size, answer, config.bidirectional)
        return ClassifierNetwork(front, encoder_of_sentences, head)

    def examples(self, given: Any) -> list[Document]:
        return documents_of(given)

    def config(self) -> dict[str, Any]:
        return {"features": asdict(self.settings)}

    def save(self, folder: Path) -> None:
        self.vocabulary.save(folder / _FILE)

    def tokens_of(self, example: Document) -> list[str]:
        """The tokens of a document as they stand in it."""
        return [token.text for token in self.tokeniser.spans(example.text)]

    def sentences_of(self, example: Document) -> list[list[str]]:
        """The words of each sentence of a document."""
        return self.tokeniser.sentences(example.text) or [[]]

    def _know(self, words: WordFront) -> None:
        found = load_embeddings(self._embeddings, self.vocabulary.entries)
        if found.vectors.shape[1] != words.words.embedding_dim:
            raise ConfigError(
                f"{self._embeddings} has vectors of {found.vectors.shape[1]} numbers, but model.embedding_size is "
                f"{words.words.embedding_dim}; set one to the other"
            )
        rows = torch.from_numpy(np.flatnonzero(found.present) + len(SPECIALS))
        words.words.load_rows(rows, torch.from_numpy(found.vectors[found.present]))


def _text(one: Any) -> str:
    if not isinstance(one, Document):
        raise DataError(f"{getattr(one, 'where', '') or 'an input'} is a {type(one).__name__}; expected a text")
    return one.text


def _encoded(words: Sequence[Sequence[str]], vocabulary: Vocabulary) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    offsets = np.zeros(len(words) + 1, np.int64)
    np.cumsum([len(one) for one in words], out=offsets[1:])
    return vocabulary.lookup(list(chain.from_iterable(words))), offsets


def _hidden(
    ids: NDArray[np.int64], rare: NDArray[np.bool_] | None, rate: float, random: np.random.Generator | None
) -> torch.Tensor:
    if random is not None and rare is not None:
        ids[rare[ids] & (random.random(ids.shape) < rate)] = UNKNOWN
    return torch.from_numpy(ids)
