"""From the options of a comparison to the trials that it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from seqloom.errors import ConfigError

if TYPE_CHECKING:
    from seqloom.synthetic.compare.trial import Trial

__all__ = ["Options", "make_trials", "task_options"]


@dataclass(frozen=True)
class Options:
    """Options of a comparison."""

    task: Annotated[str, "the task: adding, copy, parity, temporal_order, permuted_rows, ..."]
    cells: Annotated[
        tuple[str, ...], "cells, with commas or spaces between; dilated_, block_, plain_, chrono_ may precede"
    ] = (
        "lstm",
        "gru",
        "rnn",
    )
    length: Annotated[int | None, "length T of the task; its own default otherwise"] = None
    options: Annotated[tuple[str, ...], "further options of the task, KEY=VALUE"] = ()
    seeds: Annotated[int, "runs of each cell"] = 3
    first_seed: Annotated[int, "seed of the first of them"] = 1
    hidden_size: Annotated[int, "units of a layer"] = 64
    layers: Annotated[int, "layers; 0 takes the usual number of each kind of encoder"] = 0
    match: Annotated[
        Literal["units", "parameters"],
        "give every cell the same hidden size, or about the first cell's number of parameters",
    ] = "units"
    updates: Annotated[int | None, "most updates of a run; by default the task's"] = None
    batch_size: Annotated[int | None, "sequences in a batch; by default the task's"] = None
    learning_rate: Annotated[float | None, "of Adam, for all cells; by default each cell's"] = None
    evaluate_every: Annotated[int | None, "updates between two looks at held-out sequences; by default the task's"] = (
        None
    )
    clip_norm: Annotated[float, "largest norm of all gradients together"] = 1.0
    seconds: Annotated[float | None, "limit of each run's training time; unlimited by default"] = None
    jobs: Annotated[int, "worker processes of one thread each"] = 2
    out: Annotated[Path | None, "folder of the results; compare-TASK by default"] = None
    json: Annotated[bool, "print JSON"] = False

    def __post_init__(self) -> None:
        for name in ("seeds", "hidden_size", "updates", "batch_size", "evaluate_every", "jobs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"--{name}: {value}, expected at least 1")
        if self.seconds is not None and self.seconds <= 0:
            raise ConfigError(f"--seconds: {self.seconds}, expected more than 0")

    @property
    def cell_names(self) -> list[str]:
        """The cells, once each."""
        names = [name.strip() for part in self.cells for name in part.split(",")]
        return list(dict.fromkeys(filter(None, names)))


def task_options(options: Options) -> dict[str, Any]:
    """The task's own options from KEY=VALUE pairs.

    Raises:
        ConfigError: a pair is none.
    """
    from seqloom.configuration.values import from_text

    values: dict[str, Any] = {}
    for pair in options.options:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--options: {pair!r} is not KEY=VALUE, such as permuted=true")
        values[key] = from_text(value)
    return values


def make_trials(options: Options) -> list[Trial]:
    """All runs, seed by seed, so that an early look sees every cell.

    Raises:
        ConfigError: an unknown task, cell or option.
    """
    from seqloom.layers.encoder import parse_encoder
    from seqloom.synthetic.compare.defaults import learning_rate, task_defaults
    from seqloom.synthetic.compare.trial import Trial, resolved_options

    if not options.cell_names:
        raise ConfigError("--cells: no cell is named, expected such as --cells lstm,gru")
    resolved = resolved_options(options.task, options.length, task_options(options))
    usual = task_defaults(options.task)
    sizes = _sizes(options, resolved)
    return [
        Trial(
            task=options.task,
            options=resolved,
            cell=cell,
            seed=seed,
            hidden_size=sizes[cell],
            layers=options.layers or parse_encoder(cell).layers,
            updates=options.updates or usual.updates,
            batch_size=options.batch_size or usual.batch_size,
            learning_rate=options.learning_rate or learning_rate(cell),
            clip_norm=options.clip_norm,
            evaluate_every=options.evaluate_every or usual.evaluate_every,
        )
        for seed in range(options.first_seed, options.first_seed + options.seeds)
        for cell in options.cell_names
    ]


def _sizes(options: Options, resolved: dict[str, Any]) -> dict[str, int]:
    """The hidden size of each cell."""
    from seqloom.layers.encoder import parse_encoder

    names = options.cell_names
    for name in names:
        parse_encoder(name)
    sizes = dict.fromkeys(names, options.hidden_size)
    if options.match == "parameters":
        goal = _parameters(options, resolved, names[0], options.hidden_size)
        sizes |= {name: _size_for(options, resolved, name, goal) for name in names[1:]}
    return sizes


def _parameters(options: Options, resolved: dict[str, Any], cell: str, hidden_size: int) -> int:
    from seqloom.layers.encoder import EncoderConfig, count_parameters
    from seqloom.synthetic.network import TaskNetwork
    from seqloom.synthetic.tasks import make_task

    config = EncoderConfig(cell=cell, hidden_size=hidden_size, layers=options.layers)
    return count_parameters(TaskNetwork(config, make_task(options.task, options=resolved)))


def _size_for(options: Options, resolved: dict[str, Any], cell: str, goal: int) -> int:
    """The hidden size whose number of parameters is nearest to the goal; counts grow with the size."""
    low, high = 1, 2
    while _parameters(options, resolved, cell, high) < goal:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if _parameters(options, resolved, cell, middle) < goal:
            low = middle
        else:
            high = middle
    return min((low, high), key=lambda size: abs(_parameters(options, resolved, cell, size) - goal))
