"""Learnable pooling: soft assignments to clusters, and their sums (Miech, Laptev & Sivic 2017; Arandjelovic et al. 2016)."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.layers.read_outs.simple import ReadOut, real_steps

__all__ = ["FisherVector", "ResidualVector", "RowNormalisation", "SoftBag", "VladVector"]


class RowNormalisation(nn.BatchNorm1d):
    """Batch normalisation of rows (N, F). Fewer than two rows have no variance, and are normalised as in evaluation."""

    def forward(self, rows: Tensor) -> Tensor:
        if self.training and len(rows) < 2:
            return F.batch_norm(rows, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        normalised: Tensor = super().forward(rows)
        return normalised


class _Pooling(ReadOut):
    """Soft assignments ``a_k(x) = softmax_k(BN(W x))``, their sums, and a linear map to the vector.

    Args:
        input_size: D.
        clusters: K.
        output_size: of the vector.
    """

    def __init__(self, input_size: int, clusters: int, output_size: int):
        super().__init__()
        self.output_size = output_size
        self.assign = nn.Linear(input_size, clusters, bias=False)
        self.normalise = RowNormalisation(clusters)
        self.project = nn.Linear(self.descriptor_size(input_size, clusters), output_size)

    @staticmethod
    @abstractmethod
    def descriptor_size(input_size: int, clusters: int) -> int:
        """How many numbers the sums are."""

    @abstractmethod
    def describe(self, encoded: Tensor, assigned: Tensor) -> Tensor:
        """(B, descriptor_size) the normalised sums, of steps (B, T, D) and their assignments (B, T, K), 0 in the padding."""

    def forward(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        assigned = self.assignments(encoded, lengths)
        vector: Tensor = self.project(self.describe(encoded, assigned))
        return vector

    def assignments(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, K) of each step, with the sum 1 over the clusters; 0 in the padding, which the normalisation never sees."""
        real = real_steps(lengths, encoded.shape[1]).squeeze(-1)
        assigned = encoded.new_zeros(*real.shape, self.assign.out_features)
        assigned[real] = self.normalise(self.assign(encoded[real])).softmax(-1)
        return assigned


class VladVector(_Pooling):
    """NetVLAD: ``V_k = sum_t a_k(x_t) (x_t - c_k)``, each cluster's vector and then all of them at unit length."""

    def __init__(self, input_size: int, clusters: int, output_size: int):
        super().__init__(input_size, clusters, output_size)
        self.centres = nn.Parameter(torch.randn(clusters, input_size) / input_size**0.5)

    @staticmethod
    def descriptor_size(input_size: int, clusters: int) -> int:
        return input_size * clusters

    def describe(self, encoded: Tensor, assigned: Tensor) -> Tensor:
        sums = torch.einsum("btk,btd->bkd", assigned, encoded) - assigned.sum(1).unsqueeze(-1) * self.centres
        return F.normalize(F.normalize(sums, dim=-1).flatten(1), dim=-1)


class ResidualVector(_Pooling):
    """NetRVLAD: ``V_k = sum_t a_k(x_t) x_t``, VLAD without centres."""

    @staticmethod
    def descriptor_size(input_size: int, clusters: int) -> int:
        return input_size * clusters

    def describe(self, encoded: Tensor, assigned: Tensor) -> Tensor:
        sums = torch.einsum("btk,btd->bkd", assigned, encoded)
        return F.normalize(F.normalize(sums, dim=-1).flatten(1), dim=-1)


class FisherVector(_Pooling):
    """NetFV: first and second moments about the centres c in units of s, each of the two at unit length as a whole."""

    def __init__(self, input_size: int, clusters: int, output_size: int):
        super().__init__(input_size, clusters, output_size)
        self.centres = nn.Parameter(torch.randn(clusters, input_size) / input_size**0.5)
        self.spread = nn.Parameter(torch.ones(clusters, input_size) + 0.1 * torch.randn(clusters, input_size))

    @staticmethod
    def descriptor_size(input_size: int, clusters: int) -> int:
        return 2 * input_size * clusters

    def describe(self, encoded: Tensor, assigned: Tensor) -> Tensor:
        deviations = self.spread.square() + 1e-6
        counts = assigned.sum(1).unsqueeze(-1)
        first = torch.einsum("btk,btd->bkd", assigned, encoded)
        second = torch.einsum("btk,btd->bkd", assigned, encoded.square())
        centres = self.centres
        of_first = (first - counts * centres) / deviations
        of_second = (second - 2 * centres * first + centres.square() * counts) / deviations.square() - counts
        return torch.cat([F.normalize(of_first.flatten(1), dim=-1), F.normalize(of_second.flatten(1), dim=-1)], -1)


class SoftBag(_Pooling):
    """A soft bag of words: ``V_k = sum_t a_k(x_t)``, at unit length."""

    @staticmethod
    def descriptor_size(input_size: int, clusters: int) -> int:
        return clusters

    def describe(self, encoded: Tensor, assigned: Tensor) -> Tensor:
        return F.normalize(assigned.sum(1), dim=-1)
