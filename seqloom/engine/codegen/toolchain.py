"""The C++ compiler of this machine, where it has one, and how the engine's code is compiled with it."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from seqloom.engine.codegen.emit import code_key, epilogue_source, function_name
from seqloom.engine.lowering.form import Stage
from seqloom.errors import ConfigError

__all__ = ["Compilation", "Toolchain", "find", "library_source"]

_FLAGS = ("-std=c++17", "-O3", "-fno-math-errno", "-ffp-contract=off", "-shared", "-fPIC")
_FLAGS_OF = {
    "portable": (),
    "avx2": ("-mavx2", "-mfma", "-mf16c"),
    "avx512": ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"),
}
_HEADERS = ("tile.h", "vector.h", "mathematics.h")
# Runs its arguments until they end, or until nobody holds the other end of its input any more: then whoever started it is
# gone, however it went. It ends all of its process group and removes the directory of the result.
_WATCHED = """
exec 3<&0
{ read -r _ <&3; rm -rf "$0"; kill -KILL 0; } >/dev/null 2>&1 &
watcher=$!
"$@" 3<&- </dev/null
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
"""
_PATIENCE = 120.0
"""Seconds after which a compilation is given up; one takes about one."""


@dataclass(frozen=True)
class Toolchain:
    """A compiler, as its command, and the directory of the engine's headers."""

    command: tuple[str, ...]
    headers: Path

    def options(self, isa: str) -> tuple[str, ...]:
        """What decides the result, beside the source, the headers and the compiler."""
        return (*_FLAGS, *_FLAGS_OF[isa], f"-DSEQLOOM_ISA={isa}")

    @cached_property
    def identity(self) -> str:
        """Tells compilers and their versions apart without running one: where they lie, their sizes and ages."""
        parts = []
        for word in self.command:
            path = Path(os.path.realpath(word))
            if path.is_file():
                status = path.stat()
                parts.append(f"{path}:{status.st_size}:{status.st_mtime_ns}")
            else:
                parts.append(word)
        return "\n".join(parts)

    @cached_property
    def header_text(self) -> str:
        return "\n".join((self.headers / name).read_text(encoding="utf-8") for name in _HEADERS)

    def start(self, source: Path, target: Path, isa: str, *, nice: bool) -> Compilation:
        """Begin to compile a file to a shared library, in a process group of its own, which does not outlive this process."""
        polite, shell = shutil.which("nice") if nice else None, shutil.which("sh")
        command = [*((shell, "-c", _WATCHED, str(target.parent)) if shell else ())]
        command += [*((polite, "-n", "10") if polite else ()), *self.command, *self.options(isa)]
        # What is preloaded into this process, like a sanitizer, must not be into the compiler.
        environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        watched, held = os.pipe()
        try:
            process = subprocess.Popen(
                [*command, f"-I{self.headers}", str(source), "-o", str(target)],
                stdin=watched,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=environment,
                start_new_session=True,
            )
        except BaseException:
            os.close(held)
            raise
        finally:
            os.close(watched)
        return Compilation(process, os.fdopen(held, "wb"))


@dataclass(frozen=True)
class Compilation:
    """A compiler at work."""

    process: subprocess.Popen[str]
    held: BinaryIO
    """What the compiler lives by: it ends when no process has this open."""

    def wait(self) -> str | None:
        """Wait for the end: why it failed, or none."""
        try:
            _, messages = self.process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            return f"not done after {_PATIENCE:.0f} seconds"
        finally:
            self.stop()
        code = self.process.returncode
        return None if code == 0 else f"the compiler ended with {code}: {messages.strip()[:500]}"

    def stop(self) -> None:
        """End it, and what it started, where it is still at work."""
        if self.process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=5)
        self.held.close()


def find() -> Toolchain | None:
    """The compiler that ``CXX`` names, else the system's; none where there is none, or no headers.

    Raises:
        ConfigError: ``CXX`` is no command.
    """
    headers = _headers()
    if headers is None or os.name != "posix":
        return None
    wanted = os.environ.get("CXX", "")
    try:
        named = shlex.split(wanted)
    except ValueError as error:
        raise ConfigError(f"CXX is {wanted!r}; expected a command, as 'g++' or 'ccache g++' ({error})") from error
    for candidate in (named, ["c++"], ["g++"], ["clang++"]):
        path = shutil.which(candidate[0]) if candidate else None
        if path:
            # Of a launcher like ccache, the compiler behind it is what matters.
            return Toolchain((path, *(shutil.which(word) or word for word in candidate[1:])), headers)
    return None


def _headers() -> Path | None:
    """Beside the engine in an installed package, beside the package in a checkout."""
    here = Path(__file__).resolve()
    for directory in (here.parents[1] / "include", here.parents[3] / "csrc"):
        if all((directory / name).is_file() for name in _HEADERS):
            return directory
    return None


def library_source(stages: Sequence[Stage]) -> str:
    """One source file with the functions of all stages, each named after its key."""
    functions = {code_key(stage): stage for stage in stages}
    lines = [*(f'#include "{name}"' for name in _HEADERS if name != "vector.h"), ""]
    lines += ["namespace seqloom::SEQLOOM_ISA {", ""]
    lines += [f'extern "C" {epilogue_source(functions[key], function_name(key))}' for key in sorted(functions)]
    return "\n".join([*lines, "}  // namespace seqloom::SEQLOOM_ISA", ""])
