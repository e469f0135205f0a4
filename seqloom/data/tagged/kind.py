"""Tagged sentences as a kind of data: what the verbs ``check`` and ``convert`` take and do for them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args

from seqloom.data.files import DAMAGE, open_bytes
from seqloom.data.location import aligned_files
from seqloom.data.tagged.formats import Format, ReadOptions, Tokens
from seqloom.data.tagged.jsonl import OnMisaligned
from seqloom.errors import DataError

if TYPE_CHECKING:
    from seqloom.data.tagged.check import TaggedReport

__all__ = ["TaggedCheck", "TaggedConversion", "TaggedKind"]

_GLANCE = 4096


@dataclass(frozen=True)
class TaggedCheck:
    """Options of ``seqloom check`` for tagged sentences."""

    data: Annotated[Path, "the file to check, compressed or not; or DIR/NAME of NAME.seq.in, NAME.seq.out, NAME.label"]
    train: Annotated[Path | None, "training file to compare it with: shared sentences, unknown labels and tokens"] = (
        None
    )
    as_: Annotated[Format, "format of the files; auto recognises it and says what it found"] = "auto"
    scheme: Annotated[str, "scheme of the tags, such as BIO or BIOES; recognised where it is not given"] = ""
    encoding: Annotated[str, "character encoding of the files"] = "utf-8"
    columns: Annotated[str, "of column files: which column holds what, 0 the first, -1 the last"] = "text=0,tag=-1"
    tag: Annotated[str, "of CoNLL-U files: the column of the tags, such as upos or xpos"] = "upos"
    tokens: Annotated[Tokens, "words, the characters of a text, or joint: characters tagged with word and tag"] = (
        "words"
    )
    embeddings: Annotated[Path | None, "word vectors (word2vec or GloVe); reports how many of the words they have"] = (
        None
    )
    limit: Annotated[int, "findings of a kind to list for each file"] = 10


@dataclass(frozen=True)
class TaggedConversion:
    """Options of ``seqloom convert`` for tagged sentences."""

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


class TaggedKind:
    """Sentences whose tokens carry tags, in any of the formats that `seqloom.data.tagged.formats.read` reads."""

    name: ClassVar[str] = "tagged"
    formats: ClassVar[tuple[str, ...]] = tuple(name for name in get_args(Format) if name != "auto")
    check_options: ClassVar[type] = TaggedCheck
    convert_options: ClassVar[type] = TaggedConversion
    convert_summary: ClassVar[str] = "write tagged sentences in another format, or under another scheme of tags"

    def recognises(self, path: Path) -> bool:
        """Whether it is text, or three aligned files; also an archive that is damaged, as reading it will say."""
        try:
            if not path.is_file():
                return aligned_files(path) is not None
            stream, _ = open_bytes(path)
            with stream:
                return b"\0" not in stream.read(_GLANCE)
        except (DataError, *DAMAGE):
            return True

    def check(self, options: TaggedCheck) -> "TaggedReport":
        """What the file, and the training file, hold and what is wrong with them."""
        from seqloom.data.tagged.check import check

        paths = {"data": options.data} if options.train is None else {"train": options.train, "data": options.data}
        return check(paths, options.as_, _reading(options), limit=options.limit, embeddings=options.embeddings)

    def convert(self, options: TaggedConversion, tell: Callable[[str], None]) -> Iterator[str]:
        """The sentences in the other format or scheme; tells what was read.

        Raises:
            DataError: the file is wrong, has no tags, or tags that cannot become those of the scheme.
            ConfigError: a format, scheme, encoding or column is unknown.
        """
        from seqloom.data.tagged.conversion import converted_lines

        reading, scheme = _reading(options, options.on_misaligned), options.to_scheme
        return converted_lines(options.data, options.as_, reading, options.to_format, scheme, tell)


def _reading(options: TaggedCheck | TaggedConversion, on_misaligned: OnMisaligned = "error") -> ReadOptions:
    return ReadOptions(
        columns=options.columns,
        tag=options.tag,
        tokens=options.tokens,
        scheme=options.scheme,
        encoding=options.encoding,
        on_misaligned=on_misaligned,
    )
