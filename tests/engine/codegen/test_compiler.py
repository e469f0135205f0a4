"""Compiling in the background and the cache on disk.

The compiler of most tests is a script that takes a library made once for all of them, so that nothing waits for a real
one; it notes its runs in a file.
"""

from __future__ import annotations

import ctypes
import logging
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from seqloom.engine.codegen import compiler, libraries, toolchain
from seqloom.engine.codegen.compiler import code_key, compile_stages
from seqloom.engine.lowering.form import Instruction, Kind, Op, Operand, Stage
from seqloom.errors import ConfigError

STAGE = Stage(
    8,
    (),
    (Operand(Kind.STATE), Operand(Kind.NEW_STATE)),
    (Instruction(Op.LOAD, 0), Instruction(Op.TANH, 0), Instruction(Op.STORE, 1, 1)),
)
KEY = code_key(STAGE)
PATIENCE = 30.0


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the system's compiler makes of the stage."""
    tools = toolchain.find()
    if tools is None:
        pytest.skip("no C++ compiler")
    place = tmp_path_factory.mktemp("library")
    (place / "stage.cpp").write_text(toolchain.library_source([STAGE]))
    assert tools.start(place / "stage.cpp", place / "stage.so", "portable", nice=False).wait() is None
    return place / "stage.so"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a process that has not compiled anything yet."""
    monkeypatch.setenv(libraries.CACHE, str(tmp_path / "cache"))
    monkeypatch.setenv(compiler.COMPILE, "wait")
    another_process(monkeypatch)
    return tmp_path


def another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "_state", compiler._State())


@pytest.fixture
def script(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a shell script the compiler; ``$target`` is the file to write."""

    def write(lines: str) -> None:
        path = place / "compiler"
        path.write_text(f'#!/bin/sh\necho run >> "{place}/runs"\nfor target; do :; done\n{lines}\n')
        path.chmod(0o700)
        monkeypatch.setenv("CXX", str(path))

    return write


@pytest.fixture
def ready_made(library: Path, script: Callable[[str], None]) -> Callable[[str], None]:
    """A compiler that has the library; ``first`` runs before."""

    def write(first: str) -> None:
        script(f'{first}\ncp "{library}" "$target"')

    write("")
    return write


def runs(place: Path) -> int:
    return len((place / "runs").read_text().splitlines()) if (place / "runs").exists() else 0


def stored(place: Path) -> list[Path]:
    return sorted((place / "cache" / "kernels").glob("*"))


def addresses() -> dict[int, int]:
    """What is handed over before the call returns."""
    found: dict[int, int] = {}
    compile_stages([STAGE, STAGE], "portable", found.update)
    return found


def test_functions_are_compiled_loaded_and_found_by_their_keys(library: Path, place: Path) -> None:
    found = addresses()
    assert set(found) == {KEY}
    loaded = ctypes.CDLL(str(stored(place)[0]))
    assert found[KEY] == ctypes.cast(getattr(loaded, f"code_{KEY:016x}"), ctypes.c_void_p).value


def test_what_was_compiled_is_found_by_this_process_and_the_next(
    ready_made: object, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = addresses()
    assert set(first) == {KEY}
    assert addresses() == first
    another_process(monkeypatch)
    monkeypatch.setenv(compiler.COMPILE, "1")  # also where others would compile in the background
    assert set(addresses()) == {KEY}
    assert runs(place) == 1
    assert len(stored(place)) == 1


def test_another_instruction_set_and_another_compiler_have_libraries_of_their_own(
    ready_made: Callable[[str], None], place: Path
) -> None:
    addresses()
    compile_stages([STAGE], "avx2", lambda found: None)
    ready_made("# a newer version")
    addresses()
    assert runs(place) == len(stored(place)) == 3


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: data + b"x"])
def test_a_damaged_library_is_compiled_again(
    damage: Callable[[bytes], bytes], ready_made: object, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses()
    (path,) = stored(place)
    data = path.read_bytes()
    path.unlink()  # not overwritten: this process has it mapped
    path.write_bytes(damage(data))
    another_process(monkeypatch)
    assert set(addresses()) == {KEY}
    assert runs(place) == 2
    assert len(stored(place)) == 1


def test_a_directory_that_others_may_enter_is_not_used(ready_made: object, place: Path) -> None:
    directory = place / "cache" / "kernels"
    directory.mkdir(parents=True)
    directory.chmod(0o755)
    assert set(addresses()) == {KEY}
    assert not stored(place)


def test_the_cache_is_for_its_owner_alone(ready_made: object, place: Path) -> None:
    addresses()
    assert (place / "cache" / "kernels").stat().st_mode & 0o777 == 0o700


def test_without_a_cache_everything_is_compiled_all_the_same(
    ready_made: object, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "file").touch()
    monkeypatch.setenv(libraries.CACHE, str(place / "file" / "cache"))
    assert set(addresses()) == {KEY}


def test_the_cache_keeps_the_newest_libraries(
    ready_made: Callable[[str], None], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "_MOST", 2)
    for version in range(4):
        ready_made(f"# {version}")
        addresses()
    assert len(stored(place)) == 2


def test_without_a_compiler_nothing_happens(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(place))
    monkeypatch.delenv("CXX", raising=False)
    with caplog.at_level(logging.DEBUG, compiler.__name__):
        assert addresses() == {}
    assert "no C++ compiler was found" in caplog.text


def test_a_failure_is_said_once_and_not_tried_again(
    script: Callable[[str], None], place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script("echo the disk is full >&2; exit 1")
    with caplog.at_level(logging.DEBUG, compiler.__name__):
        assert addresses() == {}
        assert addresses() == {}
    assert runs(place) == 1
    assert len(caplog.records) == 1
    assert "the disk is full" in caplog.text
    assert not stored(place)


def test_a_library_that_cannot_be_loaded_counts_as_a_failure(script: Callable[[str], None], place: Path) -> None:
    script('echo nonsense > "$target"')
    assert addresses() == {}
    assert addresses() == {}
    assert runs(place) == 1


def test_zero_compiles_nothing(ready_made: object, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiler.COMPILE, "0")
    assert addresses() == {}
    assert runs(place) == 0


def test_an_unknown_wish_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiler.COMPILE, "yes")
    with pytest.raises(ConfigError, match=r"SEQLOOM_COMPILE is 'yes', expected 0 \(never\), 1 .* or wait"):
        addresses()


def test_the_caller_does_not_wait_for_the_compiler(
    ready_made: Callable[[str], None], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(compiler.COMPILE, "1")
    ready_made(f'while [ ! -e "{place}/go" ]; do sleep 0.02; done')
    found: list[dict[int, int]] = []
    done = threading.Event()

    def take(functions: dict[int, int]) -> None:
        found.append(functions)
        if len(found) == 2:
            done.set()

    for _ in range(2):  # two programs want the same: one compilation
        compile_stages([STAGE], "portable", take)
    assert not found
    (place / "go").touch()
    assert done.wait(PATIENCE)
    assert [set(functions) for functions in found] == [{KEY}, {KEY}]
    assert runs(place) == 1


def test_a_forked_child_compiles_too(
    ready_made: Callable[[str], None], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(compiler.COMPILE, "1")
    ready_made(f'while [ ! -e "{place}/go" ]; do sleep 0.02; done')
    done = threading.Event()
    compile_stages([STAGE], "portable", lambda found: done.set())
    wait_until(compiler._state.building.locked)  # the thread, which a child does not have, is at work
    child = os.fork()
    if child == 0:
        (place / "go").touch()
        alone = threading.Event()
        compile_stages([STAGE], "portable", lambda found: alone.set())
        os._exit(0 if alone.wait(PATIENCE) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert done.wait(PATIENCE)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


ENDS = {
    "returns": "",
    "ends at once": "os._exit(0)",
    "is killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "is asked to end": "os.kill(os.getpid(), signal.SIGTERM)",
}


def gone(place: Path) -> None:
    """Wait until neither the compiler nor what it was building is there."""
    number = int((place / "process").read_text())
    wait_until(lambda: not exists(number))
    wait_until(lambda: not stored(place))


def process_that(place: Path, ends: str, *, waits: bool = True) -> subprocess.Popen[str]:
    program = f"""
import os, pathlib, signal, sys, time
from tests.engine.codegen.test_compiler import STAGE
from seqloom.engine.codegen.compiler import compile_stages
compile_stages([STAGE], "portable", print)
while {waits} and not pathlib.Path({str(place / "process")!r}).exists():
    time.sleep(0.01)
{ends}
"""
    environment = {**os.environ, compiler.COMPILE: "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_the_process_ends_the_compiler(end: str, script: Callable[[str], None], place: Path) -> None:
    script(f'echo $$ > "{place}/process.new"; mv "{place}/process.new" "{place}/process"; sleep 600 & wait')
    process = process_that(place, ENDS[end])
    _, errors = process.communicate(timeout=4 * PATIENCE)
    assert not errors
    gone(place)


@pytest.mark.parametrize("end", ["returns", "ends at once"])
def test_a_process_that_ends_before_the_compiler_has_begun_leaves_nothing(
    end: str, script: Callable[[str], None], place: Path
) -> None:
    script(f'echo $$ > "{place}/process.new"; mv "{place}/process.new" "{place}/process"; sleep 600')
    for _ in range(3):
        _, errors = process_that(place, ENDS[end], waits=False).communicate(timeout=4 * PATIENCE)
        assert not errors
        if (place / "process").exists():
            gone(place)
    wait_until(lambda: not stored(place))


def _compile_in_a_child(place: Path) -> None:
    compile_stages([STAGE], "portable", lambda found: None)
    wait_until((place / "process").exists)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_end_of_a_worker_ends_its_compiler(
    method: str, script: Callable[[str], None], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(compiler.COMPILE, "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    script(f'echo $$ > "{place}/process.new"; mv "{place}/process.new" "{place}/process"; sleep 600')
    worker = multiprocessing.get_context(method).Process(target=_compile_in_a_child, args=(place,))
    worker.start()
    worker.join(4 * PATIENCE)
    assert worker.exitcode == 0
    gone(place)


def exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{process}/stat")
    # What has ended but was not reaped counts as gone.
    try:
        return state.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except ProcessLookupError:  # it went between being found and being read
        return False
    except FileNotFoundError:  # there is no such place on this system
        return True
