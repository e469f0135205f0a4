"""Batch normalisation of what a recurrent layer reads, at the cost of no other kernel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqloom.cells.cell import Cell
from seqloom.engine.contract import Ragged
from seqloom.errors import ConfigError

__all__ = ["Moments", "SequenceNormalisation", "measure_moments"]

_MOMENTUM, _EPSILON = 0.1, 1e-5


@dataclass(frozen=True)
class Moments:
    """Of the frames of a batch: their number, mean (D,) and covariance (D, D), differentiable."""

    count: int
    mean: Tensor
    covariance: Tensor


def measure_moments(x: Tensor, ragged: Ragged | None) -> Moments | None:
    """The moments of all valid frames of x (B, T, D), padding left out; none where there is no frame."""
    frames = x.flatten(0, 1) if ragged is None else x[ragged.mask]
    frames = frames if frames.dtype == torch.float64 else frames.float()
    if len(frames) == 0:
        return None
    mean = frames.mean(0)
    centred = frames - mean
    return Moments(len(frames), mean, centred.T @ centred / len(frames))


class SequenceNormalisation(nn.Module):
    """A cell's input products, batch-normalised over all frames of all sequences (Amodei et al. 2016, section 3.2).

    ``BN(W x_t)`` has the mean ``W m`` and the variances ``diag(W S W^T)``, with m and S the mean and the covariance of the
    valid frames: it is a product with a rescaled W plus a shift, which the cell's bias takes in. So the cell runs as ever,
    on every backend, under :meth:`seqloom.cells.Cell.replaced_parameters`. The cell's own bias is the shift that batch
    normalisation learns. The recurrent products are untouched.

    For each input matrix there are a gain (R,), one at first, and running averages of mean and variance (R,) for
    evaluation, as in :class:`torch.nn.BatchNorm1d` (momentum 0.1, epsilon 1e-5, unbiased running variance).

    Raises:
        ConfigError: the cell has no product of its input, or one without a bias.
    """

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        declarations = cell.graph.declarations
        self.biases: dict[str, str] = {}
        for name, declared in declarations.items():
            if declared.role != "input" or not name.endswith("_x"):
                continue
            bias = self.biases[name] = name.removesuffix("_x").replace("weight", "bias", 1)
            if bias not in declarations:
                raise ConfigError(
                    f"batch_norm: the product {name} of {type(cell).__name__} has no bias to take the shift in; build the "
                    "cell with biases, or choose another one"
                )
            rows = declared.shape[0]
            self.register_parameter(f"gain_{name}", nn.Parameter(torch.ones(rows)))
            self.register_buffer(f"mean_{name}", torch.zeros(rows))
            self.register_buffer(f"variance_{name}", torch.ones(rows))
        if not self.biases:
            raise ConfigError(f"batch_norm: {type(cell).__name__} has no product of its input to normalise")

    def forward(self, cell: Cell, moments: Moments | None) -> dict[str, Tensor]:
        """The weights and biases that normalise, by name: by these moments, or by the running averages without any."""
        replaced: dict[str, Tensor] = {}
        for name, bias in self.biases.items():
            weight = cell.parameter(name)
            if moments is None:
                mean, variance = getattr(self, f"mean_{name}"), getattr(self, f"variance_{name}")
            else:
                mean = weight @ moments.mean
                variance = ((weight @ moments.covariance) * weight).sum(1).clamp(min=0.0)
                self._average(name, mean.detach(), variance.detach(), moments.count)
            # By getattr: torch.func.functional_call puts tensors there that are no parameters.
            scale = getattr(self, f"gain_{name}") * (variance + _EPSILON).rsqrt()
            replaced[name] = weight * scale.unsqueeze(1)
            replaced[bias] = replaced.get(bias, cell.parameter(bias)) - scale * mean
        return replaced

    def _average(self, name: str, mean: Tensor, variance: Tensor, count: int) -> None:
        unbiased = variance * (count / max(count - 1, 1))
        getattr(self, f"mean_{name}").lerp_(mean, _MOMENTUM)
        getattr(self, f"variance_{name}").lerp_(unbiased, _MOMENTUM)
