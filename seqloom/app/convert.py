"""``seqloom convert``: tagged sentences in another format, or under another scheme of tags."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from seqloom.app.command import parse
from seqloom.data.tagged.corpus import Corpus, respelled
from seqloom.data.tagged.formats import Format, ReadOptions, Tokens, format_sentences, read
from seqloom.data.tagged.jsonl import OnMisaligned
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import DataError

__all__ = ["SUMMARY", "run"]

SUMMARY = "write tagged sentences in another format, or under another scheme of tags"


@dataclass(frozen=True)
class Options:
    """Options of the verb."""

    data: Annotated[Path, "the file, compressed or not, or - for standard input; or DIR/NAME of three aligned files"]
    to_format: Annotated[
        Literal["same", "columns", "conllu", "jsonl", "slashed"], "format of the output; same keeps all other columns"
    ] = "same"
    to_scheme: Annotated[
        str, "scheme of the output's tags: bio, iob1, bioes, bilou, bmes or direct; as read if empty"
    ] = ""
    as_: Annotated[Format, "format of the file; auto recognises it and says what it found"] = "auto"
    scheme: Annotated[str, "scheme of the file's tags; recognised where it is not given"] = ""
    encoding: Annotated[str, "character encoding of the file"] = "utf-8"
    columns: Annotated[str, "of column files: which column holds what, 0 the first, -1 the last"] = "text=0,tag=-1"
    tag: Annotated[str, "of CoNLL-U files: the column of the tags, such as upos or xpos"] = "upos"
    tokens: Annotated[Tokens, "words; the characters of a text; or joint: characters tagged with word and tag"] = (
        "words"
    )
    on_misaligned: Annotated[OnMisaligned, "what to do with spans of JSON lines that begin or end inside a token"] = (
        "error"
    )


def run(argv: list[str]) -> int:
    """Writes the sentences to standard output, and what was read to standard error.

    Raises:
        DataError: the file is wrong, has no tags, or tags that cannot become those of the scheme.
        ConfigError: a format, scheme, encoding or column is unknown.
    """
    options = parse(Options, argv, verb="convert", summary=SUMMARY, positional=("data",))
    reading = ReadOptions(
        columns=options.columns,
        tag=options.tag,
        tokens=options.tokens,
        scheme=options.scheme,
        convert=options.to_scheme,
        encoding=options.encoding,
        on_misaligned=options.on_misaligned,
    )
    corpus = read(options.data, options.as_, reading)
    for name, value in corpus.report.rows():
        if name in ("format", "sentences", "tags", "misaligned"):
            print(f"{name:<10} {value}", file=sys.stderr)
    for line in _lines(corpus, options.to_format, replace(reading, convert="")):
        print(line)
    return 0


def _lines(corpus: Corpus, target: str, reading: ReadOptions) -> Iterator[str]:
    untagged = next((sentence for sentence in corpus.sentences if sentence.tags is None), None)
    if untagged is not None:
        raise DataError(
            f"{untagged.where()}: the sentence has no tags to convert; the file was read as {corpus.report.format} "
            f"({corpus.report.reason}), and --as names another format"
        )
    sentences, detection, read_as = corpus.sentences, corpus.report.scheme, corpus.report.format
    scheme = detection.scheme if detection is not None else None
    broken: list[Sentence] = []
    if scheme is not None and detection is not None and detection.conflicts:
        sentences, broken = respelled(sentences, scheme)
        many = f"{len(broken):,} sentence{'s' if len(broken) != 1 else ''}"
        print(f"{many} broke the scheme; written as the CoNLL scorer reads them", file=sys.stderr)
    chosen = read_as if target == "same" else target
    if chosen != read_as or reading.tokens == "joint":
        # What only the other format has a place for stays behind.
        joined = reading.tokens != "words" and all(len(token) == 1 for one in sentences for token in one.tokens)
        sentences = [_bare(sentence, joined) for sentence in sentences]
        reading = replace(reading, columns="text=0,tag=-1", tokens="words")
        _check_separators(sentences, chosen)
    tags = [sentence.tags or () for sentence in sentences]
    return format_sentences(sentences, tags, chosen, reading, scheme.name if scheme is not None else "")


def _bare(sentence: Sentence, joined: bool) -> Sentence:
    """The tokens, joined to one text where these are its characters, with their tags and the label."""
    spaces = sentence.space_after
    if spaces is None and sentence.offsets is not None:
        borders = zip(sentence.offsets, sentence.offsets[1:], strict=False)
        spaces = (*(end < start for (_, end), (start, _) in borders), *([True] if sentence.tokens else []))
    return Sentence(
        "".join(sentence.tokens) if joined else sentence.tokens,
        sentence.tags,
        line=sentence.line,
        source=sentence.source,
        space_after=None if joined else spaces,
        label=sentence.label,
    )


def _check_separators(sentences: Sequence[Sentence], format: str) -> None:
    """Raises DataError where a token or a tag holds what parts them in a format, or a sentence has no tokens there."""
    separators = {"columns": "\t\r\n", "conllu": "\t\r\n", "slashed": " \t\r\n\u3000"}.get(format)
    if separators is None:
        return
    for sentence in sentences:
        if not sentence.tokens:
            raise DataError(f"{sentence.where()}: a sentence without tokens has no place in {format}; leave it out")
        for index, (token, tag) in enumerate(zip(sentence.tokens, sentence.tags or (), strict=True)):
            if any(mark in token or mark in tag for mark in separators) or (format == "slashed" and "/" in tag):
                where = sentence.where(index)
                raise DataError(f"{where}: {token!r} with the tag {tag!r} cannot be written as {format}; choose jsonl")
