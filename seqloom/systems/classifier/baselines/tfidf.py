"""Logistic regression on terms: how often they occur in a document, weighted by how few documents have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from seqloom.data.labelled import Document
from seqloom.data.vocabulary import load_json, save_json, strings
from seqloom.errors import ConfigError, ModelError
from seqloom.systems.classifier.answers import Answer, Classes
from seqloom.systems.classifier.baselines.method import Method
from seqloom.systems.saved import ModelDirectory

__all__ = ["Terms"]

_FILE = "terms.json"
_SEPARATOR = " "


class Terms(Method):
    """The method ``tfidf``. Fitting needs scikit-learn; a fitted one does not.

    Args:
        tokeniser: cuts texts.
        answer: the classes.
        terms: term -> its number.
        longest: words of a term.
        rarity: (V,) the logarithm of how rare each is.
        weights, bias: (K, V) and (K,) of the classes.
    """

    name = "tfidf"
    needs = "sklearn"

    def __init__(
        self,
        tokeniser: Any,
        answer: Answer,
        terms: Mapping[str, int],
        longest: int,
        rarity: NDArray[Any],
        weights: NDArray[Any],
        bias: NDArray[Any],
    ):
        self.tokeniser, self.answer, self.terms, self.longest = tokeniser, answer, terms, longest
        self.rarity, self.weights, self.bias = rarity, weights, bias

    @classmethod
    def fit(
        cls,
        settings: Any,
        inputs: Any,
        examples: Sequence[Document],
        answer: Answer,
        progress: Callable[[int, int], None],
    ) -> Self:
        from scipy.sparse import csr_matrix
        from sklearn.linear_model import LogisticRegression

        if not isinstance(answer, Classes):
            raise ConfigError("the method tfidf answers with one class; leave it out of baselines")
        counted = [Counter(_terms(inputs.tokeniser.words(one.text), settings.longest)) for one in examples]
        documents: Counter[str] = Counter()
        for one in counted:
            documents.update(one.keys())
        kept = sorted(term for term, count in documents.items() if count >= settings.minimum_documents)
        if not kept:
            raise ConfigError("statistics.minimum_documents leaves no term; set it to 1")
        terms = {term: index for index, term in enumerate(kept)}
        # As scikit-learn's smooth form: as if one more document had every term.
        rarity = np.log((1 + len(examples)) / (1 + np.array([documents[term] for term in kept]))) + 1
        rows, columns, values = [], [], []
        for row, one in enumerate(counted):
            found, weights = _weighted(one, terms, rarity)
            rows.append(np.full(len(found), row))
            columns.append(found)
            values.append(weights)
        shape = (len(examples), len(terms))
        matrix = csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape)
        fitted = LogisticRegression(C=settings.strength, max_iter=1000).fit(matrix, answer.targets(examples))
        slopes, bias = fitted.coef_, fitted.intercept_
        if len(slopes) == 1:  # of two classes scikit-learn keeps the second alone
            slopes, bias = np.concatenate([-slopes, slopes]) / 2, np.concatenate([-bias, bias]) / 2
        return cls(
            inputs.tokeniser,
            answer,
            terms,
            settings.longest,
            rarity.astype(np.float32),
            slopes.astype(np.float32),
            bias.astype(np.float32),
        )

    def decide(self, examples: Sequence[Document]) -> list[NDArray[Any]]:
        scores = np.empty((len(examples), self.answer.size), np.float32)
        for row, one in enumerate(examples):
            counted = Counter(_terms(self.tokeniser.words(one.text), self.longest))
            found, values = _weighted(counted, self.terms, self.rarity)
            scores[row] = self.weights[:, found] @ values + self.bias
        heights = np.exp(scores - scores.max(1, keepdims=True))
        return list(heights / heights.sum(1, keepdims=True))

    def tensors(self) -> dict[str, NDArray[Any]]:
        return {"terms.rarity": self.rarity, "terms.weights": self.weights, "terms.bias": self.bias}

    def save(self, folder: Path) -> None:
        save_json(folder / _FILE, {"kind": "terms", "entries": list(self.terms), "longest": self.longest})

    @classmethod
    def restore(cls, directory: ModelDirectory, inputs: Any, answer: Answer) -> Self:
        terms, longest = load_json(
            directory.vocab / _FILE, "terms", lambda state: (strings(state["entries"]), int(state["longest"]))
        )
        shapes = {
            "terms.rarity": (len(terms),),
            "terms.weights": (answer.size, len(terms)),
            "terms.bias": (answer.size,),
        }
        arrays = [directory.tensors.get(name, np.zeros(0)) for name in shapes]
        fits = [
            one.shape == shape and one.dtype.kind == "f" for one, shape in zip(arrays, shapes.values(), strict=True)
        ]
        if not all(fits) or not all(np.isfinite(one).all() for one in arrays) or not 1 <= longest <= 9:
            raise ModelError(f"{directory.path}: the weights of the terms are damaged; restore the model directory")
        numbered = {term: index for index, term in enumerate(terms)}
        return cls(inputs.tokeniser, answer, numbered, longest, *arrays)


def _terms(words: Sequence[str], longest: int) -> Iterator[str]:
    yield from words
    for length in range(2, longest + 1):
        yield from map(_SEPARATOR.join, zip(*(words[start:] for start in range(length)), strict=False))


def _weighted(
    counted: Mapping[str, int], terms: Mapping[str, int], rarity: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The terms of a document that are known, and their weights, at unit length together."""
    known = [(terms[term], count) for term, count in counted.items() if term in terms]
    found = np.array([index for index, _ in known], np.int64)
    counts = np.array([count for _, count in known], np.float64)
    weights = (1 + np.log(counts)) * rarity[found] if len(known) else counts
    length = float(np.sqrt((weights**2).sum()))
    return found, (weights / length if length else weights).astype(np.float32)
