"""What a layer can be asked for, as a value: drawn from a seed, printed, and run again from what was printed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from seqloom.cells import registry
from seqloom.layers.recurrent import Recurrent

from .cells import UNREGISTERED, class_of, kinks_of

__all__ = ["CELLS", "Configuration", "Data", "Lengths", "build_layer", "shape_input"]

CELLS = (*registry.names(), *UNREGISTERED)
SIZES = (1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 96, 100, 127, 128, 129, 200, 255, 256, 257)
BATCHES = (1, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 32, 33, 64)
TIMES = (0, 1, 1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 25, 33, 60, 100, 300)
MULTIPLICATIONS, STEPS, KINKS = 6_000_000, 300, 20_000  # bounds of one configuration, so that thousands can be run

Lengths = Literal["none", "random", "zeros", "equal", "empty"]
Form = Literal["plain", "transposed", "sliced", "expanded"]
Wanted = Literal["all", "parameters", "inputs", "some"]
Loss = Literal["outputs", "final", "both", "sum"]


@dataclass(frozen=True)
class Configuration:
    """One layer, one batch and what is asked of them; everything random in it comes from ``seed``."""

    cell: str
    input_size: int
    hidden_size: int
    batch: int
    time: int
    layers: int = 1
    bidirectional: bool = False
    bias: bool = True
    lengths: Lengths = "none"
    started: bool = False
    """Whether an initial state is given."""
    form: Form = "plain"
    """How x lies in memory."""
    wanted: Wanted = "all"
    """Whose gradients are asked for."""
    loss: Loss = "both"
    """Where gradients come from: the outputs, the final states, both, or ones for all outputs."""
    scale: float = 1.0
    """Of the parameters."""
    seed: int = 0

    @classmethod
    def draw(cls, seed: int, cell: str | None = None) -> Configuration:
        """The configuration of a seed, within the bounds of this module."""
        chance = random.Random(seed)
        drawn = cls(
            cell=cell or chance.choice(CELLS),
            input_size=chance.choice(SIZES),
            hidden_size=chance.choice(SIZES),
            batch=chance.choice(BATCHES),
            time=chance.choice(TIMES),
            layers=chance.choice((1, 1, 1, 2, 3)),
            bidirectional=chance.random() < 0.4,
            bias=chance.random() < 0.8,
            lengths=chance.choices(("none", "random", "zeros", "equal", "empty"), (6, 6, 4, 2, 1))[0],
            started=chance.random() < 0.5,
            form=chance.choice(("plain", "plain", "transposed", "sliced", "expanded")),
            wanted=chance.choice(("all", "all", "parameters", "inputs", "some")),
            loss=chance.choice(("both", "both", "outputs", "final", "sum")),
            scale=chance.choice((0.5, 1.0, 1.7)),
            seed=seed,
        )
        if drawn.cell == "UnitwiseInput":
            drawn = replace(drawn, input_size=chance.choice((1, drawn.hidden_size)), layers=1)
        while not drawn._bounded():
            drawn = drawn._smaller(chance)
        return drawn

    def _bounded(self) -> bool:
        cells = self.layers * (2 if self.bidirectional else 1)
        steps, width = self.time * cells, max(self.input_size, self.hidden_size)
        kinks = kinks_of(class_of(self.cell)(1, 1)) * steps * self.batch * self.hidden_size
        work = steps * self.batch * self.hidden_size * width
        return steps <= STEPS and work <= MULTIPLICATIONS and kinks <= KINKS

    def _smaller(self, chance: random.Random) -> Configuration:
        changes = [{"batch": max(1, self.batch // 2)}, {"time": max(1, self.time // 2)}, {"layers": 1}]
        if self.hidden_size > 4:
            smaller = chance.choice([size for size in SIZES if size < self.hidden_size])
            tied = self.cell == "UnitwiseInput" and self.input_size > 1
            changes.append({"hidden_size": smaller, **({"input_size": smaller} if tied else {})})
        return replace(self, **chance.choice(changes))  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Data:
    """The numbers of a configuration, in float32; float64 has the same ones."""

    parameters: dict[str, Tensor]
    x: Tensor
    """(B, T, D), or what it is a view of."""
    state: tuple[Tensor, ...] | None
    lengths: Tensor | None
    output_gradient: Tensor
    final_gradients: tuple[Tensor, ...]
    wanted: frozenset[str]
    """Names among the parameters, ``x`` and ``state.<name>``."""

    @classmethod
    def of(cls, configuration: Configuration) -> Data:
        layer = build_layer(configuration)
        generator = torch.Generator().manual_seed(configuration.seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        bound = configuration.scale / configuration.hidden_size**0.5
        parameters = {
            name: (torch.rand(value.shape, generator=generator) * 2 - 1) * (bound if value.dim() > 1 else 0.8)
            for name, value in layer.named_parameters()
        }
        batch, time = configuration.batch, configuration.time
        state = layer.initial_state(batch)
        started = tuple(0.7 * normal(*field.shape) for field in state) if configuration.started else None
        names = [*parameters, "x", *(f"state.{name}" for name in state._fields if configuration.started)]
        chance = random.Random(configuration.seed)
        return cls(
            parameters,
            normal(*_base_shape(configuration)),
            started,
            _lengths(configuration, generator),
            normal(batch, time, layer.output_size),
            tuple(normal(*field.shape) for field in state),
            frozenset(name for name in names if _is_wanted(configuration.wanted, name, chance)),
        )


def build_layer(configuration: Configuration, backend: str | None = "reference") -> Recurrent:
    """The configuration's layer, with the parameters that the cell's initialisation gives it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(configuration.seed)
        return Recurrent(
            class_of(configuration.cell),
            configuration.input_size,
            configuration.hidden_size,
            layers=configuration.layers,
            bidirectional=configuration.bidirectional,
            bias=configuration.bias,
            backend=backend,
        )


def shape_input(configuration: Configuration, base: Tensor) -> Tensor:
    """x (B, T, D) as it is to lie in memory, a view of ``base``."""
    match configuration.form:
        case "transposed":
            return base.transpose(0, 1)
        case "sliced":
            return base[1:, :-2, ::2]
        case "expanded":
            return base.expand(configuration.batch, -1, -1)
        case _:
            return base


def _base_shape(configuration: Configuration) -> tuple[int, int, int]:
    batch, time, size = configuration.batch, configuration.time, configuration.input_size
    match configuration.form:
        case "transposed":
            return time, batch, size
        case "sliced":
            return batch + 1, time + 2, 2 * size
        case "expanded":
            return 1, time, size
        case _:
            return batch, time, size


def _lengths(configuration: Configuration, generator: torch.Generator) -> Tensor | None:
    batch, time = configuration.batch, configuration.time
    drawn = torch.randint(0, time + 1, (batch,), generator=generator)
    match configuration.lengths:
        case "none":
            return None
        case "equal":
            return torch.full((batch,), int(drawn[0]) if batch else 0)
        case "empty":
            return torch.zeros(batch, dtype=torch.int32)
        case "zeros":
            return drawn.masked_fill(torch.rand(batch, generator=generator) < 0.4, 0).to(torch.int32)
        case _:
            return drawn.clamp(min=min(1, time))


def _is_wanted(wanted: Wanted, name: str, chance: random.Random) -> bool:
    given = name == "x" or name.startswith("state.")
    match wanted:
        case "all":
            return True
        case "parameters":
            return not given
        case "inputs":
            return given
        case _:
            return chance.random() < 0.5
