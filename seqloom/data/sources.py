"""Data that come inside installed packages, named as ``package:NAME/path/inside``; the package's code is never run."""

import importlib.util
from pathlib import Path

from seqloom.errors import DataError

__all__ = ["locate"]

_PREFIX = "package:"


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
    found = importlib.util.find_spec(package) if package.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise DataError(f"{name}: the package {package!r} is not installed; install it with: pip install {package}")
    file = Path(next(iter(found.submodule_search_locations))) / inside
    if not file.is_file():
        raise DataError(f"{name}: the package {package!r} at {file.parent} has no file {file.name!r}")
    return file
