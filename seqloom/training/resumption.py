"""A run as a checkpoint and back: weights, optimiser, random generators, position; and whether it is the same run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seqloom.errors import ConfigError, ModelError
from seqloom.training.checkpoint import read_checkpoint, write_checkpoint
from seqloom.training.optimiser import Optimiser
from seqloom.training.processes import Processes
from seqloom.training.random_state import capture_random_state, restore_random_state
from seqloom.training.run_state import RunState

__all__ = ["flatten", "resume_run", "save_run"]


def save_run(
    path: Path,
    module: nn.Module,
    optimiser: Optimiser,
    state: RunState,
    identity: Mapping[str, Any],
    processes: Processes,
    also: Path | None = None,
) -> None:
    """Write the whole run to ``path`` and perhaps under a second name. Every process calls it, the first writes."""
    generators = capture_random_state(processes.device)
    gathered = {name: processes.gather(tensor) for name, tensor in generators.items()}
    if not processes.first:
        return
    groups = {"module": _tensors(module), "optimiser": optimiser.state_dict(), "random": gathered}
    header = {
        "state": state.to_dict(),
        "identity": identity,
        "threads": torch.get_num_threads(),
        "versions": {"torch": torch.__version__},
    }
    tensors = {f"{group}.{name}": tensor for group, named in groups.items() for name, tensor in named.items()}
    write_checkpoint(path, tensors, header, also)


def resume_run(
    path: Path, module: nn.Module, optimiser: Optimiser, identity: Mapping[str, Any], processes: Processes
) -> tuple[RunState, int]:
    """Bring module, optimiser and this process's random generators to where the run was; its state and thread count.

    Raises:
        ConfigError: the run's identity differs from ``identity``.
        ModelError: the checkpoint is damaged, or does not fit the module.
    """
    tensors, header = read_checkpoint(path)
    _compare(path, header["identity"], identity)
    groups: dict[str, dict[str, Tensor]] = {"module": {}, "optimiser": {}, "random": {}}
    for name, tensor in tensors.items():
        group, _, key = name.partition(".")
        groups[group][key] = tensor
    own, stored = _tensors(module), groups["module"]
    for name in sorted(own.keys() | stored.keys()):
        if name not in own or name not in stored or own[name].shape != stored[name].shape:
            raise ModelError(f"{path}: tensor {name!r} does not fit; the checkpoint is of another model")
        own[name].copy_(stored[name])
    optimiser.load_state_dict(groups["optimiser"])
    generators = {name: states[processes.rank] for name, states in groups["random"].items()}
    restore_random_state(generators, processes.device)
    return RunState.from_dict(header["state"]), int(header["threads"])


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted key, tuples as lists, as JSON would give them back.

    >>> flatten({"model": {"cell": "lstm", "sizes": (1, 2)}, "seed": 3})
    {'model.cell': 'lstm', 'model.sizes': [1, 2], 'seed': 3}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return flat


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, tied ones once; also the buffers that no model file keeps: they may change."""
    return {name: tensor.detach() for name, tensor in [*module.named_parameters(), *module.named_buffers()]}


def _compare(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    # A key that the run did not know is one of a later release, whose default is what the run did.
    different = [key for key in sorted(before) if before[key] != now.get(key)]
    if different:
        changes = ", ".join(f"{key} (was {before[key]!r}, now {now.get(key)!r})" for key in different)
        raise ConfigError(f"{path}: the run was started with other settings: {changes}; resume it with the same ones")
