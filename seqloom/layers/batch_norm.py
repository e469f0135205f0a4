"""Long short-term memory whose pre-activations are batch-normalised step by step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.cells.initial import Initialisation
from seqloom.engine.runtime.backend import measure_lengths
from seqloom.layers.options import check_count
from seqloom.layers.state import State, make_state

__all__ = ["BatchNormLSTM", "StepNormalisation"]


class StepNormalisation(nn.Module):
    """Batch normalisation with statistics of their own for each time step up to a last one, which later steps share.

    Training normalises by the mean and the variance of the rows that it is given, and keeps running averages of both
    (unbiased variance, as in :class:`torch.nn.BatchNorm1d`). Fewer than two rows have no variance; they, like all rows in
    evaluation, are normalised by the running averages of their step, or of the last step that training has reached.

    Args:
        units: F.
        steps: time steps with statistics of their own.
        gain: first value of the gains (F,).
        shift: whether a shift (F,) is learned.
        momentum: weight of a batch in the running averages.
        epsilon: added to each variance.
    """

    mean: Tensor
    variance: Tensor
    seen: Tensor

    def __init__(
        self,
        units: int,
        steps: int,
        *,
        gain: float = 0.1,
        shift: bool = False,
        momentum: float = 0.1,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.steps, self.momentum, self.epsilon = check_count("steps", steps), momentum, epsilon
        self.gain = nn.Parameter(torch.full((units,), gain))
        self.shift = nn.Parameter(torch.zeros(units)) if shift else None
        self.register_buffer("mean", torch.zeros(steps, units))
        self.register_buffer("variance", torch.ones(steps, units))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, values: Tensor, step: Tensor) -> Tensor:
        """Normalise the rows of one step.

        Args:
            values: (N, F), padding left out.
            step: (N,) int64, the time step of each row, counted from 0; the same for all when training.
        Returns:
            (N, F).
        """
        if self.training and len(values) > 1:
            at = min(int(step[0]), self.steps - 1)
            self.seen.clamp_(min=at + 1)
            mean, variance = self.mean[at], self.variance[at]
            return F.batch_norm(values, mean, variance, self.gain, self.shift, True, self.momentum, self.epsilon)
        known = torch.minimum(step, self.seen - 1).clamp(min=0)
        scale = self.gain * (self.variance[known] + self.epsilon).rsqrt()
        normal = (values - self.mean[known]) * scale
        return normal if self.shift is None else normal + self.shift


class BatchNormLSTM(nn.Module):
    """Recurrent batch normalisation (Cooijmans, Ballas, Laurent, Gulcehre & Courville 2016, eqs. 6-8).

    ``i, f, g, o = BN(W x) + BN(U h) + b``; ``c = sigmoid(f) * c + sigmoid(i) * tanh(g)``;
    ``h = sigmoid(o) * tanh(BN(c) + shift)``. Each time step has its own statistics, those of the rows that have it:
    padding never enters them. The gains begin at 0.1, since tanh of values of unit variance lets gradients vanish. In
    evaluation a row's outputs depend on that row alone.

    4 m (n + m + 1) + 10 m parameters, n inputs and m units.

    Args:
        input_size: features D of the input.
        hidden_size: units H.
        steps: time steps with statistics of their own; later ones share the last.
        gain: first value of all gains.
        momentum: weight of a batch in the running averages.
        epsilon: added to each variance.

    >>> layer = BatchNormLSTM(3, 4, steps=10)
    >>> outputs, state = layer(torch.randn(5, 7, 3), lengths=torch.tensor([7, 0, 4, 2, 7]))
    >>> outputs.shape, state.c.shape, state.t.flatten().tolist()
    (torch.Size([5, 7, 4]), torch.Size([5, 1, 4]), [7, 0, 4, 2, 7])

    Raises:
        ConfigError: a size or ``steps`` below 1.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        steps: int,
        gain: float = 0.1,
        momentum: float = 0.1,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size = (
            check_count("input_size", input_size),
            check_count("hidden_size", hidden_size),
        )
        self.output_size, rows = hidden_size, 4 * hidden_size
        self.weight_x = nn.Parameter(torch.empty(rows, input_size))
        self.weight_h = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias = nn.Parameter(torch.empty(rows))

        def normalisation(units: int, shift: bool = False) -> StepNormalisation:
            return StepNormalisation(units, steps, gain=gain, shift=shift, momentum=momentum, epsilon=epsilon)

        self.norm_x, self.norm_h, self.norm_c = (
            normalisation(rows),
            normalisation(rows),
            normalisation(hidden_size, True),
        )
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the matrices anew, gate by gate in the order i, f, g, o; the forget gate's bias is 1."""
        initial = Initialisation()
        for matrix, scheme in ((self.weight_x, initial.input), (self.weight_h, initial.recurrent)):
            for block in matrix.chunk(4):
                initial.fill(block, scheme)
        self.bias.zero_().chunk(4)[1].fill_(1.0)

    def forward(
        self, x: Tensor, state: Sequence[Tensor] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run over whole sequences, or chunks of them.

        Args:
            x: (B, T, D).
            state: what a former call returned: h and c (B, 1, H) and the number t (B, 1, 1) of steps so far.
            lengths: (B,) integers in 0..T; whole rows by default.
        Returns:
            outputs (B, T, H), exactly zero past a row's length, and the state after each row's own last step.
        Raises:
            ValueError: shapes that do not fit, a length outside 0..T, or, when training, rows that begin at different
                steps: the statistics of a step are those of a batch.
        """
        if x.dim() != 3 or x.shape[-1] != self.input_size:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (B, T, D) with D = {self.input_size} features")
        ragged = measure_lengths(lengths, x)
        h, c, begun = self._split(state, x)
        if ragged is None:
            outputs, h, c = self._run(x, [len(x)] * x.shape[1], h, c, begun)
            return outputs, self._join(h, c, begun + x.shape[1])
        # The longest rows first: those that have a step are then always the first ones, and no other is touched.
        rows = ragged.packed
        outputs, h, c = self._run(rows.sort(ragged.clear(x)), rows.sizes, *map(rows.sort, (h, c, begun)))
        return rows.unsort(outputs), self._join(rows.unsort(h), rows.unsort(c), begun + ragged.lengths)

    def step(self, x: Tensor, state: Sequence[Tensor] | None = None) -> tuple[Tensor, State]:
        """One time step: x (B, D) to (B, H), and the state to pass with the next step."""
        outputs, final = self(x.unsqueeze(1), state)
        return outputs.squeeze(1), final

    def initial_state(self, batch: int, *, like: Tensor | None = None) -> State:
        """Zeros for ``batch`` rows, of the type and on the device of ``like`` or else of the parameters."""
        zeros = (self.bias if like is None else like).new_zeros(batch, self.hidden_size)
        return self._join(zeros, zeros, torch.zeros(batch, dtype=torch.int64, device=zeros.device))

    def _run(self, x: Tensor, counts: list[int], h: Tensor, c: Tensor, begun: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rows sorted by length, of which ``counts[t]`` have step t; ``begun`` (B,) steps came before."""
        started = begun[: counts[0]] if counts else begun[:0]
        if self.training and len(started) and bool((started != started[0]).any()):
            raise ValueError(
                f"the rows' state.t go from {int(started.min())} to {int(started.max())}; in training all rows of a batch "
                "must be at the same step, or call eval() first"
            )
        projected, outputs = F.linear(x, self.weight_x), []
        for t, count in enumerate(counts):
            if count == 0:
                break
            at = begun[:count] + t
            total = (
                self.norm_x(projected[:count, t], at) + self.norm_h(F.linear(h[:count], self.weight_h), at) + self.bias
            )
            i, f, g, o = total.chunk(4, -1)
            memory = f.sigmoid() * c[:count] + i.sigmoid() * g.tanh()
            output = o.sigmoid() * self.norm_c(memory, at).tanh()
            h, c = torch.cat([output, h[count:]]), torch.cat([memory, c[count:]])
            outputs.append(F.pad(output, (0, 0, 0, len(x) - count)))
        steps = torch.stack(outputs, 1) if outputs else x.new_zeros(len(x), 0, self.hidden_size)
        return F.pad(steps, (0, 0, 0, x.shape[1] - steps.shape[1])), h, c

    def _split(self, state: Sequence[Tensor] | None, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        given = self.initial_state(len(x), like=x) if state is None else state
        if isinstance(given, Tensor) or len(given) != 3:
            raise ValueError(f"state has {len(given)} fields; expected 3: h, c, t")
        for name, size, field in zip("hct", (self.hidden_size, self.hidden_size, 1), given, strict=True):
            if field.shape != (len(x), 1, size):
                raise ValueError(f"state.{name} has shape {tuple(field.shape)}; expected {(len(x), 1, size)}")
        h, c, t = given
        return h.squeeze(1), c.squeeze(1), t.to(torch.int64).flatten()

    def _join(self, h: Tensor, c: Tensor, t: Tensor) -> State:
        return make_state(("h", "c", "t"), [h.unsqueeze(1), c.unsqueeze(1), t.view(-1, 1, 1)])

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}, steps={self.norm_c.steps}"
