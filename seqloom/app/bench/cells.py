"""``seqloom bench cells``: every registered cell beside ``torch.nn.LSTM`` of the same sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from seqloom import cells
from seqloom.app.bench.against_torch import chosen_backend, forward_side, torch_layer, training_side
from seqloom.app.bench.comparison import Comparison, Contest, Shape, Side
from seqloom.app.bench.measure import Row, measure, on_threads
from seqloom.app.bench.timing import FULL, QUICK
from seqloom.layers.recurrent import Recurrent

__all__ = ["NOTES", "REGIMES", "CellSpeed", "Regime", "measure_cells"]

NOTES = (
    "Ratio: the time of torch.nn.LSTM with as many inputs and units over that of the cell, so above 1 the cell is faster. "
    "Both run in turn in one process, in many short blocks; a repeat gives the ratio of the medians over its blocks, and the "
    "table has the median of three repeats. Batch 1 has 200 steps, batch 32 has 100.",
    "Training is a forward pass and a backward pass to all parameters and to the input. Parameters: their number over the "
    "LSTM's. Phases: products of one step that wait for each other. Before anything is timed the cell's outputs over the "
    "first 20 steps, and in training its gradients, are seen to be those of the plain loop in Python.",
)


@dataclass(frozen=True)
class Regime:
    """A way to use a layer: what is done, with how many rows and steps."""

    training: bool
    batch: int
    time: int

    def __str__(self) -> str:
        return f"{'training' if self.training else 'forward'}, batch {self.batch}"


_CHECKED = 20  # steps

REGIMES = tuple(Regime(training, batch, time) for training in (False, True) for batch, time in ((1, 200), (32, 100)))


@dataclass(frozen=True)
class CellSpeed:
    """What was found of a cell.

    Args:
        parameters: their number over that of ``torch.nn.LSTM``.
        phases: products of one step that wait for each other.
        rows: the measurements, in the order of :data:`REGIMES`.
    """

    name: str
    parameters: float
    phases: int
    rows: tuple[Row, ...]

    @property
    def backend(self) -> str:
        """What ran it; several where the regimes differ."""
        return ", ".join(dict.fromkeys(row.backend for row in self.rows))

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        regimes = [_as_data(row) for row in self.rows]
        return {"cell": self.name, "parameters": self.parameters, "phases": self.phases, "regimes": regimes}


def measure_cells(
    names: Sequence[str] = (),
    quick: bool = True,
    *,
    hidden_size: int = 128,
    seed: int = 0,
    threads: int | None = None,
    begun: Callable[[str], object] = lambda name: None,
) -> list[CellSpeed]:
    """Measures cells with as many inputs as units.

    Args:
        names: which, in this order; all by default, family by family.
        quick: up to five minutes for all on two cores; otherwise some eight times as long.
        seed: of weights and data, the same for a cell whichever others are measured.
        threads: of both sides; as torch has them by default.
        begun: told each name before it is measured.
    Raises:
        ConfigError: an unknown name, or fewer than one thread.
    """
    chosen = [cells.describe_one(name) for name in names] or cells.describe()
    speeds = []
    with on_threads(threads):
        for cell in chosen:
            begun(cell.name)
            rows = tuple(
                measure(_comparison(cell.name, regime, hidden_size), QUICK if quick else FULL, seed=seed)
                for regime in REGIMES
            )
            speeds.append(CellSpeed(cell.name, _relative_size(cell.name, hidden_size), cell.phases, rows))
    return speeds


def _comparison(cell: str, regime: Regime, hidden_size: int) -> Comparison:
    shape = Shape(regime.batch, regime.time, hidden_size, hidden_size)
    build = partial(_contest, cell=cell, training=regime.training)
    return Comparison(f"{cell}, {regime}", f"{cell}, {regime}", "torch.nn.LSTM", shape, None, 1.0, build)


def _contest(shape: Shape, *, cell: str, training: bool) -> Contest:
    """The cell's layer to torch's LSTM, which is timed, and to the same layer on the plain loop, which is checked.

    Checked are the first steps: over hundreds, cells that normalise make rounding errors of float32 large on any backend.
    """
    layer, plain = (
        Recurrent(cell, shape.input, shape.hidden, batch_first=False, backend=b) for b in (None, "reference")
    )
    plain.load_state_dict(layer.state_dict())
    peer, x = torch_layer("lstm", shape), torch.randn(shape.time, shape.batch, shape.input)
    first = x[:_CHECKED]
    if training:
        gradient = torch.randn(shape.time, shape.batch, layer.output_size)
        ours = _training(layer, x.clone().requires_grad_(), gradient)
        looked_at = [_training(one, first.clone().requires_grad_(), gradient[:_CHECKED]) for one in (layer, plain)]
        timed = _training(peer, x.clone().requires_grad_(), torch.randn(shape.time, shape.batch, shape.hidden))
    else:
        ours, timed = (forward_side(partial(_outputs, one, x)) for one in (layer, peer))
        looked_at = [forward_side(partial(_outputs, one, first)) for one in (layer, plain)]
    computed, expected = (side.values for side in looked_at)
    backend = chosen_backend(layer, x, training=training)
    return Contest(Side(ours.run, computed), Side(timed.run, expected), backend=backend)


def _training(layer: torch.nn.Module, x: Tensor, gradient: Tensor) -> Side:
    names = ["x", *(name for name, _ in layer.named_parameters())]
    sources = [x, *layer.parameters()]
    return training_side(
        partial(_outputs, layer, x), sources, gradient, lambda gradients: dict(zip(names, gradients, strict=True))
    )


def _outputs(layer: torch.nn.Module, x: Tensor) -> Tensor:
    outputs: Tensor = layer(x)[0]
    return outputs


def _relative_size(cell: str, hidden_size: int) -> float:
    layers = Recurrent(cell, hidden_size, hidden_size), torch.nn.LSTM(hidden_size, hidden_size)
    ours, peers = (sum(parameter.numel() for parameter in layer.parameters()) for layer in layers)
    return ours / peers


def _as_data(row: Row) -> dict[str, Any]:
    # A cell is not meant to be as fast as another one, so there is no target to speak of.
    return {key: value for key, value in row.to_dict().items() if key not in ("study", "target", "share_of_target")}
