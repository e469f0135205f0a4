"""Logistic regression on terms: how often they occur in a document, weighted by how few documents have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from seqloom.data.documents.encoding import fit_words
from seqloom.data.documents.tokens import is_cjk
from seqloom.data.labelled import Document
from seqloom.data.vocabulary import UNKNOWN, load_json, save_json, strings
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
        longest: words of a term, or one more where all are Chinese, Japanese or Korean characters.
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
        found = _counted(inputs.tokeniser, [one.text for one in examples], settings.longest, settings.minimum_documents)
        kept = sorted(range(len(found.terms)), key=found.terms.__getitem__)
        if not kept:
            raise ConfigError("statistics.minimum_documents leaves no term; set it to 1")
        terms = {found.terms[index]: column for column, index in enumerate(kept)}
        columns = np.empty(len(kept), np.int32)
        columns[kept] = np.arange(len(kept))
        # As scikit-learn's smooth form: as if one more document had every term.
        rarity = np.log((1 + len(examples)) / (1 + found.documents[kept])) + 1
        column = columns[found.columns]
        values = (1 + np.log(found.counts)).astype(np.float32) * rarity.astype(np.float32)[column]
        lengths = np.sqrt(np.bincount(found.rows, values**2, len(examples)))
        values /= lengths.astype(np.float32)[found.rows]
        shape = (len(examples), len(terms))
        matrix = csr_matrix((values, (found.rows, column)), shape)
        del found, column, values
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


class _Found(NamedTuple):
    """The terms of documents.

    Attributes:
        terms: (V,).
        documents: (V,) how many documents have each.
        rows, columns, counts: (M,) which document has which term how often.
    """

    terms: list[str]
    documents: NDArray[np.int64]
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    counts: NDArray[np.int32]


def _counted(tokeniser: Any, texts: Sequence[str], longest: int, minimum: int) -> _Found:
    """The terms that so many documents have, found by numbers, length by length: one more word makes a longer term."""
    vocabulary, batch = fit_words(tokeniser, texts)
    names = vocabulary.names(range(len(vocabulary)))
    documents = np.repeat(np.arange(len(texts)), batch.lengths)
    # A term of which each word is a Chinese, Japanese or Korean character may be longer by one.
    characters = np.array([_is_character(name) for name in names])
    known = batch.ids != UNKNOWN  # the special symbols that a text spells
    ids, words, alive = batch.ids, np.arange(len(names))[:, None], known
    found: list[_Found] = []
    for length in range(1, longest + 2):
        if length > longest:
            alive = alive & _all_of(characters[batch.ids], length)
        if length > 1:
            alive = alive & _within(documents, known, length)
            keys = ids * len(names) + np.roll(batch.ids, 1 - length)
            unique, numbers = np.unique(keys[alive], return_inverse=True)
            del keys
            before, last = np.divmod(unique, len(names))
            words = np.concatenate([words[before], last[:, None]], 1)
            ids = np.zeros_like(batch.ids)
            ids[alive] = numbers
        if not len(words) or not alive.any():
            break
        pairs, counts = np.unique(documents[alive] * len(words) + ids[alive], return_counts=True)
        rows, columns = np.divmod(pairs, len(words))
        having = np.bincount(columns, minlength=len(words))
        wanted = having >= max(minimum, 1)
        column = np.cumsum(wanted) - 1 + sum(len(one.terms) for one in found)
        chosen = wanted[columns]
        terms = [_SEPARATOR.join(names[index] for index in term) for term in words[wanted].tolist()]
        small = [one.astype(np.int32) for one in (rows[chosen], column[columns[chosen]], counts[chosen])]
        del pairs, rows, columns, counts
        found.append(_Found(terms, having[wanted], *small))
    nothing = _Found([], np.zeros(0, np.int64), *[np.zeros(0, np.int32)] * 3)
    _, *columns_of = zip(*(found or [nothing]), strict=True)
    return _Found([term for one in found for term in one.terms], *map(np.concatenate, columns_of))


def _within(documents: NDArray[np.int64], known: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    """Whether so many words from each on are in one document and known."""
    inside = np.zeros(len(documents), np.bool_)
    last = len(documents) - length + 1
    if last > 0:
        inside[:last] = documents[:last] == documents[length - 1 :]
    return inside & _all_of(known, length)


def _all_of(flags: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    every = flags.copy()
    for ahead in range(1, length):
        every &= np.roll(flags, -ahead)
    return every


def _is_character(word: str) -> bool:
    return len(word) == 1 and is_cjk(word)


def _terms(words: Sequence[str], longest: int) -> Iterator[str]:
    """The terms of a document, as `_counted` counts them."""
    yield from words
    for length in range(2, longest + 1):
        yield from map(_SEPARATOR.join, zip(*(words[start:] for start in range(length)), strict=False))
    if not all(map(str.isascii, words)):
        for term in zip(*(words[start:] for start in range(longest + 1)), strict=False):
            if all(map(_is_character, term)):
                yield _SEPARATOR.join(term)


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
