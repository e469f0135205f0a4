"""The compiled kernels as this process has them: loaded or not, for which instruction set, with which compiled code."""

from __future__ import annotations

import os
import warnings
from functools import cache
from typing import Any, Literal, TypeAlias

import torch  # noqa: F401  # its OpenMP runtime must be in the process before the kernels look for it

from seqloom.engine.codegen.compiler import code_key, compile_stages
from seqloom.engine.lowering.form import KernelProgram, Pass, Stage
from seqloom.engine.ragged import PackedRows
from seqloom.errors import ConfigError

__all__ = ["INSTRUCTION_SET", "Path", "available", "batch", "instruction_set", "kernels", "load", "paths", "stages_of"]

Path: TypeAlias = Literal["built in", "compiled here", "interpreted"]
"""What runs the elementwise code of a stage: compiled with the kernels, on this machine, or not at all."""

INSTRUCTION_SET = "SEQLOOM_INSTRUCTION_SET"
"""Environment variable: one of the instruction sets that this machine has, instead of the best."""


@cache
def kernels() -> Any:
    """The module of the compiled kernels, or none where they were not built; then it warns once."""
    try:
        from seqloom.engine.runtime import _kernels  # type: ignore[attr-defined]
    except ImportError as error:
        # Without the last option pip would take the wheel that it built and kept when there was no compiler.
        warnings.warn(
            f"seqloom's compiled kernels are missing ({error}); everything runs, slower, in torch. To have them, install "
            "a C++17 compiler and run: pip install --force-reinstall --no-deps --no-cache-dir seqloom",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return _kernels


def available() -> bool:
    """Whether the kernels were built and loaded."""
    return kernels() is not None


@cache
def instruction_set() -> str:
    """The instruction set that the kernels run with here.

    Raises:
        ConfigError: the environment names one that this machine or build does not have.
    """
    names: list[str] = kernels().instruction_sets()
    wanted = os.environ.get(INSTRUCTION_SET)
    if wanted and wanted not in names:
        raise ConfigError(f"{INSTRUCTION_SET}: '{wanted}' cannot run here; this machine has {', '.join(names)}")
    return wanted or names[0]


@cache
def _built_in(isa: str) -> dict[int, int]:
    return dict(kernels().built_in(isa))


def stages_of(program: KernelProgram) -> dict[Pass, tuple[Stage, ...]]:
    """The stages by pass."""
    return {Pass.FORWARD: program.forward, Pass.INFERENCE: program.inference, Pass.BACKWARD: program.backward}


def paths(program: KernelProgram, loaded: Any) -> tuple[tuple[Path, ...], ...]:
    """What runs the elementwise code of each stage now, by pass: forward, inference, backward."""

    def path(which: Pass, position: int, stage: Stage) -> Path:
        if not loaded.compiled(which=which.value, stage=position):
            return "interpreted"
        return "built in" if code_key(stage) in _built_in(instruction_set()) else "compiled here"

    return tuple(
        tuple(path(which, position, stage) for position, stage in enumerate(stages))
        for which, stages in stages_of(program).items()
    )


def load(program: KernelProgram, isa: str | None = None) -> Any:
    """The program in the machine, with its elementwise code compiled where that is built in or cached, else soon.

    Raises:
        ValueError: the program would read or write out of bounds.
    """
    isa = isa or instruction_set()
    loaded = kernels().Program(program.words(), isa)
    users: dict[int, list[dict[str, int]]] = {}
    missing: dict[int, Stage] = {}
    for which, stages in stages_of(program).items():
        for position, stage in enumerate(stages):
            key, user = code_key(stage), {"which": which.value, "stage": position}
            if key in _built_in(isa):
                loaded.set_compiled(**user, address=_built_in(isa)[key])
            else:
                users.setdefault(key, []).append(user)
                missing[key] = stage

    def attach(addresses: dict[int, int]) -> None:
        for key, address in addresses.items():
            for user in users.get(key, ()):
                loaded.set_compiled(**user, address=address)

    if missing:
        compile_stages(list(missing.values()), isa, attach)
    return loaded


def batch(rows: PackedRows) -> Any:
    """The rows of a packed batch as the kernels know them."""
    if rows.counts is None:
        return kernels().Batch(time=rows.time, rows=rows.batch)
    return kernels().Batch(time=rows.time, rows=rows.batch, counts=rows.counts, starts=rows.starts)
