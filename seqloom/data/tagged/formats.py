"""Files of sentences in any format: recognised by their first lines, read, reported and written back."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Literal, get_args

from seqloom.data.files import STDIN, open_text
from seqloom.data.location import aligned_files
from seqloom.data.tagged.aligned import read_aligned
from seqloom.data.tagged.columns import Lines, column_sentences, format_columns, parse_columns
from seqloom.data.tagged.conllu import conllu_sentences, format_conllu
from seqloom.data.tagged.corpus import TaggedCorpus, converted, describe, detected
from seqloom.data.tagged.joint import character_sentence, format_joint
from seqloom.data.tagged.jsonl import Misaligned, OnMisaligned, format_spans_jsonl, jsonl_sentences
from seqloom.data.tagged.segmented import bmes_sentences, plain_sentences, segmented_sentences, text_sentences
from seqloom.data.tagged.sentences import Sentence
from seqloom.data.tagged.slashed import format_slashed, slashed_sentences
from seqloom.errors import ConfigError, did_you_mean

__all__ = [
    "Format",
    "ReadOptions",
    "Tokens",
    "detect_format",
    "format_sentences",
    "read",
    "read_lines",
]

Format = Literal["auto", "columns", "conllu", "jsonl", "slashed", "aligned", "segmented", "bmes", "plain"]
Tokens = Literal["words", "characters", "joint"]

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
        tokens: ``words``: as the file has them, and words and punctuation marks of JSON lines without tokens.
            ``characters``: those of JSON lines without tokens, and of lines of text. ``joint``: the characters of words,
            with tags that spell the words and their tags, ``B-NN E-NN S-VV``; see `seqloom.data.tagged.joint`.
        scheme: of the tags. Empty: recognised from the tags; spans of JSON lines become BIO.
        convert: the scheme in which tags are handed on, such as ``bioes``. Empty: as they are in the file.
        on_misaligned: what to do with spans of JSON lines that begin or end inside a token.
        encoding: any that Python knows.
    """

    columns: str = "text=0,tag=-1"
    tag: str = "upos"
    tokens: Tokens = "words"
    scheme: str = ""
    convert: str = ""
    on_misaligned: OnMisaligned = "error"
    encoding: str = "utf-8"


def read(path: str | Path, format: str = "auto", options: ReadOptions | None = None) -> TaggedCorpus:
    """All sentences of a file.

    Args:
        path: the file, compressed or not, or ``-``; or what three files ``.seq.in``, ``.seq.out`` and ``.label`` have
            in common, as in ``DIR/train``.
        format: one of `Format`; ``auto`` recognises it by the first lines and says so in the report.
    Raises:
        DataError: the file is wrong; names the line.
        ConfigError: an unknown format, encoding, column or scheme.
    """
    chosen = options or ReadOptions()
    misaligned: list[Misaligned] = []
    if format == "aligned" or (format == "auto" and str(path) != STDIN and aligned_files(path)):
        input_format, reason = (
            "aligned",
            "three files with a line for each sentence" if format == "auto" else "as given",
        )
        sentences = list(_as_tokens(read_aligned(path, chosen.encoding), chosen))
    else:
        input_format, reason, lines = _opened(path, format, chosen)
        sentences = list(read_lines(lines, _name(path), input_format, chosen, misaligned))
    detection = detected(sentences, chosen.scheme)
    if chosen.convert and detection is not None:
        sentences, detection = converted(sentences, detection, chosen.convert, _name(path))
    return TaggedCorpus(sentences, describe(_name(path), input_format, reason, sentences, misaligned, detection))


def read_lines(
    lines: Lines,
    source: str,
    format: str,
    options: ReadOptions | None = None,
    misaligned: list[Misaligned] | None = None,
) -> Iterator[Sentence]:
    """Sentences of numbered lines in a stated format, one by one, their tags as they are.

    Beside the formats of files there is ``text``: running text, whose words and punctuation marks are told apart.
    """
    chosen = options or ReadOptions()
    places = parse_columns(chosen.columns)
    is_joint, has_no_words = chosen.tokens == "joint", chosen.tokens == "characters"
    readers: dict[str, Callable[[], Iterator[Sentence]]] = {
        "columns": lambda: column_sentences(lines, source, text=places["text"], tag=places.get("tag")),
        "conllu": lambda: conllu_sentences(lines, source, tag=chosen.tag),
        "jsonl": lambda: jsonl_sentences(
            lines,
            source,
            tokens="words" if chosen.tokens == "words" else "characters",
            scheme=chosen.scheme or ("bmes" if is_joint else "bio"),
            on_misaligned=chosen.on_misaligned,
            misaligned=misaligned,
        ),
        "slashed": lambda: slashed_sentences(lines, source),
        "segmented": lambda: (plain_sentences if has_no_words else segmented_sentences)(lines, source),
        "bmes": lambda: bmes_sentences(lines, source),
        "text": lambda: (plain_sentences if has_no_words else text_sentences)(lines, source),
        "plain": lambda: (segmented_sentences if is_joint else plain_sentences)(lines, source),
    }
    if format == "aligned":
        raise ConfigError(
            "the format 'aligned' is three files; give what their names have in common, such as DIR/train"
        )
    if format not in readers:
        raise ConfigError(f"{format!r} is not a known format{did_you_mean(format, get_args(Format))}")
    return _as_tokens(readers[format](), chosen)


def _as_tokens(sentences: Iterator[Sentence], options: ReadOptions) -> Iterator[Sentence]:
    return map(character_sentence, sentences) if options.tokens == "joint" else sentences


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
    # Few lines, a broken one among them: no words of a text would end line after line in B-PER, O, I-LOC.
    spelled = 2 * regular > len(split) and _end_in_span_tags(fields for fields in split if len(fields) == width)
    fits = regular >= 0.9 * len(split) and _looks_like_columns(lines, split)
    if width > 1 and (separator == "tabs" or spelled or fits):
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


def _end_in_span_tags(rows: Iterable[Sequence[str]]) -> bool:
    last = [fields[-1] for fields in rows]
    return all(map(_SPAN_TAG.fullmatch, last)) and any("-" in tag for tag in last)


def format_sentences(
    sentences: Sequence[Sentence],
    tags: Iterable[Sequence[str]],
    format: str,
    options: ReadOptions | None = None,
    scheme: str = "",
    labels: Iterable[str | None] | None = None,
) -> Iterator[str]:
    """The lines of a file in the format of the input, with predicted tags in place of the tags.

    Args:
        sentences: as they were read.
        tags: one sequence for each sentence.
        format: that of the input, or another for sentences without rows; ``jsonl`` may be chosen for any input.
        options: those of reading. Where ``tokens`` is ``joint``, the tags become words with tags again.
        scheme: that of the tags, for the spans of JSON lines; empty for plain tags.
        labels: of the sentences, in place of those that they have.
    Raises:
        ConfigError: a format that has no place for tags.
    """
    chosen = options or ReadOptions()
    if labels is not None:
        sentences = [replace(sentence, label=label) for sentence, label in zip(sentences, labels, strict=True)]
    if chosen.tokens == "joint" and format != "jsonl":
        return format_joint(sentences, tags, format, tag=chosen.tag)
    if format == "columns":
        return format_columns(sentences, tags, tag=parse_columns(chosen.columns).get("tag"))
    if format == "conllu":
        return format_conllu(sentences, tags, tag=chosen.tag)
    if format == "jsonl":
        return format_spans_jsonl(sentences, tags, scheme)
    if format == "slashed":
        return format_slashed([sentence.tokens for sentence in sentences], tags)
    if format in ("segmented", "plain", "text", "aligned"):  # tokens without a place for tags become columns
        bare = [Sentence(sentence.tokens, label=sentence.label) for sentence in sentences]
        return format_columns(bare, tags)
    raise ConfigError(f"{format!r} has no place for tags; choose columns, conllu or jsonl")


def _opened(path: str | Path, format: str, options: ReadOptions) -> tuple[str, str, Lines]:
    expected = None if format == "plain" else _EXPECTED
    lines = open_text(path, options.encoding, expected=expected)
    if format != "auto":
        return format, "as given", lines
    head = list(islice(lines, _PEEK))
    input_format, reason = detect_format([line for _, line in head])
    return input_format, reason, chain(head, lines)


def _name(path: str | Path) -> str:
    return "<stdin>" if str(path) == STDIN else str(path)
