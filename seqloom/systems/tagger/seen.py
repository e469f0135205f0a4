"""What the training data of a tagger had, so that scores can tell what was seen from what was not."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from seqloom.data.tagged.schemes import Scheme, Span, as_scheme, spans_from
from seqloom.data.tagged.sentences import Sentence
from seqloom.data.vocabulary import load_json, save_json, strings

__all__ = ["SEEN", "Seen", "span_text", "span_texts"]

SEEN = "seen.json"
"""The name of the file in the folder of a model's vocabularies."""


@dataclass(frozen=True)
class Seen:
    """The tokens of training data and, where tags spell spans, the texts of these.

    A list made with the test data in it would call nothing unseen.
    """

    tokens: frozenset[str]
    spans: frozenset[str] | None = None

    @classmethod
    def of(cls, sentences: Sequence[Sentence], scheme: str | None) -> Self:
        """What tagged training sentences have."""
        tokens = frozenset(token for sentence in sentences for token in sentence.tokens)
        return cls(tokens, None if scheme is None else span_texts(sentences, scheme))

    def save(self, path: Path) -> None:
        """Writes both lists as JSON."""
        spans = None if self.spans is None else sorted(self.spans)
        save_json(path, {"kind": "seen", "tokens": sorted(self.tokens), "spans": spans})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what :meth:`save` wrote. Raises ModelError where the file is missing, damaged or of another kind."""
        return load_json(
            path,
            "seen",
            lambda state: cls(
                frozenset(strings(state["tokens"])),
                None if state["spans"] is None else frozenset(strings(state["spans"])),
            ),
        )


def span_texts(sentences: Iterable[Sentence], scheme: Scheme | str) -> frozenset[str]:
    """The texts of all spans of tagged sentences.

    >>> sorted(span_texts([Sentence(("in", "New", "York"), ("O", "B-LOC", "I-LOC"))], "bio"))
    ['New York']
    """
    chosen = as_scheme(scheme)
    return frozenset(
        span_text(sentence, span) for sentence in sentences for span in spans_from(sentence.tags or (), chosen)
    )


def span_text(sentence: Sentence, span: Span) -> str:
    """The tokens of a span, joined by spaces."""
    return " ".join(sentence.tokens[span.start : span.end])
