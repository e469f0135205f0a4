"""Pretrained vectors of words in the tables of a tagger."""

from collections.abc import Mapping
from typing import cast

import numpy as np
import torch

from seqloom.data.embeddings import first_words, load_embeddings
from seqloom.data.vocabulary import SPECIALS
from seqloom.errors import ConfigError, did_you_mean
from seqloom.layers.embedding import SparseEmbedding
from seqloom.systems.tagger.features import FeatureSet
from seqloom.systems.tagger.network import TaggerNetwork
from seqloom.systems.tagger.token_features import WORDS

__all__ = ["know_first_words", "load_vectors"]


def know_first_words(features: FeatureSet, files: Mapping[str, str], count: int) -> None:
    """Gives the first words of each file a row of their own; before the network is made, which has its sizes from there.

    Args:
        files: feature -> file of vectors; those of other features than words are passed over.
        count: how many words of each file.
    """
    for name, file in files.items():
        if count and name in WORDS:
            features.know(name, first_words(file, count))


def load_vectors(network: TaggerNetwork, features: FeatureSet, files: Mapping[str, str]) -> dict[str, str]:
    """Puts the vectors of files into the tables of their features; says for each how many were found.

    Only the rows of the features' own values are read.

    Raises:
        ConfigError: a feature is not in use, or its size is not that of the vectors.
        DataError: a file is missing or damaged.
    """
    said = {}
    for name, file in files.items():
        if name not in network.embeddings:
            raise ConfigError(f"model.embeddings: {name!r} is not a feature in use{did_you_mean(name, features.names)}")
        values = features.values(name)
        embeddings = load_embeddings(file, values)
        table = cast(SparseEmbedding, network.embeddings[name])
        if embeddings.vectors.shape[1] != table.embedding_dim:
            raise ConfigError(
                f"model.embeddings: {file} has vectors of size {embeddings.vectors.shape[1]}, but model.features.{name} is "
                f"{table.embedding_dim}; set it to {embeddings.vectors.shape[1]}"
            )
        rows = torch.from_numpy(np.flatnonzero(embeddings.present) + len(SPECIALS))
        table.load_rows(rows, torch.from_numpy(embeddings.vectors[embeddings.present]))
        said[name] = f"{int(embeddings.present.sum()):,} of {len(values):,} values found in {file}"
    return said
