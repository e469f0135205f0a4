"""What can be configured about a classifier of documents. No torch here: the command line reads these to print its help."""

from dataclasses import dataclass, field
from typing import Literal

from seqloom.data.documents.config import DocumentReading, TokenConfig
from seqloom.errors import ConfigError
from seqloom.systems.classifier.config import (
    ClassifierModelConfig,
    LabelledFilesConfig,
    default_training,
)
from seqloom.training.config import TrainingConfig

__all__ = ["DocumentClassifierConfig", "DocumentDataConfig", "DocumentModelConfig", "TermsConfig"]


@dataclass(frozen=True)
class TermsConfig:
    """The method ``tfidf``: logistic regression on how often terms occur, weighted by how rare they are.

    Args:
        longest: words of a term; 2 also counts pairs of neighbours.
        minimum_documents: terms in fewer training documents are left out.
        strength: inverse of the L2 penalty.
    """

    longest: int = 2
    minimum_documents: int = 2
    strength: float = 10.0


@dataclass(frozen=True)
class DocumentDataConfig(LabelledFilesConfig, DocumentReading):
    """Which documents, how they are divided and how they are read."""


@dataclass(frozen=True)
class DocumentModelConfig(ClassifierModelConfig):
    """The network: embedded words, a recurrent encoder, a read-out, scores; the keys of these are those of all classifiers.

    Args:
        architecture: ``words`` reads a document word by word. ``contexts`` puts each word between the state of what stands
            before it and that of what stands behind it (Lai et al. 2015). ``sentences`` makes a vector of the words of each
            sentence and one of the sentences, both by the same kind of encoder and read-out (Yang et al. 2016).
        embedding_size: of a word's vector.
        embeddings: file of pretrained vectors of that size (word2vec or GloVe), which are trained on with the rest.
        minimum_count: words seen less often in training share the unknown word.
        vocabulary_size: at most so many words, the most frequent ones; 0 takes all.
        word_dropout: probability that all occurrences of a word in a document are left out in training.
        unknown_rate: probability that a word seen once is read as unknown in training, which trains that entry.
        context_size: units of each context, where the architecture is ``contexts``.
        shortcut: whether the encoder's output has the embedded words beside it.
        pairs: rows of a table of vectors for pairs of neighbouring words, which share rows by chance; 0 has none.
        pair_size: of a pair's vector.
    """

    architecture: Literal["words", "contexts", "sentences"] = "words"
    embedding_size: int = 100
    embeddings: str = ""
    minimum_count: int = 2
    vocabulary_size: int = 0
    word_dropout: float = 0.0
    unknown_rate: float = 0.3
    context_size: int = 50
    shortcut: bool = False
    pairs: int = 0
    pair_size: int = 32
    dropout_input: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("word_dropout", "unknown_rate"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(f"model.{name} is {getattr(self, name)}; expected 0 to below 1")
        for name, least in (
            ("embedding_size", 1),
            ("minimum_count", 1),
            ("vocabulary_size", 0),
            ("context_size", 1),
            ("pairs", 0),
            ("pair_size", 1),
        ):
            if getattr(self, name) < least:
                raise ConfigError(f"model.{name} is {getattr(self, name)}; expected at least {least}")
        if self.architecture == "sentences" and self.read_out in ("votes", "sum"):
            raise ConfigError(
                f"model.read_out is {self.read_out!r}, but the sentences of a document need one vector each; set it to mean, "
                "max or attention"
            )


@dataclass(frozen=True)
class DocumentClassifierConfig:
    """A classifier of documents.

    Args:
        system: always ``document_classifier``.
        method: the network, or a method without one.
        data: which documents, and how they are read.
        features: how a text becomes tokens.
        model: the network.
        statistics: settings of the methods without a network.
        training: the training of the network.
        baselines: methods without a network, fitted on the same data and scored on the same test beside the method.
    """

    system: Literal["document_classifier"] = "document_classifier"
    method: Literal["network", "prior", "tfidf"] = "network"
    data: DocumentDataConfig = field(default_factory=DocumentDataConfig)
    features: TokenConfig = field(default_factory=TokenConfig)
    model: DocumentModelConfig = field(default_factory=DocumentModelConfig)
    statistics: TermsConfig = field(default_factory=TermsConfig)
    training: TrainingConfig = field(default_factory=default_training)
    baselines: tuple[Literal["prior", "tfidf"], ...] = ("prior", "tfidf")
