"""What the name of a data source stands for, where it is not simply a file's.

- ``package:NAME/path/inside``: a file inside an installed package, whose code is never run.
- ``PREFIX``: the three files ``PREFIX.seq.in``, ``PREFIX.seq.out``, ``PREFIX.label``, or those names in the folder PREFIX.
"""

import importlib.util
from pathlib import Path

from seqloom.errors import DataError

__all__ = ["aligned_files", "locate"]

_PREFIX = "package:"
_PARTS = ("seq.in", "seq.out", "label")
_PACKINGS = ("", ".gz", ".xz", ".bz2")


def locate(path: str | Path) -> str | Path:
    """The file behind a name: ``package:`` names become paths, everything else stays what it is.

    Raises:
        DataError: the package is not installed, or has no such file.
    """
    name = str(path)
    if not name.startswith(_PREFIX):
        return path
    package, _, inside = name.removeprefix(_PREFIX).partition("/")
    # Finding a top-level package does not import it.
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"{name}: the package {package!r} is not installed; install it with: pip install {package}")
    file = Path(next(iter(spec.submodule_search_locations))) / inside
    if not file.is_file():
        raise DataError(f"{name}: the package {package!r} at {file.parent} has no file {file.name!r}")
    return file


def aligned_files(prefix: str | Path) -> tuple[Path, Path, Path] | None:
    """The files of tokens, tags and sentence labels that have a prefix, each as it is or else compressed.

    Returns:
        ``None`` where not even one of them exists, or where the prefix is a file itself.
    Raises:
        DataError: some of them are missing; names the first.
    """
    if Path(prefix).is_file():
        return None
    for separator in (".", "/"):
        files = [_packed(f"{prefix}{separator}{part}") for part in _PARTS]
        tokens, tags, labels = files
        if tokens is not None and tags is not None and labels is not None:
            return tokens, tags, labels
        if any(files):
            missing = _PARTS[files.index(None)]
            there = next(file for file in files if file is not None)
            raise DataError(f"{prefix}{separator}{missing}: there is no such file beside {there}; all three are needed")
    return None


def _packed(name: str) -> Path | None:
    return next((file for packing in _PACKINGS if (file := Path(name + packing)).is_file()), None)
