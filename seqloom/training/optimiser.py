"""One optimiser over dense parameters and sparse tables, whose state is a flat dictionary of named tensors."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from seqloom.errors import ConfigError, ModelError
from seqloom.layers.embedding import sparse_parameters
from seqloom.learning.clipping import clip_gradients, clip_values, gradient_norm
from seqloom.learning.penalties import add_orthogonality, orthogonality, penalised, shrink
from seqloom.training.config import TrainingConfig
from seqloom.training.row_optimiser import RowOptimiser

__all__ = ["Optimiser", "build_optimiser"]


class Optimiser:
    """A torch optimiser for the dense parameters paired with a :class:`RowOptimiser` for the sparse tables.

    The state leaves as tensors by parameter name, never as pickled objects, so that it can live in a safetensors file.
    """

    def __init__(self, module: nn.Module, config: TrainingConfig) -> None:
        self.parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
        if not self.parameters:
            raise ConfigError("the model has no parameter that can be trained")
        tables = sparse_parameters(module)
        self.dense_parameters = {name: p for name, p in self.parameters.items() if name not in tables}
        self.dense = _dense_optimiser(self.dense_parameters, config) if self.dense_parameters else None
        self.rows = RowOptimiser(tables, config)
        self.module, self.config = module, config
        if config.orthogonality:
            orthogonality(module)  # raises where there is nothing to penalise

    def add_penalties(self) -> None:
        """Add the gradients of the penalties that the loss does not have."""
        if self.config.orthogonality:
            add_orthogonality(self.module, self.config.orthogonality)

    def clip(self, limit: float, value: float = 0.0) -> float:
        """Clip all gradients, number by number and then jointly; the norm before clipping (see :func:`clip_gradients`)."""
        parameters = self.parameters.values()
        if not value:
            return clip_gradients(parameters, limit)
        norm = gradient_norm(parameters)
        if math.isfinite(norm):
            clip_values(parameters, value)
            clip_gradients(parameters, limit)
        return norm

    def step(self, rate: float) -> None:
        """One update at this learning rate, and the shrinking of an L1 penalty."""
        if self.dense is not None:
            for group in self.dense.param_groups:
                group["lr"] = rate
            self.dense.step()
            if self.config.l1:
                shrink(penalised(self.dense_parameters).values(), rate * self.config.l1)
        self.rows.step(rate)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def state_dict(self) -> dict[str, Tensor]:
        """Every tensor of the state by ``parameter/slot``, and ``/row_steps``; references, not copies."""
        state = {"/row_steps": torch.tensor(self.rows.steps), **dict(self.rows.tensors())}
        for name, parameter in self.dense_parameters.items():
            slots = self.dense.state.get(parameter, {}) if self.dense else {}
            state.update({f"{name}/{slot}": value for slot, value in slots.items() if isinstance(value, Tensor)})
        return state

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over a state, copying it.

        Raises:
            ModelError: a tensor belongs to no parameter, or has another shape.
        """
        remaining = dict(state)
        self.rows.steps = int(remaining.pop("/row_steps"))
        for key, tensor in self.rows.tensors():
            stored = remaining.pop(key, None)
            if stored is None or stored.shape != tensor.shape:
                raise ModelError(
                    f"the optimiser state has no fitting tensor {key!r}; it is of another model or optimiser"
                )
            tensor.copy_(stored)
        for key, stored in remaining.items():
            name, _, slot = key.rpartition("/")
            parameter = self.dense_parameters.get(name)
            if parameter is None or self.dense is None or stored.shape not in (parameter.shape, torch.Size([])):
                raise ModelError(
                    f"the optimiser state has a tensor {key!r} that fits no parameter; it is of another model"
                )
            # A counter stays where torch's optimiser keeps it; a copy is aligned in memory as a fresh tensor is.
            device = parameter.device if stored.dim() else stored.device
            self.dense.state[parameter][slot] = stored.to(device, copy=True)


def build_optimiser(module: nn.Module, config: TrainingConfig) -> Optimiser:
    """The optimiser of a configuration for all trainable parameters of a module.

    >>> layer = nn.Linear(2, 1)
    >>> optimiser = build_optimiser(layer, TrainingConfig(optimiser="sgd"))
    >>> layer(torch.ones(1, 2)).sum().backward(); optimiser.step(0.1); sorted(optimiser.state_dict())
    ['/row_steps']
    """
    return Optimiser(module, config)


def _dense_optimiser(named: Mapping[str, nn.Parameter], config: TrainingConfig) -> torch.optim.Optimizer:
    decay, rate = config.weight_decay, config.learning_rate
    betas = (config.beta1, config.beta2)
    parameters: Any = list(named.values())
    on_cpu = all(parameter.device.type == "cpu" for parameter in parameters)
    if decay:
        decayed = penalised(named)
        exempt = [parameter for name, parameter in named.items() if name not in decayed]
        parameters = [{"params": list(decayed.values())}, {"params": exempt, "weight_decay": 0.0}]
    # Fused kernels read each tensor once; on the CPU they are the fastest that torch has.
    match config.optimiser:
        case "adam":
            return torch.optim.Adam(parameters, lr=rate, betas=betas, weight_decay=decay, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, lr=rate, betas=betas, weight_decay=decay, fused=True)
        case "adagrad":
            return torch.optim.Adagrad(parameters, lr=rate, weight_decay=decay, fused=on_cpu)
        case "sgd":
            return torch.optim.SGD(parameters, lr=rate, momentum=config.momentum, weight_decay=decay, fused=True)
