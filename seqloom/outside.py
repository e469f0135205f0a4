"""What comes from outside, through one door for each kind: YAML, JSON, whole files, tensors; ``data/files.py`` is that of text.

A door limits size, depth and length before it builds anything, and whatever is wrong is an :class:`UnreadableError` with a
reason for a sentence; who asked knows what the file is for and says the rest. Each limit can be raised by an environment
variable.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from seqloom.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "LIMITS",
    "MISFITS",
    "UnreadableError",
    "compose_yaml",
    "first_line",
    "limit",
    "parse_json",
    "parse_yaml",
    "raising",
    "read_tensors",
    "read_text",
    "read_whole",
    "yaml_value",
]

LIMITS = {
    "DEPTH": (100, "levels of lists and mappings within each other"),
    "YAML": (64 * 1024, "bytes of a recipe or of a model's config.yaml"),
    "JSON": (256 * 2**20, "bytes of a JSON file"),
    "LINE": (4 * 2**20, "bytes of one line of text"),
    "UNPACKED": (
        16 * 2**20,
        "bytes from which on a file that unpacks to more than a hundred times its size is refused",
    ),
    "ARCHIVE": (8 * 2**30, "bytes that the arrays of one .npz file unpack to"),
    "IMAGE": (16 * 2**20, "pixels of one image"),
    "BLANK": (500_000, "blank lines in a row"),
}
"""Of each limit its value and what it counts; the environment variable ``SEQLOOM_MAX_`` and its name sets another."""

MISFITS = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,  # among others torch's, and RecursionError
    MemoryError,
    AssertionError,
)
"""What building something raises where what was read is not as it should be."""

_EXPANDED = 20_000  # nodes of a YAML text whose aliases are written out


class UnreadableError(ValueError):
    """Something from outside cannot be used.

    Attributes:
        reason: why, as a part of a sentence.
        line: where, from 1; None where no line is to blame.
    """

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason, self.line = reason, line


def limit(name: str) -> int:
    """One of ``LIMITS``, as the environment sets it.

    Raises:
        ConfigError: the environment variable is no number from 1 up.
    """
    text = os.environ.get(f"SEQLOOM_MAX_{name}")
    if text is None:
        return LIMITS[name][0]
    if not (text.isdecimal() and len(text) < 20 and int(text)):
        raise ConfigError(f"SEQLOOM_MAX_{name} is {text!r}; expected a whole number from 1 up")
    return int(text)


def raising(name: str) -> str:
    """How a sentence says that a limit can be raised."""
    return f"set SEQLOOM_MAX_{name} to allow more"


# YAML ---------------------------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """Counts how deep it is before Python's own stack ends."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > limit("DEPTH") + 1:
            line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
            raise UnreadableError(f"nested deeper than {limit('DEPTH')} levels; {raising('DEPTH')}", line)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def parse_yaml(text: str) -> Any:
    """The value of a YAML text.

    Raises:
        UnreadableError: it is not YAML, or too long, too deep, or larger than itself by its aliases.
    """
    return yaml_value(compose_yaml(text))


def yaml_value(root: Any) -> Any:
    """The value of composed nodes, which it may change: merged keys are put in. Raises as `parse_yaml`."""
    if root is None:
        return None
    try:
        return _Loader("").construct_document(root)
    except yaml.YAMLError as error:
        raise _yaml_problem(error) from None
    except MISFITS as error:  # a timestamp of month 99, a number of 5,000 digits
        raise UnreadableError(f"a value is impossible ({first_line(error)})") from None


def compose_yaml(text: str) -> Any:
    """The nodes of a YAML text, with their lines; None of an empty one. Raises as `parse_yaml`."""
    if len(text) > limit("YAML"):
        raise UnreadableError(f"it has {len(text):,} characters, more than {limit('YAML'):,}; {raising('YAML')}")
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is not None and "*" in text:
            _check_aliases(root, 0, {}, set())
    except yaml.YAMLError as error:
        raise _yaml_problem(error) from None
    except RecursionError:
        raise UnreadableError("nested too deeply") from None
    return root


def _yaml_problem(error: yaml.YAMLError) -> UnreadableError:
    if isinstance(error, yaml.MarkedYAMLError):
        line = error.problem_mark.line + 1 if error.problem_mark else None
        return UnreadableError(str(error.problem or error.context), line)
    return UnreadableError(first_line(error))


def _check_aliases(node: Any, depth: int, known: dict[int, tuple[int, int]], above: set[int]) -> tuple[int, int]:
    """How many nodes there are below one, itself included and aliases written out, and in how many levels."""
    if isinstance(node, yaml.ScalarNode):
        return 1, 1
    line = node.start_mark.line + 1
    if id(node) in above:
        raise UnreadableError("an alias stands inside what it is an alias of", line)
    if id(node) not in known:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        below = [_check_aliases(part, depth + 1, known, above | {id(node)}) for part in parts]
        known[id(node)] = 1 + sum(size for size, _ in below), 1 + max((levels for _, levels in below), default=0)
    size, levels = known[id(node)]
    if size > _EXPANDED:
        raise UnreadableError(f"its aliases, written out, make more than {_EXPANDED:,} values", line)
    if depth + levels > limit("DEPTH") + 1:
        raise UnreadableError(f"nested deeper than {limit('DEPTH')} levels by its aliases; {raising('DEPTH')}", line)
    return size, levels


# JSON ---------------------------------------------------------------------------------------------------------------------


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        UnreadableError: it is not JSON, nested too deeply, or has a number of thousands of digits.
    """
    deep = UnreadableError(f"nested deeper than {limit('DEPTH')} levels; {raising('DEPTH')}")
    try:
        value = json.loads(text)
    except RecursionError:
        raise deep from None
    except ValueError as error:
        raise UnreadableError(first_line(error)) from None
    brackets = text.count(b"[") + text.count(b"{") if isinstance(text, bytes) else text.count("[") + text.count("{")
    if brackets > limit("DEPTH"):
        level = [value]
        for _ in range(limit("DEPTH")):
            level = [part for one in level for part in _parts(one)]
        if any(isinstance(one, dict | list) for one in level):
            raise deep
    return value


def _parts(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


# Files --------------------------------------------------------------------------------------------------------------------


def read_whole(path: Path, name: str) -> bytes:
    """The bytes of a regular file that is to be held whole.

    Args:
        name: the limit of its size.
    Raises:
        UnreadableError: it is missing, no regular file, larger than the limit, or cannot be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableError("it is no regular file")
        with open(path, "rb") as file:
            data = file.read(limit(name) + 1)
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from None
    except UnreadableError:
        raise
    except ValueError as error:  # a NUL in the name
        raise UnreadableError(str(error)) from None
    if len(data) > limit(name):
        raise UnreadableError(f"it has more than {limit(name):,} bytes; {raising(name)}")
    return data


def read_text(path: Path, name: str) -> str:
    """The text of a regular file in UTF-8, without a byte-order mark. Raises as `read_whole`, and where a byte is not UTF-8."""
    data = read_whole(path, name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableError(f"byte {error.start} is not UTF-8", line) from None


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a safetensors file by name.

    Raises:
        UnreadableError: it is missing, damaged, or holds a type that NumPy has not.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.is_file():
        raise UnreadableError("it is missing")
    try:
        return load_file(path)
    except (SafetensorError, OSError, *MISFITS) as error:
        raise UnreadableError(first_line(error)) from None


def first_line(error: BaseException) -> str:
    """What an error says, in one line of bounded length."""
    line = str(error).split("\n", 1)[0].strip() or type(error).__name__
    return line if len(line) <= 300 else f"{line[:300]}..."
