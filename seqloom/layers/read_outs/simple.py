"""Last state, mean, maximum and attention (the task modes of Graves 2012, chapter 2; attention as in Yang et al. 2016)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias

import torch
from torch import Tensor, nn

from seqloom.errors import ConfigError

__all__ = ["Attention", "Last", "Maximum", "Mean", "ReadOut", "Running", "real_steps"]

Running: TypeAlias = tuple[Tensor, ...] | None
"""What a read-out keeps of the steps it has seen; none before the first."""


def real_steps(lengths: Tensor, time: int) -> Tensor:
    """(B, T, 1) whether a step is one of its sequence rather than padding."""
    return (torch.arange(time, device=lengths.device) < lengths[:, None]).unsqueeze(-1)


class ReadOut(nn.Module, ABC):
    """One vector for a sequence of encoded steps.

    Attributes:
        output_size: of the vector.
    """

    output_size: int

    @abstractmethod
    def forward(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        """(B, output_size) from (B, T, D) and (B,); zeros where a length is 0."""

    def prefixes(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, output_size) after each step, as if the sequence ended there; its last one again behind its end.

        Here by its definition, in O(T^2); read-outs that can do better do so.
        """
        vectors = [self(encoded, lengths.clamp(max=step + 1)) for step in range(encoded.shape[1])]
        return torch.stack(vectors, 1) if vectors else encoded.new_zeros(len(lengths), 0, self.output_size)

    def push(self, steps: Tensor, seen: Running = None) -> tuple[Tensor, Running]:
        """The vector after each of some more steps of one sequence, and what has been seen then.

        Args:
            steps: (n, D), n > 0.
        Raises:
            ConfigError: this read-out needs the whole sequence at once.
        """
        raise ConfigError(f"a {type(self).__name__} read-out cannot stream: it needs the whole sequence")


class Last(ReadOut):
    """The state after the last step, and of an encoder that read backwards its state after the first one.

    Args:
        input_size: D.
        bidirectional: whether the second half of D is of such an encoder.
    """

    def __init__(self, input_size: int, bidirectional: bool = False):
        super().__init__()
        self.output_size, self.bidirectional = input_size, bidirectional

    def forward(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        if not encoded.shape[1]:
            return encoded.new_zeros(len(lengths), self.output_size)
        rows = torch.arange(len(lengths), device=encoded.device)
        last = encoded[rows, (lengths - 1).clamp(min=0)]
        if self.bidirectional:
            half = self.output_size // 2
            last = torch.cat([last[:, :half], encoded[:, 0, half:]], -1)
        return last.masked_fill((lengths == 0).unsqueeze(-1), 0.0)

    def prefixes(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        if self.bidirectional:
            return super().prefixes(encoded, lengths)
        time = encoded.shape[1]
        steps = torch.minimum(torch.arange(time, device=encoded.device), (lengths - 1).clamp(min=0)[:, None])
        held = encoded.gather(1, steps.unsqueeze(-1).expand(-1, -1, self.output_size))
        return held.masked_fill((lengths == 0)[:, None, None], 0.0)

    def push(self, steps: Tensor, seen: Running = None) -> tuple[Tensor, Running]:
        return (steps, None) if not self.bidirectional else super().push(steps, seen)


class Mean(ReadOut):
    """The mean over the steps."""

    def __init__(self, input_size: int):
        super().__init__()
        self.output_size = input_size

    def forward(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        total = (encoded * real_steps(lengths, encoded.shape[1])).sum(1)
        return total / lengths.clamp(min=1).unsqueeze(-1)

    def prefixes(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        time = encoded.shape[1]
        total = (encoded * real_steps(lengths, time)).cumsum(1)
        steps = torch.arange(1, time + 1, device=encoded.device)
        return total / torch.minimum(steps, lengths[:, None]).clamp(min=1).unsqueeze(-1)

    def push(self, steps: Tensor, seen: Running = None) -> tuple[Tensor, Running]:
        # In double precision: sums of endless recordings would lose what comes late.
        total, count = seen or (
            steps.new_zeros(steps.shape[1], dtype=torch.float64),
            torch.zeros((), dtype=torch.float64),
        )
        totals = total + steps.double().cumsum(0)
        counts = count + torch.arange(1, len(steps) + 1)
        return (totals / counts.unsqueeze(-1)).to(steps.dtype), (totals[-1], counts[-1])


class Maximum(ReadOut):
    """The greatest value of each unit over the steps."""

    def __init__(self, input_size: int):
        super().__init__()
        self.output_size = input_size

    def forward(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        if not encoded.shape[1]:
            return encoded.new_zeros(len(lengths), self.output_size)
        real = real_steps(lengths, encoded.shape[1])
        highest = encoded.masked_fill(~real, -torch.inf).amax(1)
        return highest.masked_fill((lengths == 0).unsqueeze(-1), 0.0)

    def prefixes(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        if not encoded.shape[1]:
            return encoded
        highest = encoded.masked_fill(~real_steps(lengths, encoded.shape[1]), -torch.inf).cummax(1).values
        return highest.masked_fill((lengths == 0)[:, None, None], 0.0)

    def push(self, steps: Tensor, seen: Running = None) -> tuple[Tensor, Running]:
        highest = steps if seen is None else torch.cat([seen[0][None], steps])
        found = highest.cummax(0).values[-len(steps) :]
        return found, (found[-1],)


class Attention(ReadOut):
    """A weighted mean: ``u_t = tanh(W h_t + b)``, weights ``softmax_t(u_t . u)`` over the steps (Yang et al. 2016, eqs. 5-7).

    Args:
        input_size: D.
        attention_size: units of u.
    """

    def __init__(self, input_size: int, attention_size: int):
        super().__init__()
        self.output_size = input_size
        self.hidden = nn.Linear(input_size, attention_size)
        self.query = nn.Parameter(torch.empty(attention_size).uniform_(-1, 1) / attention_size**0.5)

    def weights(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        """(B, T) positive, with the sum 1 over the steps of a sequence; 0 behind its end, and everywhere where it has none."""
        real = real_steps(lengths, encoded.shape[1]).squeeze(-1)
        scores = self._scores(encoded).masked_fill(~real, -torch.inf)
        empty = (lengths == 0).unsqueeze(-1)
        return scores.masked_fill(empty, 0.0).softmax(-1).masked_fill(empty, 0.0)

    def forward(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        return torch.einsum("bt,btd->bd", self.weights(encoded, lengths), encoded)

    def prefixes(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        if not encoded.shape[1]:
            return encoded
        real = real_steps(lengths, encoded.shape[1])
        scores = self._scores(encoded).unsqueeze(-1)
        # Weights are ratios: any constant of a sequence leaves them as they are, and its greatest score keeps them finite.
        heights = (scores - scores.amax(1, keepdim=True)).exp() * real
        least = torch.finfo(encoded.dtype).tiny
        return (heights * encoded).cumsum(1) / heights.cumsum(1).clamp(min=least)

    def push(self, steps: Tensor, seen: Running = None) -> tuple[Tensor, Running]:
        scores = self._scores(steps).double()
        nothing = steps.new_zeros(steps.shape[1], dtype=torch.float64)
        greatest, total, weighted = seen or (scores[0], nothing[0], nothing)
        new = torch.maximum(greatest, scores.max())
        heights = (scores - new).exp().unsqueeze(-1)
        shrunk = (greatest - new).exp()
        totals = total * shrunk + heights.squeeze(-1).cumsum(0)
        sums = weighted * shrunk + (heights * steps).cumsum(0)
        least = torch.finfo(torch.float64).tiny
        found = (sums / totals.clamp(min=least).unsqueeze(-1)).to(steps.dtype)
        return found, (new, totals[-1], sums[-1])

    def _scores(self, encoded: Tensor) -> Tensor:
        scores: Tensor = torch.tanh(self.hidden(encoded)) @ self.query
        return scores
