"""Text files as people have them: compressed or not, with or without a byte-order mark, in one stated encoding.

Only ``\\n`` (and ``\\r\\n``) ends a line. ``str.splitlines`` would also cut at U+2028, form feeds and the separators
0x1C-0x1E, which occur inside real text and would shift every line number after them.
"""

import bz2
import codecs
import gzip
import hashlib
import lzma
import os
import re
import stat
import sys
import tempfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from functools import partial
from io import BufferedIOBase, BufferedReader, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from seqloom.data.live import LiveInput
from seqloom.data.location import aligned_files, locate
from seqloom.errors import ConfigError, DataError, did_you_mean
from seqloom.outside import limit, raising

__all__ = [
    "DAMAGE",
    "STDIN",
    "byte_lines",
    "check_repeatable",
    "checksum",
    "first_bytes",
    "open_bytes",
    "open_text",
    "write_atomic",
]

STDIN = "-"

_BUFFER = 1 << 16
_BLOCK = 1 << 17
_RATIO = 100  # a text is seldom packed into less than a tenth

_OPENERS: dict[bytes, Callable[[BinaryIO], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"BZh": bz2.open,
}
DAMAGE = (OSError, EOFError, lzma.LZMAError, zlib.error)  # what reading a damaged archive raises
_WIDE_UNITS = ("utf-16", "utf-32")
_CANDIDATES = ("utf-8", "gb18030", "big5", "shift_jis", "euc-kr", "latin-1", "cp1252", "utf-16")


def open_text(
    path: str | Path,
    encoding: str = "utf-8",
    *,
    expected: str | None = "lines of text",
    live: LiveInput | None = None,
) -> Iterator[tuple[int, str]]:
    """Numbered lines of a text file, from 1, without their line ends.

    Plain, gzip, xz and bzip2 files are told apart by their first bytes, whatever their names; ``-`` is the standard
    input. A byte-order mark at the start and ``\\r`` before ``\\n`` are dropped; every other character is kept.

    Args:
        path: the file, ``-``, or ``package:NAME/path`` for a file inside an installed package.
        encoding: any encoding that Python knows.
        expected: what an empty file should have held, for the message; ``None`` where an empty file is fine.
        live: the standard input, where its pauses matter.
    Raises:
        DataError: the file is missing, unreadable, damaged, empty, or not in ``encoding`` (names line and byte).
        ConfigError: no such encoding.

    The file is opened at the call, so a wrong name is reported before the first line is asked for.
    """
    try:
        codec = codecs.lookup(encoding).name
        with suppress(UnicodeError):
            b"0000".decode(codec)
    except (LookupError, ValueError):  # not known, no encoding of text, or no name at all
        raise ConfigError(
            f"encoding: {encoding!r} is not a known text encoding{did_you_mean(encoding, _CANDIDATES)}"
        ) from None
    if live is not None:
        return _decode_lines(cast(BinaryIO, live), "<stdin>", codec, expected)
    stream, name = open_bytes(path)
    return _decode_lines(stream, name, codec, expected)


def open_bytes(path: str | Path) -> tuple[BinaryIO, str]:
    """The bytes of a file, unpacked where it is gzip, xz or bzip2, and its name for messages; ``-`` is the standard input.

    Raises:
        DataError: the file is missing or cannot be read.
    """
    if str(path) == STDIN:
        return sys.stdin.buffer, "<stdin>"
    stream = _open_plain(Path(path))
    try:
        head = stream.peek(6)  # takes nothing away, so that a pipe is read whole
    except OSError as problem:
        stream.close()
        raise DataError(f"{path}: cannot be read ({problem.strerror})") from problem
    for magic, opener in _OPENERS.items():
        if head.startswith(magic):
            # These objects find lines in Python; a buffer around them does it in C, at twice the speed.
            return BufferedReader(_Unpacked(opener(stream), stream, str(path)), _BUFFER), str(path)
    return stream, str(path)


def first_bytes(path: str | Path, count: int) -> tuple[bytes, str]:
    """The first bytes of a file, unpacked, for a look at what it is; and its name for messages.

    Raises:
        DataError: the file is missing, damaged or cannot be read.
    """
    stream, name = open_bytes(path)
    with stream:
        try:
            return stream.read(count), name
        except DAMAGE as problem:
            raise DataError(f"{name} is damaged or cut short ({problem}); fetch it again") from problem


class _Unpacked(RawIOBase):
    """The bytes inside an archive, as long as there are not absurdly many for its size."""

    def __init__(self, unpacking: BinaryIO, packed: BufferedReader, name: str) -> None:
        self._unpacking, self._packed, self._name, self._taken = unpacking, packed, name, 0
        described = os.fstat(packed.fileno())
        regular = stat.S_ISREG(described.st_mode)
        self._most = max(limit("UNPACKED"), _RATIO * described.st_size if regular else _RATIO * limit("UNPACKED"))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size: int = self._unpacking.readinto(buffer)  # type: ignore[attr-defined]
        self._taken += size
        if self._taken > self._most:
            raise DataError(
                f"{self._name} unpacks to more than {self._most:,} bytes, over {_RATIO} times its size; "
                f"expected text, {raising('UNPACKED')}"
            )
        return size

    def close(self) -> None:
        if not self.closed:
            self._unpacking.close()
            self._packed.close()
        super().close()


def byte_lines(stream: BinaryIO | LiveInput, name: str) -> Iterator[bytes]:
    """The lines of a stream with their ends, none of them endless, and no endless row of blank ones.

    Raises:
        DataError: a line is too long, there are too many blank ones, or the file is damaged.
    """
    longest, most, blank = limit("LINE"), limit("BLANK"), 0
    lines = stream if isinstance(stream, LiveInput) else iter(partial(stream.readline, longest + 1), b"")
    try:
        for number, line in enumerate(lines, start=1):
            if len(line) > longest:
                raise _endless(name, number, longest)
            if line.isspace():
                blank += 1
                if blank > most:
                    raise _blank(name, number, blank)
            else:
                blank = 0
            yield line
    except DAMAGE as problem:
        raise DataError(f"{name} is damaged or cut short ({problem}); fetch or pack it again") from problem


def _endless(name: str, number: int, longest: int) -> DataError:
    return DataError(
        f"{name}:{number}: the line has more than {longest:,} bytes; expected lines of text, {raising('LINE')}"
    )


def _blank(name: str, number: int, blank: int) -> DataError:
    return DataError(f"{name}:{number}: {blank:,} blank lines in a row; expected text, {raising('BLANK')}")


def check_repeatable(path: str | Path, doing: str) -> None:
    """Refuses a pipe, which is empty when it is read again.

    Args:
        doing: what reads the data twice.
    Raises:
        DataError: the path is a pipe.
    """
    try:
        pipe = stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return  # who reads it says what is wrong
    if pipe:
        raise DataError(f"{path} is a pipe, and {doing} reads its data twice; write them to a file first")


def checksum(path: str | Path) -> str:
    """The SHA-256 of a file's bytes on disk, as ``sha256sum`` prints it.

    Of three aligned files it is that of their bytes one after the other: ``cat P.seq.in P.seq.out P.label | sha256sum``; of other
    files with a prefix, ``cat P.* | sha256sum``. Of a folder it is that of the checksums and names of its files, but for hidden
    ones: ``find * -type f | LC_ALL=C sort | xargs sha256sum | sha256sum`` in it.
    """
    if str(path) == STDIN:
        raise DataError("the standard input has no checksum; give the name of a file")
    check_repeatable(path, "a checksum")
    digest = hashlib.sha256()
    if Path(path).is_dir() and not aligned_files(path):
        for name, file in _inside(Path(path)):
            digest.update(f"{checksum(file)}  {name}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()
    for file in aligned_files(path) or _prefixed(Path(path)) or (Path(path),):
        with _open_plain(file) as stream:
            while block := stream.read(_BUFFER):
                digest.update(block)
    return digest.hexdigest()


def _inside(folder: Path) -> list[tuple[str, Path]]:
    """The files of a folder and of those within it, by the name that each has from there."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in files if not name.startswith(".")]
    named = [(file.relative_to(folder).as_posix(), file) for file in found if file.is_file()]
    return sorted(named, key=lambda pair: os.fsencode(pair[0]))


def _prefixed(path: Path) -> list[Path]:
    """The files that have a path and a point as a prefix; none where the path is there itself."""
    try:
        if path.exists() or not path.parent.is_dir():
            return []
        names = sorted(entry.name for entry in path.parent.iterdir() if entry.name.startswith(f"{path.name}."))
    except (OSError, ValueError):
        return []
    return [path.parent / name for name in names if (path.parent / name).is_file()] if len(names) > 1 else []


def write_atomic(path: str | Path, content: str | bytes) -> None:
    """Write a whole file so that a reader, or a power cut, finds the old content or the new one, never a part.

    Text is written as UTF-8 with ``\\n``. A link is followed; what is not a regular file (``/dev/stdout``, a pipe) is
    written to directly, because a rename would replace the device; ``-`` is the standard output.

    Raises:
        DataError: the folder does not exist or cannot be written to.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    if str(path) == STDIN:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    target = Path(os.path.realpath(path))
    try:
        mode = target.stat().st_mode if target.exists() else None
        if mode is not None and not stat.S_ISREG(mode):
            target.write_bytes(data)
        else:
            _replace(target, data, mode)
    except OSError as problem:
        raise DataError(f"{path}: cannot be written ({problem.strerror}); choose a folder that can") from problem


def _replace(target: Path, data: bytes, mode: int | None) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, stat.S_IMODE(mode) if mode is not None else 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the rename itself is durable only once the folder is
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _umask() -> int:
    # The mask can only be read by setting it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _open_plain(path: Path) -> BufferedReader:
    path = Path(locate(path))
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file{_near_names(path)}") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; expected a file, such as one inside it") from None
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror}); check its permissions") from problem
    except ValueError:  # a NUL, or half of a surrogate pair
        raise DataError(f"{str(path)!r} is no name that a file can have") from None


def _near_names(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f", nor a folder {path.parent}; check the path"
    hint = did_you_mean(path.name, names) if names else ""
    return hint if "did you mean" in hint else f" in {path.parent.resolve()}; check the path"


def _decode_lines(stream: BinaryIO, name: str, codec: str, expected: str | None) -> Iterator[tuple[int, str]]:
    decoded = _wide_lines if codec.startswith(_WIDE_UNITS) else _lines
    with stream if stream is not sys.stdin.buffer else _KeepOpen():
        count = yield from decoded(stream, name, codec)
    if count == 0 and expected is not None:
        raise DataError(f"{name} is empty; expected {expected}")


class _KeepOpen:
    def __enter__(self) -> None: ...

    def __exit__(self, *details: object) -> Literal[False]:
        return False


def _lines(stream: BinaryIO, name: str, codec: str) -> Generator[tuple[int, str], None, int]:
    """In every encoding whose unit is a byte, 0x0A is a line end and nothing else, so lines are cut before decoding.

    Returns:
        how many there were.
    """
    if codec == "utf-8" and isinstance(stream, BufferedIOBase):
        return (yield from _block_lines(stream, name))
    offset = number = 0
    for number, raw in enumerate(byte_lines(stream, name), start=1):
        text = _without_end(_decoded(raw, codec, name, number, offset))
        offset += len(raw)
        yield number, text if number > 1 else text.removeprefix("\ufeff")
    return number


def _decoded(raw: bytes, codec: str, name: str, number: int, offset: int) -> str:
    """A line that begins at a byte of the file."""
    try:
        return raw.decode(codec)
    except UnicodeDecodeError as problem:
        raise DataError(_undecodable(name, number, offset, raw, problem)) from None
    except UnicodeError as problem:  # of encodings that do not say where
        raise DataError(f"{name}:{number}: the line is not {codec} ({problem})") from None


def _block_lines(stream: BufferedIOBase, name: str) -> Generator[tuple[int, str], None, int]:
    """The same for UTF-8, decoded in blocks, which costs half as much; what is wrong in a block is looked for line by line."""
    longest, most = limit("LINE"), limit("BLANK")
    number = offset = blank = 0
    for data in _whole_lines(stream, name, longest):
        try:
            lines = data.decode().split("\n")
        except UnicodeDecodeError:
            lines = []
        if not lines or len(data) > longest:
            for raw in re.findall(rb"[^\n]*\n|[^\n]+\Z", data):
                number += 1
                if len(raw) > longest:
                    raise _endless(name, number, longest)
                text = _without_end(_decoded(raw, "utf-8", name, number, offset))
                offset += len(raw)
                yield number, text if number > 1 else text.removeprefix("\ufeff")
            continue
        offset += len(data)
        if not lines[-1]:
            lines.pop()
        for text in lines:
            number += 1
            if not text or text.isspace():
                blank += 1
                if blank > most:
                    raise _blank(name, number, blank)
            else:
                blank = 0
            yield number, text.removesuffix("\r") if number > 1 else text.removesuffix("\r").removeprefix("\ufeff")
    return number


def _whole_lines(stream: BufferedIOBase, name: str, longest: int) -> Iterator[bytes]:
    """The bytes of a stream, as they come, cut behind line ends."""
    kept = b""
    try:
        while block := stream.read1(_BLOCK):
            whole, end, rest = block.rpartition(b"\n")
            if end:
                yield kept + whole + end
                kept = rest
            else:
                kept += block
                if len(kept) > longest:  # an end will not come
                    yield kept
                    kept = b""
    except DAMAGE as problem:
        raise DataError(f"{name} is damaged or cut short ({problem}); fetch or pack it again") from problem
    if kept:
        yield kept


def _wide_lines(stream: BinaryIO, name: str, codec: str) -> Generator[tuple[int, str], None, int]:
    data, number = b"".join(byte_lines(stream, name)), 0
    try:
        text = data.decode(codec)
    except UnicodeDecodeError as problem:
        number = data[: problem.start].decode(codec, "ignore").count("\n") + 1
        raise DataError(_undecodable(name, number, 0, data, problem)) from None
    for number, line in enumerate(re.finditer(r"[^\n]*\n|[^\n]+\Z", text.removeprefix("\ufeff")), start=1):
        yield number, _without_end(line.group())
    return number


def _without_end(line: str) -> str:
    return line[:-1].removesuffix("\r") if line.endswith("\n") else line.removesuffix("\r")


def _undecodable(name: str, number: int, offset: int, raw: bytes, problem: UnicodeDecodeError) -> str:
    byte = raw[problem.start]
    wide = problem.encoding.startswith(_WIDE_UNITS) or raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\x00" in raw and not wide:
        return f"{name}:{number}: the line holds zero bytes and is not {problem.encoding}; expected a text file"
    remedy = _likely_encoding(raw, offset + problem.start, problem.encoding)
    return (
        f"{name}:{number}: byte 0x{byte:02X} at offset {offset + problem.start} is not {problem.encoding}; "
        f"if the file is in another encoding, such as {remedy}, name it with the option encoding"
    )


def _likely_encoding(raw: bytes, offset: int, tried: str) -> str:
    """A guess for the message only: single high bytes between ASCII letters are accents, runs of them are Chinese."""
    if offset == 0 and raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    runs = re.findall(rb"[\x80-\xff]+", raw)
    accents = all(len(run) == 1 for run in runs)
    if tried not in ("gb18030", "gbk", "gb2312") and not accents:
        return "gb18030"
    return "latin-1" if accents else "utf-8"
