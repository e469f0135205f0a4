"""Penalties on the weights, for any optimiser; biases, gains and other vectors are never penalised.

L2 in the gradient and decay that is decoupled from it (Loshchilov & Hutter 2019) are the ``weight_decay`` of ``adam`` and of
``adamw``. Both pull the recurrent weights to zero, which shortens the memory; the pull to orthogonal ones does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.errors import ConfigError
from seqloom.learning.blocks import blocks

__all__ = ["add_orthogonality", "orthogonality", "penalised", "shrink"]


def penalised(parameters: Mapping[str, nn.Parameter]) -> dict[str, nn.Parameter]:
    """Those that have more than one dimension: not biases, not the gains and shifts of a normalisation, not peepholes."""
    return {name: parameter for name, parameter in parameters.items() if parameter.dim() > 1}


@torch.no_grad()
def shrink(parameters: Iterable[nn.Parameter], amount: float) -> None:
    """``w <- sign(w) max(|w| - amount, 0)``: the proximal step of an L1 penalty, with amount = rate * strength.

    Unlike steps along the subgradient it makes weights exactly zero (Daubechies, Defrise & De Mol 2004).

    >>> weight = nn.Parameter(torch.tensor([[0.5, 0.05]]))
    >>> shrink([weight], 0.1); weight.tolist()
    [[0.4000000059604645, 0.0]]
    """
    for parameter in parameters:
        parameter.copy_(F.softshrink(parameter, amount))


def orthogonality(module: nn.Module) -> Tensor:
    """``sum ||U'U - I||^2`` (Frobenius) over the square recurrent matrices of all cells, gate by gate; differentiable.

    Raises:
        ConfigError: the module has no such matrix.

    >>> from seqloom.layers.recurrent import Recurrent
    >>> bool(orthogonality(Recurrent("lstm", 3, 4)) < 1e-10)  # as it is initialised
    True
    """
    matrices = [block.value for block in blocks(module) if block.recurrent and block.square]
    if not matrices:
        raise ConfigError("orthogonality is for square recurrent matrices, and the model has none; set it to 0")
    return torch.stack(
        [(u.T @ u - torch.eye(len(u), dtype=u.dtype, device=u.device)).square().sum() for u in matrices]
    ).sum()


def add_orthogonality(module: nn.Module, strength: float) -> None:
    """Add the gradient of ``strength`` times :func:`orthogonality` to the gradients of the parameters."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    with torch.enable_grad():
        penalty = strength * orthogonality(module)
    if not penalty.requires_grad:
        return
    gradients = torch.autograd.grad(penalty, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None:
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
