"""Stages compiled by the system's C++ compiler: in the background, once per machine.

Nothing depends on it: without a compiler, or where it fails, the virtual machine runs the same code more slowly. A library
holds all stages of a program and is cached on disk by all that decides its content.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import multiprocessing
import multiprocessing.util
import os
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from seqloom.engine.codegen import libraries, toolchain
from seqloom.engine.codegen.emit import code_key
from seqloom.engine.codegen.toolchain import Compilation, Toolchain
from seqloom.engine.lowering.form import VERSION, Stage
from seqloom.errors import ConfigError

__all__ = ["COMPILE", "Ready", "code_key", "compile_stages", "outlook"]

COMPILE = "SEQLOOM_COMPILE"
"""Environment variable: 0 compiles nothing, 1 (or nothing) in the background, ``wait`` before the program runs."""

Ready: TypeAlias = Callable[[dict[int, int]], None]
"""Is given the address of each key's function; in a thread of its own where the code was compiled in the background."""

_CLEANING = 5.0
"""Seconds that the process's end waits for the thread to remove what it was building."""

_logger = logging.getLogger(__name__)


def compile_stages(stages: Sequence[Stage], isa: str, ready: Ready) -> None:
    """Compile the code of stages for an instruction set, and hand over the functions' addresses.

    ``ready`` is called before this returns where the library is loaded or cached, or the environment says to wait; later
    where it has to be compiled first; never where that fails, which one line of the log says at level DEBUG.

    Raises:
        ConfigError: the environment asks for something else than 0, 1 or wait.
    """
    mode = _mode()
    if mode == "0" or not stages:
        return
    tools = toolchain.find()
    if tools is None:
        _logger.debug("no C++ compiler was found: the virtual machine runs what is not built in")
        return
    request = _Request.of(stages, isa, tools)
    addresses = _state.known(request)
    if addresses is None and mode == "wait":
        addresses = _state.obtain(request, nice=False)
    if addresses is not None:
        ready(addresses)
    elif mode == "1":
        _state.enqueue(request, ready)


def outlook() -> str:
    """What becomes of code that the virtual machine runs now, in words."""
    if _mode() == "0":
        return f"{COMPILE} is 0"
    if toolchain.find() is None:
        return "no C++ compiler was found on this machine"
    return "until a compiler in the background is done"


def _mode() -> Literal["0", "1", "wait"]:
    match os.environ.get(COMPILE) or "1":
        case "0":
            return "0"
        case "1":
            return "1"
        case "wait":
            return "wait"
        case other:
            raise ConfigError(f"{COMPILE} is '{other}', expected 0 (never), 1 (in the background) or wait (at once)")


@dataclass(frozen=True)
class _Request:
    """A library to be had: its source, the functions that it must have, and its name, which all that decides it enters."""

    source: str
    keys: tuple[int, ...]
    isa: str
    tools: Toolchain
    name: str

    @classmethod
    def of(cls, stages: Sequence[Stage], isa: str, tools: Toolchain) -> _Request:
        source = toolchain.library_source(stages)
        digest = hashlib.blake2b(digest_size=16)
        for part in (source, tools.header_text, *tools.options(isa), tools.identity, str(VERSION)):
            digest.update(part.encode() + b"\0")
        keys = tuple(sorted({code_key(stage) for stage in stages}))
        return cls(source, keys, isa, tools, digest.hexdigest())


class _State:
    """What this process has compiled and loaded, and the thread that compiles for it."""

    def __init__(self) -> None:
        self.loaded: dict[str, dict[int, int]] = {}
        self.failed: set[str] = set()
        self.restart()

    def restart(self) -> None:
        """In a forked child: what is loaded stays, but neither the thread nor what it was about to do."""
        self.building = threading.Lock()
        self.starting = threading.Lock()
        self.beginning = threading.Lock()
        """Held while a compiler is started, and while the process's end forbids it."""
        self.waiting: queue.SimpleQueue[tuple[_Request, Ready]] = queue.SimpleQueue()
        self.thread: threading.Thread | None = None
        self.compilation: Compilation | None = None
        self.closed = False

    def known(self, request: _Request) -> dict[int, int] | None:
        """The functions of a library that this process or the cache has."""
        if request.name in self.loaded:
            return self.loaded[request.name]
        library = None if request.name in self.failed else libraries.cached(request.name)
        return None if library is None else self.load(request, library)

    def load(self, request: _Request, library: Path) -> dict[int, int] | None:
        try:
            addresses = libraries.addresses(library, request.keys)
        except (OSError, AttributeError) as error:
            _logger.debug("%s cannot be loaded: %s", library, error)
            return None
        self.loaded[request.name] = addresses
        return addresses

    def obtain(self, request: _Request, *, nice: bool) -> dict[int, int] | None:
        """Compile and load a library unless another thread or process just did; none where that fails."""
        with self.building:
            addresses = self.known(request)
            if addresses is None and request.name not in self.failed:
                addresses = self.build(request, nice=nice)
                if addresses is None:
                    self.failed.add(request.name)
        return addresses

    def build(self, request: _Request, *, nice: bool) -> dict[int, int] | None:
        try:
            with libraries.building_place() as (place, lasting):
                source, library = place / "stages.cpp", place / "stages.so"
                source.write_text(request.source, encoding="utf-8")
                with self.beginning:
                    if self.closed:
                        return None
                    self.compilation = compilation = request.tools.start(source, library, request.isa, nice=nice)
                trouble = compilation.wait()
                if trouble is None:
                    return self.load(request, libraries.keep(request.name, library) if lasting else library)
        except OSError as error:
            trouble = str(error)
        finally:
            self.compilation = None
        if not self.closed:
            _logger.debug("a cell's code was not compiled, the virtual machine runs it: %s", trouble)
        return None

    def enqueue(self, request: _Request, ready: Ready) -> None:
        if request.name in self.failed:
            return
        self.waiting.put((request, ready))
        with self.starting:
            if self.thread is None:
                if multiprocessing.parent_process() is not None:  # such a process ends without atexit
                    multiprocessing.util.Finalize(self, self.close, exitpriority=10)
                self.thread = threading.Thread(target=self.work, name="seqloom-compiler", daemon=True)
                self.thread.start()

    def work(self) -> None:
        while not self.closed:
            request, ready = self.waiting.get()
            try:
                addresses = None if self.closed else self.obtain(request, nice=True)
                if addresses is not None:
                    ready(addresses)
            except Exception:
                _logger.exception("compiling a cell's code in the background failed")

    def close(self) -> None:
        """At the process's end: nothing is begun any more, the compiler at work is ended, and its directory removed."""
        with self.beginning:
            self.closed = True
            compilation = self.compilation
        if compilation is not None:
            compilation.stop()
        if self.thread is not None and self.building.locked():
            self.thread.join(_CLEANING)


_state = _State()
atexit.register(lambda: _state.close())
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _state.restart())
