"""Files of sentences in any format: recognised by their first lines, read, reported and written back."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, get_args

from seqloom.data.columns import Lines, column_sentences, format_columns, parse_columns
from seqloom.data.conllu import conllu_sentences, format_conllu
from seqloom.data.files import STDIN, open_text
from seqloom.data.jsonl import Misaligned, OnMisaligned, Tokens, format_spans_jsonl, jsonl_sentences
from seqloom.data.legality import Detection, detect_scheme
from seqloom.data.schemes import scheme_named, spans_from
from seqloom.data.segmented import bmes_sentences, plain_sentences, segmented_sentences
from seqloom.data.sentences import Sentence
from seqloom.data.slashed import format_slashed, slashed_sentences
from seqloom.errors import ConfigError, did_you_mean

__all__ = ["Corpus", "CorpusReport", "Format", "ReadOptions", "detect_format", "format_sentences", "read", "read_lines"]

Format = Literal["auto", "columns", "conllu", "jsonl", "slashed", "segmented", "bmes", "plain"]

_PEEK = 200  # lines: enough for a sentence or two of any corpus
_SPAN_TAG = re.compile(r"O|[BIESMLU](-\S+)?")
_SLASHED = re.compile(r".+/[A-Za-z][A-Za-z0-9_$-]*")
_EXPECTED = "sentences as columns, CoNLL-U, JSON lines or plain lines of words"


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a reader may need to be told.

    Attributes:
        columns: of column files, such as ``text=0,tag=-1``; without ``tag`` the file has no tags.
        tag: of CoNLL-U files, the column of the tags, such as ``upos`` or ``xpos``.
        tokens: of JSON lines without tokens of their own: words and punctuation marks, or characters.
        scheme: of the tags. Empty: recognised from the tags; spans of JSON lines become BIO.
        on_misaligned: what to do with spans of JSON lines that begin or end inside a token.
        encoding: any that Python knows.
    """

    columns: str = "text=0,tag=-1"
    tag: str = "upos"
    tokens: Tokens = "words"
    scheme: str = ""
    on_misaligned: OnMisaligned = "error"
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class CorpusReport:
    """What a reader found, for people to compare with what they expect.

    Attributes:
        source: the file.
        format: in which it was read.
        reason: how the format was recognised, or that it was given.
        sentences, tokens, documents: their numbers.
        labels: how often each tag occurs.
        spans: how often each label occurs as a span, where the tags spell spans.
        scheme: what the tags are; ``None`` in a file without tags.
        misaligned: spans that did not fall on token borders and were left out or expanded.
    """

    source: str
    format: str
    reason: str
    sentences: int
    tokens: int
    documents: int
    labels: dict[str, int]
    spans: dict[str, int]
    scheme: Detection | None
    misaligned: tuple[Misaligned, ...] = ()

    def rows(self) -> list[tuple[str, str]]:
        """Name and value of each figure, as text."""
        rows = [("file", self.source), ("format", f"{self.format} ({self.reason})")]
        rows.append(("sentences", f"{self.sentences:,}"))
        rows.append(("tokens", f"{self.tokens:,}"))
        if self.documents:
            rows.append(("documents", f"{self.documents:,}"))
        if self.scheme is not None:
            rows.append(("tags", self.scheme.reason))
        for name, counts in (("labels", self.labels), ("spans", self.spans)):
            if counts:
                rows.append((name, ", ".join(f"{label} {count:,}" for label, count in counts.items())))
        rows += [("misaligned", str(span)) for span in self.misaligned]
        return rows

    def to_dict(self) -> dict[str, Any]:
        """The same as numbers and strings, for JSON."""
        return {
            "source": self.source,
            "format": self.format,
            "sentences": self.sentences,
            "tokens": self.tokens,
            "documents": self.documents,
            "labels": self.labels,
            "spans": self.spans,
            "scheme": self.scheme.scheme.name if self.scheme and self.scheme.scheme else None,
            "misaligned": [str(span) for span in self.misaligned],
        }


@dataclass(frozen=True, slots=True)
class Corpus:
    """The sentences of one file and the report about them."""

    sentences: list[Sentence]
    report: CorpusReport

    def __len__(self) -> int:
        return len(self.sentences)


def read(path: str | Path, format: str = "auto", options: ReadOptions | None = None) -> Corpus:
    """All sentences of a file.

    Args:
        path: the file, compressed or not, or ``-``.
        format: one of `Format`; ``auto`` recognises it by the first lines and says so in the report.
    Raises:
        DataError: the file is wrong; names the line.
        ConfigError: an unknown format, encoding, column or scheme.
    """
    chosen = options or ReadOptions()
    found, reason, lines = _opened(path, format, chosen)
    misaligned: list[Misaligned] = []
    sentences = list(read_lines(lines, _name(path), found, chosen, misaligned))
    return Corpus(sentences, _report(_name(path), found, reason, sentences, misaligned, chosen))


def read_lines(
    lines: Lines,
    source: str,
    format: str,
    options: ReadOptions | None = None,
    misaligned: list[Misaligned] | None = None,
) -> Iterator[Sentence]:
    """Sentences of numbered lines in a stated format, one by one."""
    chosen = options or ReadOptions()
    places = parse_columns(chosen.columns)
    readers: dict[str, Callable[[], Iterator[Sentence]]] = {
        "columns": lambda: column_sentences(lines, source, text=places["text"], tag=places.get("tag")),
        "conllu": lambda: conllu_sentences(lines, source, tag=chosen.tag),
        "jsonl": lambda: jsonl_sentences(
            lines,
            source,
            tokens=chosen.tokens,
            scheme=chosen.scheme or "bio",
            on_misaligned=chosen.on_misaligned,
            misaligned=misaligned,
        ),
        "slashed": lambda: slashed_sentences(lines, source),
        "segmented": lambda: segmented_sentences(lines, source),
        "bmes": lambda: bmes_sentences(lines, source),
        "plain": lambda: plain_sentences(lines, source),
    }
    if format not in readers:
        raise ConfigError(f"{format!r} is not a known format{did_you_mean(format, get_args(Format))}")
    return readers[format]()


def detect_format(lines: Sequence[str]) -> tuple[str, str]:
    """The format of a file's first lines, and how it shows.

    >>> detect_format(["1\\tHi\\t_\\tINTJ\\t_\\t_\\t0\\troot\\t_\\t_"])[0], detect_format(["我 是"])[0]
    ('conllu', 'segmented')
    """
    filled = [line for line in lines if line.strip()]
    if not filled:
        return "plain", "no text in the first lines"
    if filled[0].lstrip().startswith("{"):
        return "jsonl", "the first line is a JSON object"
    rows = [line for line in filled if not line.startswith(("#", "-DOCSTART-"))] or filled
    # Where the first line settles it, a later broken line must be named as one and not change the format.
    first = rows[0].split("\t")
    if len(first) == 10 and re.fullmatch(r"[0-9]+([-.][0-9]+)?", first[0]):
        return "conllu", "ten columns separated by tabs, the first a number"
    separator, split = (
        ("tabs", [row.split("\t") for row in rows]) if len(first) > 1 else ("spaces", [row.split() for row in rows])
    )
    ((width, regular),) = Counter(map(len, split)).most_common(1)
    if width > 1 and (separator == "tabs" or (regular >= 0.9 * len(split) and _looks_like_columns(lines, split))):
        if width == 2 and {fields[-1] for fields in split if len(fields) == 2} <= set("BMES"):
            return "bmes", f"two columns separated by {separator}, the second B, M, E or S"
        return "columns", f"{width} columns separated by {separator}"
    if all(_SLASHED.fullmatch(token) for line in filled for token in line.split()):
        return "slashed", "every word has a tag behind a slash"
    if any(len(line.split()) > 1 for line in filled):
        return "segmented", "lines of words separated by spaces"
    return "plain", "lines without spaces"


def _looks_like_columns(lines: Sequence[str], split: Sequence[Sequence[str]]) -> bool:
    """Sentences parted by empty lines; or, in a file of a single sentence, a last column of tags that spell spans."""
    parted = any(not line.strip() for line in lines[:-1]) or any(line.startswith("-DOCSTART-") for line in lines)
    return parted or all(_SPAN_TAG.fullmatch(fields[-1]) for fields in split)


def format_sentences(
    sentences: Sequence[Sentence],
    tags: Iterable[Sequence[str]],
    format: str,
    options: ReadOptions | None = None,
    scheme: str = "",
) -> Iterator[str]:
    """The lines of a file in the format of the input, with predicted tags in place of the tags.

    Args:
        sentences: as they were read.
        tags: one sequence for each sentence.
        format: that of the input; ``jsonl`` may be chosen for any input.
        scheme: that of the tags, for the spans of JSON lines; empty for plain tags.
    Raises:
        ConfigError: a format that has no place for tags.
    """
    chosen = options or ReadOptions()
    if format == "columns":
        return format_columns(sentences, tags, tag=parse_columns(chosen.columns).get("tag"))
    if format == "conllu":
        return format_conllu(sentences, tags, tag=chosen.tag)
    if format == "jsonl":
        return format_spans_jsonl(sentences, tags, scheme)
    if format == "slashed":
        return format_slashed([sentence.tokens for sentence in sentences], tags)
    if format in ("segmented", "plain"):  # tokens without a place for tags become columns
        return format_columns([Sentence(sentence.tokens) for sentence in sentences], tags)
    raise ConfigError(f"{format!r} has no place for tags; choose columns, conllu or jsonl")


def _opened(path: str | Path, format: str, options: ReadOptions) -> tuple[str, str, Lines]:
    expected = None if format == "plain" else _EXPECTED
    lines = open_text(path, options.encoding, expected=expected)
    if format != "auto":
        return format, "as given", lines
    head = list(islice(lines, _PEEK))
    found, reason = detect_format([line for _, line in head])
    return found, reason, chain(head, lines)


def _name(path: str | Path) -> str:
    return "<stdin>" if str(path) == STDIN else str(path)


def _report(
    source: str,
    format: str,
    reason: str,
    sentences: Sequence[Sentence],
    misaligned: Sequence[Misaligned],
    options: ReadOptions,
) -> CorpusReport:
    tagged = [sentence.tags for sentence in sentences if sentence.tags is not None]
    labels = Counter(chain.from_iterable(tagged))
    detection = detect_scheme(tagged) if tagged else None
    if detection is not None and options.scheme and detection.scheme is not None:
        named = scheme_named(options.scheme)
        detection = Detection(named, f"{named.name} as given", detection.letters, detection.conflicts)
    spans: Counter[str] = Counter()
    if detection is not None and detection.scheme is not None:
        known = detection.scheme.letters | {"O"}
        for tags in tagged:
            if all(tag.partition("-")[0] in known for tag in tags):
                spans.update(span.label for span in spans_from(tags, detection.scheme))
    return CorpusReport(
        source=source,
        format=format,
        reason=reason,
        sentences=len(sentences),
        tokens=sum(map(len, sentences)),
        documents=sentences[-1].document if sentences else 0,
        labels=dict(sorted(labels.items(), key=lambda item: (-item[1], item[0]))),
        spans=dict(sorted(spans.items(), key=lambda item: (-item[1], item[0]))),
        scheme=detection,
        misaligned=tuple(misaligned),
    )
