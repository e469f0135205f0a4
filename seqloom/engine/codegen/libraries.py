"""Compiled libraries on disk, for the processes to come, and in this process.

A library lies in the cache as ``KEY.DIGEST.so``: the key says what it was made from, the digest what it must contain, so
that a damaged file is never loaded (the system's loader would crash on a short one).
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from seqloom.engine.codegen.emit import function_name

__all__ = ["CACHE", "addresses", "building_place", "cache_directory", "cached", "keep"]

CACHE = "SEQLOOM_CACHE"
"""Environment variable: the directory of the cache, instead of ``seqloom`` in the user's own."""

_MOST = 1000
"""Libraries that the cache keeps, of some 20 kB each."""
_ABANDONED = 3600.0
"""Seconds after which what a process was building is taken for left behind."""
_libraries: list[ctypes.CDLL] = []


def cache_directory(*, create: bool = False) -> Path | None:
    """The directory of compiled libraries; none where nobody but the user can be kept from writing to it."""
    named = os.environ.get(CACHE)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    directory = (Path(named) if named else Path(base) / "seqloom") / "kernels"
    with suppress(OSError):
        if create:
            directory.parent.mkdir(parents=True, exist_ok=True)
            directory.mkdir(mode=0o700, exist_ok=True)
        status = directory.lstat()
        private = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) & 0o077 == 0
        if private and status.st_uid == os.geteuid() and (not create or os.access(directory, os.W_OK)):
            return directory
    return None


def cached(key: str) -> Path | None:
    """The cached library of a key; a damaged one is removed."""
    directory = cache_directory()
    with suppress(OSError):
        for path in sorted(directory.glob(f"{key}.*.so")) if directory else ():
            status = path.lstat()
            own = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
            if own and path.name == f"{key}.{_digest(path)}.so":
                return path
            path.unlink()
    return None


def keep(key: str, library: Path) -> Path:
    """Move a library, complete, from its building place into the cache around it; where it then lies."""
    directory = library.parent.parent
    target = directory / f"{key}.{_digest(library)}.so"
    library.replace(target)
    with suppress(OSError):
        by_age = sorted(directory.glob("*.so"), key=lambda path: path.stat().st_mtime)
        for path in by_age[:-_MOST]:
            path.unlink(missing_ok=True)
    return target


@contextmanager
def building_place() -> Iterator[tuple[Path, bool]]:
    """A private directory to build in, removed afterwards, and whether it lies in the cache."""
    cache = cache_directory(create=True)
    if cache:
        with suppress(OSError):
            for path in cache.glob("building-*"):
                if time.time() - path.stat().st_mtime > _ABANDONED:
                    shutil.rmtree(path, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="building-", dir=cache, ignore_cleanup_errors=True) as place:
        yield Path(place), cache is not None


def addresses(library: Path, keys: Iterable[int]) -> dict[int, int]:
    """Load a library for as long as the process lives: the address of each key's function.

    Raises:
        OSError: it cannot be loaded.
        AttributeError: it lacks a function.
    """
    loaded = ctypes.CDLL(str(library))
    _libraries.append(loaded)
    pointers = {key: ctypes.cast(getattr(loaded, function_name(key)), ctypes.c_void_p).value for key in keys}
    return {key: address for key, address in pointers.items() if address}


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
