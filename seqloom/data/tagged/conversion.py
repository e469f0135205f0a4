"""Tagged sentences in another format, or under another scheme of tags."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from seqloom.data.tagged.corpus import TaggedCorpus, respelled
from seqloom.data.tagged.formats import ReadOptions, format_sentences, read
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import DataError

__all__ = ["converted_lines"]


def converted_lines(
    path: str | Path, format: str, reading: ReadOptions, target: str, scheme: str, tell: Callable[[str], None]
) -> Iterator[str]:
    """The lines of a file of tagged sentences in another format or scheme.

    Args:
        format: of the file; see `read`.
        target: format of the lines; ``same`` keeps all other columns.
        scheme: of their tags; empty keeps that of the file.
        tell: takes lines about what was read and what had to be changed.
    Raises:
        DataError: the file is wrong, has no tags, or tags that cannot become those of the scheme.
        ConfigError: a format, scheme, encoding or column is unknown.
    """
    corpus = read(path, format, replace(reading, convert=scheme))
    for name, value in corpus.report.rows():
        if name in ("format", "sentences", "tags", "misaligned"):
            tell(f"{name:<10} {value}")
    yield from _lines(corpus, target, reading, tell)


def _lines(corpus: TaggedCorpus, target: str, reading: ReadOptions, tell: Callable[[str], None]) -> Iterator[str]:
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
        tell(f"{many} broke the scheme; written as the CoNLL scorer reads them")
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
