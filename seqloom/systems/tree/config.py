"""What can be configured about a classifier of trees. No torch here: the command line reads these to print its help."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from seqloom.errors import ConfigError
from seqloom.systems.config import FilesConfig
from seqloom.training.config import TrainingConfig

__all__ = [
    "PURPOSE",
    "USAGE",
    "Baseline",
    "Network",
    "PredictOptions",
    "TreeConfig",
    "TreeDataConfig",
    "TreeModelConfig",
]

Network = Literal["tree_lstm", "child_sum", "rntn", "recursive", "rae"]
Baseline = Literal["class_prior", "tfidf"]

PURPOSE = "A class for a sentence, and for each node of its tree."
USAGE = "```\nseqloom predict MODEL FILE\n```\nFILE has a tree in brackets or a text in each line, its words separated by spaces."
"""What the card of a model says."""


@dataclass(frozen=True)
class TreeDataConfig(FilesConfig):
    """Which trees, and how they are read; the files are those of :class:`~seqloom.systems.config.FilesConfig`.

    Args:
        format: of the files: ``brackets`` as (3 (2 Not) (4 bad)), ``conllu``, ``heads`` (JSON lines with words, heads and
            labels); ``auto`` recognises it.
        encoding: character encoding.
        classes: ``given``: as the files have them. ``binary``: of the labels 0 to 4 of the Stanford Sentiment Treebank 0 and 1
            are negative, 3 and 4 positive; sentences of label 2 are left out, and phrases of label 2 are not learned.
        lower: read words in lower case, as many vectors have them.
        shape: the tree of a text that has none: each word beside all that follow, or halves of halves. The method ``rae``
            finds its own.
    """

    format: Literal["auto", "brackets", "conllu", "heads"] = "auto"
    encoding: str = "utf-8"
    classes: Literal["given", "binary"] = "given"
    lower: bool = False
    shape: Literal["right_branching", "balanced"] = "right_branching"


@dataclass(frozen=True)
class TreeModelConfig:
    """The network: vectors of words, one cell from the leaves to the root, a softmax at every node.

    Args:
        embedding_size: units of a word's vector; the methods ``recursive``, ``rntn`` and ``rae`` have as many at every node.
        hidden_size: units of a node of ``tree_lstm`` and ``child_sum``.
        embeddings: file of vectors of this size, word2vec or GloVe, for the words of the training data.
        extra_vectors: so many of the first words of that file are known too where training has not seen them; such files begin
            with the most frequent words.
        train_embeddings: whether the vectors of words are trained on.
        embedding_rate: how many times the learning rate of the rest the vectors of words have under ``adagrad`` and ``adam``.
        tensor_rate: of ``rntn``, the same of the tensor; at the rate of the rest its many numbers drown the first words.
        embedding_scale: words without a vector from a file begin uniform between plus and minus this.
        minimum_count: words seen less often in training share the unknown entry.
        word_dropout: probability that a word seen once in training is read as unknown, which trains that entry.
        dropout_input: probability of dropping a unit of a word's vector.
        dropout_output: the same of a node before its softmax.
        node_weight: weight of the loss of an inner node or leaf beside that of the root, which is 1.
        alpha: of ``rae``: weight of the reconstruction beside the classes, 0 to 1.
        normalise: of ``rae``: whether a node's vector has length 1; otherwise the error of reconstruction vanishes as the vectors
            shrink.
    """

    embedding_size: int = 100
    hidden_size: int = 100
    embeddings: str | None = None
    extra_vectors: int = 0
    train_embeddings: bool = True
    embedding_rate: float = 1.0
    tensor_rate: float = 0.02
    embedding_scale: float = 0.1
    minimum_count: int = 1
    word_dropout: float = 0.5
    dropout_input: float = 0.0
    dropout_output: float = 0.5
    node_weight: float = 1.0
    alpha: float = 0.2
    normalise: bool = True

    def __post_init__(self) -> None:
        for name in ("embedding_size", "hidden_size", "minimum_count"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name} is {getattr(self, name)}, expected at least 1")
        if self.extra_vectors < 0:
            raise ConfigError(f"model.extra_vectors is {self.extra_vectors}, expected at least 0")
        for name in ("embedding_rate", "tensor_rate", "embedding_scale"):
            if not 0 < getattr(self, name) < 1e6:
                raise ConfigError(f"model.{name} is {getattr(self, name)}, expected more than 0")
        for name in ("word_dropout", "dropout_input", "dropout_output", "alpha", "node_weight"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"model.{name} is {getattr(self, name)}, expected 0 to 1")


def _default_training() -> TrainingConfig:
    return TrainingConfig(
        epochs=10,
        batch_size=25,
        optimiser="adagrad",
        learning_rate=0.05,
        clip_norm=5.0,
        monitor="root_accuracy",
        mode="max",
    )


@dataclass(frozen=True)
class TreeConfig:
    """A classifier of trees: method, data, network, training.

    Args:
        system: always ``tree_classifier``.
        method: ``tree_lstm`` (children in their order), ``child_sum`` (any number, in no order; dependency trees), ``rntn`` (a
            recursive network with a tensor), ``recursive`` (without), ``rae`` (a recursive autoencoder that finds the trees
            itself and learns from the classes of whole sentences), or a method without a network.
        data: which trees, and how they are read.
        model: the network.
        training: its training.
        baselines: methods without a network, fitted on the same data and scored on the same test beside the method.
    """

    system: Literal["tree_classifier"] = "tree_classifier"
    method: Literal["tree_lstm", "child_sum", "rntn", "recursive", "rae", "class_prior", "tfidf"] = "tree_lstm"
    data: TreeDataConfig = field(default_factory=TreeDataConfig)
    model: TreeModelConfig = field(default_factory=TreeModelConfig)
    training: TrainingConfig = field(default_factory=_default_training)
    baselines: tuple[Baseline, ...] = ()


@dataclass(frozen=True)
class PredictOptions:
    """How classes are written."""

    format: Annotated[
        Literal["plain", "native", "json", "terminal", "svg"],
        "the class of the whole; the tree in brackets with a class at every node; JSON lines with the probabilities of every "
        "node; the tree drawn with characters; or an SVG picture of it, one after the other",
    ] = "plain"
    nbest: Annotated[int, "how many classes of each sentence, the most probable first (plain)"] = 1
    read_as: Annotated[
        Literal["auto", "trees", "text"],
        "whether lines are trees or text; auto takes what begins with a bracket for a tree",
    ] = "auto"
