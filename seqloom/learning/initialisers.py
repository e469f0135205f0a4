"""Initialisations for a layer that is built: other starting points than the one that its cells choose for themselves.

All act in place on every cell inside a module, gate by gate. Parameters that a cell computes from what is stored
(masked, antisymmetric, ...) are left alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqloom.cells import Cell
from seqloom.errors import ConfigError
from seqloom.learning.blocks import Block, Product, blocks, cells, products

__all__ = ["initialise_chrono", "initialise_identity", "initialise_orthogonal", "initialise_sparse"]

_KEEPING = "fz"  # letters of the gates that may decide how much of the state is kept
_OPEN = 4.0


@torch.no_grad()
def initialise_orthogonal(module: nn.Module, gain: float = 1.0, generator: torch.Generator | None = None) -> None:
    """Recurrent matrices drawn from all orthogonal ones alike, times ``gain`` (Saxe et al. 2014).

    A linear recurrence then keeps the length of gradients. Use 1 for tanh and for rectified recurrences.

    Raises:
        ConfigError: the module has no recurrent matrix that can be set.
    """
    for block in _recurrent(module):
        nn.init.orthogonal_(block.value, gain, generator)


@torch.no_grad()
def initialise_identity(
    module: nn.Module, scale: float = 1.0, deviation: float = 0.001, generator: torch.Generator | None = None
) -> None:
    """The IRNN (Le, Jaitly & Hinton 2015): U = scale I, W normal with this deviation, biases 0; meant for ``rnn_relu``.

    Below 1, ``scale`` makes the memory short. Train it with clipping and small learning rates.

    Raises:
        ConfigError: the module has no recurrent matrix that can be set.
    """
    for block in _recurrent(module):
        nn.init.eye_(block.value).mul_(scale)
    for block in blocks(module):
        if block.free and not block.recurrent:
            block.value.normal_(0.0, deviation, generator=generator)
    for cell in cells(module):
        for product in products(cell):
            if product.bias is not None and product.bias not in cell.structures():
                cell.parameter(product.bias).zero_()


@torch.no_grad()
def initialise_sparse(
    module: nn.Module, nonzeros: int = 15, radius: float = 0.95, generator: torch.Generator | None = None
) -> None:
    """Square recurrent matrices with so many non-zero normal weights in each row, scaled to a spectral radius.

    As in the experiments of Pascanu, Mikolov & Bengio (2013), after echo state networks; other matrices stay.

    Raises:
        ConfigError: fewer than one non-zero, a radius that is not positive, or no square recurrent matrix.
    """
    if nonzeros < 1 or not radius > 0:
        raise ConfigError(f"nonzeros is {nonzeros} and radius {radius}; expected at least 1 and more than 0")
    square = [block for block in _recurrent(module) if block.square]
    if not square:
        raise ConfigError("sparse initialisation is for square recurrent matrices, and the module has none")
    for block in square:
        value = block.value
        matrix = torch.empty(value.shape, dtype=torch.float64, device=value.device).normal_(generator=generator)
        # A permutation for each row: the rank of random numbers.
        draws = torch.rand(value.shape, generator=generator, device=value.device)
        matrix[draws.argsort(1).argsort(1) >= nonzeros] = 0.0
        value.copy_(matrix * (radius / float(torch.linalg.eigvals(matrix).abs().max())))


@torch.no_grad()
def initialise_chrono(module: nn.Module, longest: int, generator: torch.Generator | None = None) -> None:
    """Biases for memories of all lengths up to ``longest`` steps (Tallec & Ollivier 2018, section 2).

    The gate f, or z, that keeps the state gets ``log u`` with u uniform in 1..longest - 1, a time of its own for each unit,
    and an input gate i beside a gate f gets minus that. Which way a gate keeps is found by trying: a GRU's z keeps the
    old state here, a minimal gated unit's f the new one.

    Raises:
        ConfigError: longest < 3; no cell with a bias on such a gate.
    """
    if longest < 3:
        raise ConfigError(f"longest is {longest}; expected at least 3 steps")
    initialised = False
    for cell in cells(module):
        gates = {letter: (product, i) for product in products(cell) for i, letter in enumerate(product.gates)}
        for letter in _KEEPING:
            block = _bias(cell, *gates[letter]) if letter in gates else None
            sign = 0 if block is None else _direction(cell, *gates[letter])
            if block is None or not sign:
                continue
            times = torch.empty_like(block).uniform_(1.0, longest - 1.0, generator=generator).log_()
            block.copy_(sign * times)
            beside = _bias(cell, *gates["i"]) if letter == "f" and "i" in gates else None
            if beside is not None:
                beside.copy_(-block)
            initialised = True
    if not initialised:
        raise ConfigError("chrono initialisation needs a cell with a bias on a gate f or z that keeps its state")


def _recurrent(module: nn.Module) -> list[Block]:
    matrices = [block for block in blocks(module) if block.recurrent and block.free]
    if not matrices:
        raise ConfigError("the module has no recurrent matrix of a cell that could be initialised")
    return matrices


def _bias(cell: Cell, product: Product, position: int) -> Tensor | None:
    """The bias of a gate, sharing its memory."""
    if product.bias is None or product.bias in cell.structures():
        return None
    return cell.parameter(product.bias)[position * product.rows : (position + 1) * product.rows]


def _direction(cell: Cell, product: Product, position: int) -> int:
    """1 where a larger bias of the gate keeps more of the old state, -1 where it keeps less, 0 where neither."""
    kept = []
    with torch.enable_grad():
        for bias in (_OPEN, -_OPEN):
            # With all weights zero the step is elementwise, and the gate is what its bias says.
            values = {name: torch.zeros_like(cell.parameter(name)) for name in cell.graph.declarations}
            values[str(product.bias)][position * product.rows : (position + 1) * product.rows] = bias
            like = next(iter(values.values()))
            states = [like.new_ones(1, size).requires_grad_() for size in cell.state_sizes]
            with cell.replaced_parameters(values):
                returned = cell.step(like.new_zeros(1, cell.input_size), *states)
            new = returned if isinstance(returned, tuple) else (returned,)
            total = torch.stack([value.sum() for value in new]).sum()
            gradients = torch.autograd.grad(total, states, allow_unused=True, materialize_grads=True)
            kept.append(float(torch.stack([gradient.sum() for gradient in gradients]).sum()))
    return (kept[0] > kept[1]) - (kept[0] < kept[1])
