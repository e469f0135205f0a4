"""Word vectors of two languages in one space: a map that a dictionary of word pairs teaches.

A small stand-in for bilingual phrase vectors that are learned together (Zou, Socher, Cer & Manning 2013): the vector of a
phrase is the mean of those of its words, mapped, and its cosine with a phrase of the other language says how near they are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seqloom.errors import DataError

__all__ = ["Alignment", "align_embeddings"]


@dataclass(frozen=True, eq=False)
class Alignment:
    """A linear map from one space of vectors into another.

    Attributes:
        matrix: (D, E); ``vectors @ matrix`` lies in the other space.
        pairs: word pairs that taught it.
        missing: pairs of the dictionary of which a word has no vector.
        cosine: mean cosine of the pairs after the map.
    """

    matrix: NDArray[np.float64]
    pairs: int
    missing: int
    cosine: float

    def apply(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        """(..., E) of vectors (..., D)."""
        mapped: NDArray[np.float64] = np.asarray(vectors, np.float64) @ self.matrix
        return mapped


def align_embeddings(
    source: tuple[Sequence[str], NDArray[Any]],
    target: tuple[Sequence[str], NDArray[Any]],
    dictionary: Iterable[tuple[str, str]],
    *,
    kind: Literal["orthogonal", "linear"] = "orthogonal",
    ridge: float = 1e-3,
) -> Alignment:
    """The map under which the first words of a dictionary come nearest to the second ones, in the sum of squares.

    Args:
        source: words and their vectors (V, D).
        target: words and their vectors (W, E).
        dictionary: pairs of words, of which a word may have several.
        kind: ``orthogonal`` keeps lengths and angles, so that few pairs are enough (Xing et al. 2015), and needs D = E;
            ``linear`` is any matrix (Mikolov, Le & Sutskever 2013).
        ridge: of ``linear``, how much its size counts against it.
    Raises:
        DataError: no pair of the dictionary has both vectors.
        ValueError: shapes that do not fit.

    >>> vectors = np.eye(2)
    >>> turned = align_embeddings((["a", "b"], vectors), (["x", "y"], vectors[::-1]), [("a", "x"), ("b", "y")])
    >>> turned.apply(vectors).round(6).tolist(), turned.pairs
    ([[0.0, 1.0], [1.0, 0.0]], 2)
    """
    (words, vectors), (other_words, other_vectors) = source, target
    first, second = (np.asarray(table, np.float64) for table in (vectors, other_vectors))
    for name, some, table in (("source", words, first), ("target", other_words, second)):
        if table.ndim != 2 or len(table) != len(some):
            raise ValueError(
                f"{name} has {len(some)} words and vectors of shape {table.shape}; expected one row for each word"
            )
    if kind == "orthogonal" and first.shape[1] != second.shape[1]:
        raise ValueError(
            f"vectors of {first.shape[1]} and of {second.shape[1]} units have no orthogonal map; choose kind='linear'"
        )
    rows = {word: row for row, word in reversed(list(enumerate(words)))}
    other_rows = {word: row for row, word in reversed(list(enumerate(other_words)))}
    known, missing = [], 0
    for one, other in dictionary:
        if one in rows and other in other_rows:
            known.append((rows[one], other_rows[other]))
        else:
            missing += 1
    if not known:
        raise DataError(
            f"none of the {missing} pairs of the dictionary has vectors of both words; are they spelled alike?"
        )
    at = np.array(known)
    x, y = first[at[:, 0]], second[at[:, 1]]
    if kind == "orthogonal":
        left, _, right = np.linalg.svd(x.T @ y)
        matrix = left @ right
    else:
        matrix = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y)
    mapped = x @ matrix
    lengths = np.linalg.norm(mapped, axis=1) * np.linalg.norm(y, axis=1)
    cosine = float(np.mean((mapped * y).sum(1) / np.maximum(lengths, 1e-12)))
    return Alignment(matrix, len(known), missing, cosine)
