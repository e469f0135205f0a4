"""Attention of a recurrent layer over its own earlier outputs: a path of one step to each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from seqloom.engine.contract import Ragged
from seqloom.engine.runtime.backend import measure_lengths
from seqloom.layers.memory.steps import check_input, check_state, masked_softmax
from seqloom.layers.options import CellLike, build_cell, check_choice, check_count
from seqloom.layers.recurrent import Recurrent
from seqloom.layers.state import State, make_state

__all__ = ["AttentiveRecurrent", "HistoryAttention", "HistoryScore"]

HistoryScore = Literal["additive", "dot", "general"]


class HistoryAttention(nn.Module):
    """What a query finds in a history: ``sum of a_j h_j`` with ``a = softmax(score(query, h_j))``.

    The scores are ``additive``, ``v . tanh(W_q q + W_h h_j + b)`` (Bahdanau, Cho & Bengio 2015); ``dot``,
    ``q . h_j / sqrt(H)``; or ``general``, ``q . W h_j`` (Luong, Pham & Manning 2015).

    Args:
        size: units H of the query and of each entry.
        score: the kind of score.

    >>> attention = HistoryAttention(4, score="dot")
    >>> context, weights = attention(torch.zeros(2, 4), torch.ones(2, 3, 4), torch.tensor([[True] * 3, [False] * 3]))
    >>> context[:, 0], weights.sum(1)
    (tensor([1., 0.]), tensor([1., 0.]))

    Raises:
        ConfigError: a size below 1 or an unknown score.
    """

    def __init__(self, size: int, *, score: HistoryScore = "additive") -> None:
        super().__init__()
        check_choice("score", score, ("additive", "dot", "general"))
        self.size, self.score = check_count("size", size), score
        self.of_query = None if score == "dot" else nn.Linear(size, size, bias=score == "additive")
        self.of_history = nn.Linear(size, size, bias=False) if score == "additive" else None
        self.direction = nn.Linear(size, 1, bias=False) if score == "additive" else None

    def keys(self, history: Tensor) -> Tensor:
        """(B, N, H) what of the scores depends on the history alone, to be computed once for each entry."""
        return history if self.of_history is None else self.of_history(history)

    def forward(
        self, query: Tensor, history: Tensor, valid: Tensor, keys: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Attend.

        Args:
            query: (B, H).
            history: (B, N, H); N may be 0.
            valid: (B, N) which entries there are.
            keys: (B, N, H) what :meth:`keys` says of the history, if it is known already.
        Returns:
            the context (B, H), zero for a row without entries, and the weights (B, N).
        """
        known = self.keys(history) if keys is None else keys
        asked = query if self.of_query is None else self.of_query(query)
        if self.direction is not None:
            scores = self.direction(torch.tanh(asked.unsqueeze(1) + known)).squeeze(-1)
        else:
            scores = torch.bmm(known, asked.unsqueeze(-1)).squeeze(-1)
            scores = scores / self.size**0.5 if self.score == "dot" else scores
        weights = masked_softmax(scores, valid)
        return torch.bmm(weights.unsqueeze(1), history).squeeze(1), weights


class AttentiveRecurrent(nn.Module):
    """A recurrent layer that attends to its own earlier outputs: ``h_t = cell([x_t; c_t], ...)``.

    The context ``c_t`` is what ``h_(t-1)`` finds among the outputs before step t, or the last ``window`` of them; it is
    zero at the first step. The layer's memory then grows with what it has seen rather than with its parameters (Cheng,
    Dong & Lapata 2016 attend so within an LSTM). O(T window H) time and memory, O(T^2 H) without a window.

    The state has the cell's own fields (B, 1, H), ``history`` (B, N, H), the earlier outputs with the newest last, N the
    window or, without one, the most steps of any row; and ``steps`` (B, 1), how many of them a row has had.

    Args:
        cell: a name, a class, or an instance, like which one with a wider input is built.
        input_size: features D of the input.
        hidden_size: units H.
        window: how many outputs back the attention reaches; all of them where None.
        score: the kind of :class:`HistoryAttention`.

    >>> layer = AttentiveRecurrent("gru", 3, 4, window=5)
    >>> outputs, state = layer(torch.zeros(2, 7, 3), lengths=torch.tensor([7, 2]))
    >>> outputs.shape, state.history.shape, state.steps.tolist()
    (torch.Size([2, 7, 4]), torch.Size([2, 5, 4]), [[7], [2]])

    Raises:
        ConfigError: an unknown cell or score, a size or a window below 1.
    """

    def __init__(
        self,
        cell: CellLike,
        input_size: int | None = None,
        hidden_size: int | None = None,
        *,
        window: int | None = None,
        score: HistoryScore = "additive",
    ) -> None:
        super().__init__()
        pattern = build_cell(cell, input_size, hidden_size, True)
        self.input_size, self.output_size = pattern.input_size, pattern.state_sizes[0]
        self.window = None if window is None else check_count("window", window)
        self.recurrent = Recurrent(pattern.another(self.input_size + self.output_size))
        self.attention = HistoryAttention(self.output_size, score=score)
        self._fields = (*pattern.state, "history", "steps")

    def forward(
        self, x: Tensor, state: Sequence[Tensor] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run over whole sequences, or chunks of them.

        Args:
            x: (B, T, D).
            state: what a former call returned; nothing seen, by default.
            lengths: (B,) integers in 0..T; whole rows by default.
        Returns:
            outputs (B, T, H), exactly zero past a row's length, and the state after each row's own last step.
        Raises:
            ValueError: shapes that do not fit, or a length outside 0..T; names the row.
        """
        check_input(x, self.input_size)
        ragged = measure_lengths(lengths, x)
        start = self.initial_state(len(x), like=x)
        if state is not None:
            start = check_state(state, start, free=("history",) if self.window is None else ())
        *own, history, steps = start
        inputs = x if ragged is None else ragged.clear(x)
        outputs, last = self._run(inputs, make_state(self._fields[:-2], own), history, steps, ragged)
        taken = steps + (x.shape[1] if ragged is None else ragged.lengths.unsqueeze(1))
        kept = self._newest(torch.cat([history, outputs], 1), steps, taken, history.shape[1])
        return (outputs if ragged is None else ragged.clear(outputs)), make_state(self._fields, [*last, kept, taken])

    def step(self, x: Tensor, state: Sequence[Tensor] | None = None) -> tuple[Tensor, State]:
        """One time step of a stream: x (B, D) to (B, H), and the state to pass with the next step."""
        outputs, final = self(x.unsqueeze(1), state)
        return outputs.squeeze(1), final

    def initial_state(self, batch: int, *, like: Tensor | None = None) -> State:
        """Nothing seen, for ``batch`` rows; of the type and on the device of ``like`` or else of the parameters."""
        own = self.recurrent.initial_state(batch, like=like)
        history = own[0].new_zeros(batch, self.window or 0, self.output_size)
        steps = torch.zeros(batch, 1, dtype=torch.int64, device=history.device)
        return make_state(self._fields, [*own, history, steps])

    def _run(
        self, x: Tensor, own: State, history: Tensor, steps: Tensor, ragged: Ragged | None
    ) -> tuple[Tensor, State]:
        """Outputs (B, T, H), of any value in the padding, and the cell's own state, held from each row's end on."""
        outputs, keys = [], self.attention.keys(history)
        ages = torch.arange(history.shape[1] + x.shape[1], 0, -1, device=x.device)
        for t, inputs in enumerate(x.unbind(1)):
            valid = ages[len(ages) - history.shape[1] :] <= steps.to(torch.int64) + t
            context, _ = self.attention(own[0].squeeze(1), history, valid, keys)
            output, new = self.recurrent.step(torch.cat([inputs, context], -1), own)
            if ragged is not None:
                present = ragged.mask[:, t].view(-1, 1, 1)
                new = new._make(torch.where(present, value, old) for value, old in zip(new, own, strict=True))
            own, entry = new, output.unsqueeze(1)
            forgotten = 0 if self.window is None else 1
            history = torch.cat([history[:, forgotten:], entry], 1)
            keys = torch.cat([keys[:, forgotten:], self.attention.keys(entry)], 1)
            outputs.append(output)
        return torch.stack(outputs, 1) if outputs else x.new_zeros(len(x), 0, self.output_size), own

    def _newest(self, entries: Tensor, before: Tensor, taken: Tensor, known: int) -> Tensor:
        """Of each row's entries, which end ``taken - before`` past the ``known`` ones, the newest: zeros where fewer."""
        count = self.window if self.window is not None else int(taken.max()) if len(taken) else 0
        positions = torch.arange(count, device=entries.device) - count
        index = (known + taken - before + positions).clamp(min=0).to(torch.int64)
        newest = entries.gather(1, index.unsqueeze(-1).expand(-1, -1, entries.shape[-1]))
        return newest.masked_fill((-positions > taken).unsqueeze(-1), 0.0)
