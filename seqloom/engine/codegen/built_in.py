"""The elementwise code of the cells that most models use, which is compiled with the kernels.

Any other cell's is interpreted, or compiled in the background where there is a compiler: a few per cent slower until then.

``python -m seqloom.engine.codegen.built_in csrc/built_in.inc`` writes it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path

from seqloom.engine.codegen.emit import code_key, epilogue_source, function_name
from seqloom.engine.lowering.form import KernelProgram, Stage

__all__ = ["BUILT_IN", "built_in_programs", "built_in_source", "main"]

BUILT_IN = (
    "cifg", "gru", "gru_before", "indrnn", "irnn", "lru", "lstm", "lstm_1997", "lstm_peephole", "lstmp", "mgu", "mingru",
    "minlstm", "mlstm", "qrnn", "rg_lru", "rnn", "rnn_relu", "rnn_sigmoid", "slstm", "sru",
)  # fmt: skip
"""Their registered names."""


def built_in_source(programs: Iterable[tuple[str, KernelProgram]]) -> str:
    """The functions of all distinct codes of named programs, and the table of them by key, as csrc/kernels.cpp reads it."""
    stages: dict[int, Stage] = {}
    users: dict[int, list[str]] = {}
    for name, program in programs:
        for title in ("forward", "inference", "backward"):
            passes: Sequence[Stage] = getattr(program, title)
            for stage in passes:
                key = code_key(stage)
                stages.setdefault(key, stage)
                if f"{name} {title}" not in users.setdefault(key, []):
                    users[key].append(f"{name} {title}")
    lines = [
        "// Elementwise code of the common cells, compiled with the kernels. Generated, do not edit:",
        "// python -m seqloom.engine.codegen.built_in csrc/built_in.inc",
        "",
    ]
    for key, stage in stages.items():
        lines += [f"// {', '.join(users[key])}", f"static {epilogue_source(stage, function_name(key))}"]
    lines.append("static const BuiltIn built_in[] = {")
    lines += [f"    {{0x{key:016x}ULL, &{function_name(key)}}}," for key in sorted(stages)]
    return "\n".join([*lines, "};", ""])


def built_in_programs() -> Iterator[tuple[str, KernelProgram]]:
    from seqloom.engine.lowering.lowering import lower

    # Cells are a higher room: found by name when a person runs this file, so that the engine stays below them.
    cells = import_module("seqloom.cells")
    for name in BUILT_IN:
        for bias in (True, False):
            # Sizes do not enter the code; these differ so that none could be taken for another.
            cell = cells.get(name)(3, 5, bias=bias)
            yield (name if bias else f"{name} without bias"), lower(cell.graph)


def main(arguments: Sequence[str]) -> None:
    """Write the functions of the common cells to the named file, or to the standard output where none is named."""
    source = built_in_source(built_in_programs())
    if arguments:
        Path(arguments[0]).write_text(source, encoding="utf-8")
    else:
        sys.stdout.write(source)


if __name__ == "__main__":
    main(sys.argv[1:])
