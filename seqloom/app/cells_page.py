"""The page of all cells, ``docs/cells.md``: written from the registry, but for the table of speeds that it keeps."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from seqloom import cells
from seqloom.app.tables import markdown_table
from seqloom.cells import CellDescription
from seqloom.data.files import write_atomic
from seqloom.engine.lowering import lowering

__all__ = ["backends", "page", "speed_in", "with_speed", "write_page"]

_BEGIN, _END = "<!-- speed: written by seqloom bench cells -->", "<!-- end of speed -->"

_HEAD = """\
# The cells

Every cell that a configuration or `seqloom.Recurrent` can name; `seqloom cells --markdown docs/cells.md` writes this page.
In the terminal `seqloom cells` lists them, `seqloom cells --json` too, and `seqloom cells NAME` says all about one, down
to the stages of its kernel.

```python
import torch
import seqloom

layer = seqloom.Recurrent("cifg", input_size=8, hidden_size=16)
outputs, state = layer(torch.randn(2, 5, 8))

cell = seqloom.cells.get("cifg")(8, 16, peepholes=True)  # an option of the cell: build it, then give it to a layer
layer = seqloom.Recurrent(cell, layers=2)
```

How to read the tables:

- **state**: what a layer hands from step to step, by name; the first one is the output.
- **parameters**: their number, of n inputs and m units, with the options' defaults.
- **phases**: how many products of one step wait for each other. Each costs a pass over weights that no other can overlap.
- **backends**: what can run the cell; `auto` takes the last one that fits the machine and the batch. `cpu` are the compiled
  kernels, `vendor` is torch's own, `derived` the derived backward pass in torch's operations, `reference` the plain loop.
- **options**: arguments of the constructor beside `input_size`, `hidden_size` and `bias`, with their defaults.

A cell of one's own is a class with one method: [the engine](engine.md) shows one. `@seqloom.cells.register("name")` above it
and `--import FILE.py` bring it to every command, and `seqloom.cells.check_cell` examines it. A cell for everybody is a file
in `seqloom/cells/`, imported in its `__init__.py`; the first line of the docstring, the signature and the section `Args`
are what stands here.
"""

_SPEED = """\
## Speed

How many times as fast as `torch.nn.LSTM` of the same sizes: `seqloom bench cells --full --markdown docs/cells.md`.
"""


def page(speed: str = "") -> str:
    """The page with this table of speeds."""
    parts = [_HEAD]
    for family, members in itertools.groupby(cells.describe(), key=lambda cell: cell.family):
        parts.append("\n".join(_family(family, list(members))))
    return "\n".join([*parts, _SPEED, f"{_BEGIN}{speed}{_END}", ""])


def write_page(path: Path) -> None:
    """Writes the page; the table of speeds in the file that was there is kept.

    Raises:
        DataError: the folder does not exist or cannot be written to.
    """
    write_atomic(path, page(speed_in(path.read_text(encoding="utf-8")) if path.is_file() else ""))


def speed_in(text: str) -> str:
    """What stands between the marks of the table of speeds, or nothing."""
    _, begin, rest = text.partition(_BEGIN)
    return rest.partition(_END)[0] if begin and _END in rest else ""


def with_speed(text: str, table: str) -> str | None:
    """The text with a table of speeds between its marks, or none where it has no marks."""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    return f"{before}{begin}\n\n{table.strip()}\n\n{end}{after}" if begin and end else None


def backends(name: str) -> list[str]:
    """The backends that can run a registered cell where everything is installed, slowest first."""
    cell = cells.get(name)(4, 4)
    names = ["reference"]
    if not cell.graph.untraceable:
        names.append("derived")
    if cell.vendor:
        names.append("vendor")
    try:
        lowering.lower(cell.graph)
    except lowering.Unlowerable:
        return names
    return [*names, "cpu"]


def _family(family: str, members: Sequence[CellDescription]) -> Iterator[str]:
    rows = [
        {
            "cell": f"`{cell.name}`",
            "what": cell.summary,
            "source": cell.source,
            "state": ", ".join(cell.state),
            "parameters": cell.size,
            "phases": str(cell.phases),
            "backends": ", ".join(backends(cell.name)),
        }
        for cell in members
    ]
    yield f"## {family}\n"
    yield markdown_table(rows, left=[name for name in rows[0] if name != "phases"])
    yield ""
    optional = [cell for cell in members if cell.options]
    if optional:
        yield "Options:\n"
    for cell in optional:
        yield f"- `{cell.name}`"
        yield from (f"  - `{option}`: {option.text}" for option in cell.options)
    if optional:
        yield ""
