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
from seqloom.data.tagged.columns import (
    Lines,
    column_sentences,
    format_columns,
    header_columns,
    named_columns,
    parse_columns,
    token_column,
)
from seqloom.data.tagged.conllu import FIELDS, conllu_sentences, format_conllu
from seqloom.data.tagged.corpus import TaggedCorpus, converted, describe, detected
from seqloom.data.tagged.joint import character_sentence, format_joint
from seqloom.data.tagged.jsonl import Misaligned, OnMisaligned, format_spans_jsonl, jsonl_sentences
from seqloom.data.tagged.segmented import bmes_sentences, plain_sentences, segmented_sentences, text_sentences
from seqloom.data.tagged.sentences import Sentence
from seqloom.data.tagged.slashed import format_slashed, slashed_sentences
from seqloom.errors import ConfigError, DataError, did_you_mean

__all__ = [
    "Format",
    "ReadOptions",
    "Tokens",
    "by_header",
    "detect_format",
    "format_sentences",
    "read",
    "read_lines",
]

Format = Literal["auto", "columns", "conllu", "jsonl", "slashed", "aligned", "segmented", "bmes", "plain"]
Tokens = Literal["words", "characters", "joint"]

_COLUMNS = "text=0,tag=-1"
_PEEK = 200  # lines: enough for a sentence or two of any corpus
_SPAN_TAG = re.compile(r"O|[BIESMLU](-\S+)?")
_SLASHED = re.compile(r".+/[A-Za-z][A-Za-z0-9_$-]*")
_MOSTLY, _ENOUGH = (
    0.8,
    5,
)  # the share of words with a tag behind a slash that makes the others slips, among so many words
_ARRAY = re.compile(r"""\s*\[\s*(?:[{"]|\[\s*"|$)""")
_BRAT = re.compile(r"T[0-9]+\t\S+ [0-9]+(?: [0-9]+;[0-9]+)* [0-9]+\t.*")
_SPAN_OR_NONE = re.compile(r"O|[BIESMLU]-\S+")
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
        whole: of text that becomes words, whether addresses, numbers with separators, emoji sequences and the like are
            one token each; see `seqloom.data.tagged.offsets.tokenize`.
        with_tags: false where the tags of the input do not matter, since a model replaces them: whatever stands in
            their place is right.
    """

    columns: str = _COLUMNS
    tag: str = "upos"
    tokens: Tokens = "words"
    scheme: str = ""
    convert: str = ""
    on_misaligned: OnMisaligned = "error"
    encoding: str = "utf-8"
    whole: bool = False
    with_tags: bool = True


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
        input_format, reason, lines, chosen = _opened(path, format, chosen)
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
    trailing: list[str] | None = None,
) -> Iterator[Sentence]:
    """Sentences of numbered lines in a stated format, one by one, their tags as they are.

    Beside the formats of files there is ``text``: running text, whose words and punctuation marks are told apart.

    Args:
        misaligned: takes the spans that did not fall on token borders.
        trailing: takes the lines behind the last sentence of columns or CoNLL-U, and no sentence is held back to keep them.
    """
    chosen = options or ReadOptions()
    places = parse_columns(chosen.columns)
    with_tags = chosen.with_tags
    is_joint, has_no_words = chosen.tokens == "joint", chosen.tokens == "characters"
    readers: dict[str, Callable[[], Iterator[Sentence]]] = {
        "columns": lambda: column_sentences(
            lines,
            source,
            text=places["text"],
            tag=places.get("tag"),
            identity=places.get("id"),
            with_tags=with_tags,
            trailing=trailing,
        ),
        "conllu": lambda: conllu_sentences(lines, source, tag=chosen.tag, with_tags=with_tags, trailing=trailing),
        "jsonl": lambda: jsonl_sentences(
            lines,
            source,
            tokens="words" if chosen.tokens == "words" else "characters",
            scheme=chosen.scheme or ("bmes" if is_joint else "bio"),
            on_misaligned=chosen.on_misaligned,
            misaligned=misaligned,
            with_tags=with_tags,
            whole=chosen.whole,
        ),
        "slashed": lambda: slashed_sentences(lines, source, with_tags=with_tags),
        "segmented": lambda: (plain_sentences if has_no_words else segmented_sentences)(lines, source),
        "bmes": lambda: bmes_sentences(lines, source),
        "text": lambda: (
            plain_sentences(lines, source) if has_no_words else text_sentences(lines, source, whole=chosen.whole)
        ),
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
    if _ARRAY.match(filled[0]) and (filled[0].strip() != "[" or (filled[1:] and filled[1].lstrip().startswith("{"))):
        return "jsonl", "the first line is a JSON array"
    names = named_columns(filled[0])
    if names is not None and names != list(FIELDS):
        return "columns", f"CoNLL-U Plus: the columns {' '.join(names).upper()}"
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
    words = [token for line in filled for token in line.split()]
    slips = sum(_SLASHED.fullmatch(token) is None for token in words)
    if not slips:
        return "slashed", "every word has a tag behind a slash"
    if len(words) >= _ENOUGH and slips <= (1 - _MOSTLY) * len(words):
        return "slashed", f"{len(words) - slips:,} of the first {len(words):,} words have a tag behind a slash"
    if any(len(line.split()) > 1 for line in filled):
        return "segmented", "lines of words separated by spaces"
    return "plain", "lines without spaces"


def by_header(lines: Sequence[str], options: ReadOptions) -> tuple[ReadOptions, str]:
    """The options for a file of columns that names them: by CoNLL-U Plus, or in a first line of usual names.

    Args:
        lines: the first of the file.
    Returns:
        the options, changed where they leave the columns to the default; and what was named, for people.
    Raises:
        ConfigError: CoNLL-U Plus without the column FORM.

    >>> by_header(["sentence_id\\tword\\ttag"], ReadOptions())[0].columns
    'text=1,tag=2'
    """
    first = next((line for line in lines if line.strip()), "")
    names = named_columns(first)
    if names is None:
        row = next((line for line in lines if line.strip() and not line.startswith(("#", "-DOCSTART-"))), "")
        names = [name.strip() for name in row.lower().split("\t" if "\t" in row else None)]
        if len(names) < 2 or not header_columns(names):
            return options, ""
    elif "form" not in names:
        raise ConfigError(f"the columns that the file names, {' '.join(names).upper()}, have no FORM")
    if options.columns != _COLUMNS:
        return options, "the first line names the columns"
    text, tag = token_column(names), len(names) - 1
    if named_columns(first) is not None and options.tag != "upos" and options.tag in names:
        tag = names.index(options.tag)
    identity = ",id=0" if names[0] == "id" and named_columns(first) is not None else ""
    said = f"by the header, words in {names[text].upper()} and tags in {names[tag].upper()}"
    return replace(options, columns=f"text={text},tag={tag}{identity}"), said


def _refuse_commas(lines: Sequence[str], name: str) -> None:
    """Raises DataError for comma-separated values: with a header of usual names, or tags of spans in the last place."""
    rows = [line for line in lines if line.strip()]
    for separator, called in ((",", "commas"), (";", "semicolons")):
        ends = [line.strip().rpartition(separator) for line in rows]
        tagged = [tag.strip(' "') for token, found, tag in ends if found and token]
        if len(tagged) == len(rows) > 1 and all(map(_SPAN_OR_NONE.fullmatch, tagged)) and set(tagged) != {"O"}:
            raise DataError(
                f"{name}:1: columns separated by {called} are not read; write a token and its tag on each line, with a tab "
                "between, and an empty line after each sentence"
            )
    number, first = next(((number, line) for number, line in enumerate(lines, start=1) if line.strip()), (0, ""))
    for separator, called in ((",", "commas"), (";", "semicolons")):
        fields = [field.strip(' "') for field in first.split(separator)]
        if len(fields) > 1 and header_columns(fields):
            raise DataError(
                f"{name}:{number}: columns separated by {called} with the header {first.strip()!r} are not read; write a "
                "token and its tag on each line, with a tab between, and an empty line after each sentence"
            )


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


def _opened(path: str | Path, format: str, options: ReadOptions) -> tuple[str, str, Lines, ReadOptions]:
    expected = None if format == "plain" else _EXPECTED
    lines = open_text(path, options.encoding, expected=expected)
    if format not in ("auto", "columns"):
        return format, "as given", lines, options
    head = list(islice(lines, _PEEK))
    first = [line for _, line in head]
    if next((bool(_BRAT.fullmatch(line)) for line in first if line.strip()), False):
        raise DataError(
            f"{_name(path)}:1: annotation of brat, beside a text file, is not read; write JSON lines with 'text' and 'spans', "
            "or a token and its tag on each line"
        )
    input_format, reason = detect_format(first) if format == "auto" else (format, "as given")
    if input_format == "columns":
        options, said = by_header(first, options)
        reason += f"; {said}" if said else ""
    else:
        _refuse_commas(first, _name(path))
    return input_format, reason, chain(head, lines), options


def _name(path: str | Path) -> str:
    return "<stdin>" if str(path) == STDIN else str(path)
