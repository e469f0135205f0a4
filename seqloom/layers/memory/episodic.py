"""A store of key-value pairs with a fixed number of slots, read by similarity, apart from any parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from seqloom.errors import ConfigError
from seqloom.layers.memory.steps import check_input, check_state, masked_softmax, run_steps
from seqloom.layers.options import check_choice, check_count
from seqloom.layers.state import State, make_state

__all__ = ["EpisodicMemory", "KeyValueStore"]

_FIELDS = ("keys", "values", "strength", "written", "usage", "clock")


@dataclass(frozen=True)
class KeyValueStore:
    """The rules of a store; its content is a state, which ``write`` and ``read`` take and hand back.

    Reading answers a query q with ``sum of w_j v_j``, ``w = softmax(sharpness * k_j . q + log strength_j)`` over the
    slots that hold a pair, or the ``top_k`` best of them; with ``top_k=1`` the value of the nearest key. Writing fills
    empty slots first and then replaces the pair that is oldest, or least used: usage is the sum of the weights with which
    a pair was read, each counting less by ``decay`` with every step; a new pair begins with 1.

    The state: ``keys`` (B, N, K), ``values`` (B, N, V), ``strength`` and ``usage`` (B, N), ``written`` (B, N) the step in
    which a pair came, negative where a slot is empty, and ``clock`` (B, 1) the steps so far.

    Args:
        slots: N.
        key_size: K.
        value_size: V.
        sharpness: factor of the scores; the larger, the nearer to the nearest key.
        top_k: how many slots take part in an answer; all where None.
        eviction: ``age`` or ``use``.
        decay: of usage, for each step.

    >>> store = KeyValueStore(slots=4, key_size=2, value_size=1, sharpness=50.0)
    >>> state = store.write(store.empty(1), torch.tensor([[1.0, 0.0]]), torch.tensor([[7.0]]))
    >>> state = store.write(state, torch.tensor([[0.0, 1.0]]), torch.tensor([[9.0]]))
    >>> store.read(state, torch.tensor([[0.0, 1.0]]))[0]
    tensor([[9.]])

    Raises:
        ConfigError: a number out of range or an unknown choice.
    """

    slots: int
    key_size: int
    value_size: int
    sharpness: float = 1.0
    top_k: int | None = None
    eviction: Literal["age", "use"] = "age"
    decay: float = 0.99

    def __post_init__(self) -> None:
        for name in ("slots", "key_size", "value_size"):
            check_count(name, getattr(self, name))
        check_choice("eviction", self.eviction, ("age", "use"))
        if not 0.0 < self.sharpness < float("inf"):
            raise ConfigError(f"sharpness is {self.sharpness!r}; expected a positive number (top_k=1 is its limit)")
        if not 0.0 <= self.decay <= 1.0:
            raise ConfigError(f"decay is {self.decay!r}; expected a number from 0 to 1")
        if self.top_k is not None and check_count("top_k", self.top_k) > self.slots:
            raise ConfigError(f"top_k is {self.top_k} but the store has {self.slots} slots")

    def empty(self, batch: int, *, like: Tensor | None = None) -> State:
        """A store without pairs for ``batch`` rows, of the type and on the device of ``like``."""
        source = torch.zeros(()) if like is None else like
        numbers = source.new_zeros(batch, self.slots)
        # The empty slots fill in order: the smallest number is the next to be written.
        unwritten = (torch.arange(self.slots, device=source.device) - self.slots).repeat(batch, 1)
        clock = torch.zeros(batch, 1, dtype=torch.int64, device=source.device)
        keys = source.new_zeros(batch, self.slots, self.key_size)
        values = source.new_zeros(batch, self.slots, self.value_size)
        return make_state(_FIELDS, [keys, values, numbers, unwritten, numbers, clock])

    def write(self, state: State, key: Tensor, value: Tensor, gate: Tensor | None = None) -> State:
        """Store a pair in each row whose gate fires, and go on by a step.

        Args:
            state: of the store.
            key: (B, K).
            value: (B, V).
            gate: (B,) in 0..1, which fires above 1/2 and then is the pair's strength, through which it is trained;
                without one, every row writes with strength 1.
        """
        idle = torch.where(state.written < 0, state.written.to(state.usage.dtype), state.usage)
        slot = (state.written if self.eviction == "age" else idle).argmin(1, keepdim=True)
        chosen = torch.zeros_like(state.written, dtype=torch.bool).scatter(1, slot, True)
        strength = torch.ones_like(state.strength[:, :1]) if gate is None else gate.unsqueeze(1)
        chosen = chosen & (strength > 0.5)
        return make_state(
            _FIELDS,
            [
                torch.where(chosen.unsqueeze(-1), key.unsqueeze(1), state.keys),
                torch.where(chosen.unsqueeze(-1), value.unsqueeze(1), state.values),
                torch.where(chosen, strength, state.strength),
                torch.where(chosen, state.clock, state.written),
                torch.where(chosen, 1.0, state.usage * self.decay),
                state.clock + 1,
            ],
        )

    def read(self, state: State, query: Tensor) -> tuple[Tensor, State]:
        """What the store holds near a query (B, K): (B, V), zero where it is empty, and the state with its usage."""
        weights = self.weights(state, query)
        answer = torch.bmm(weights.unsqueeze(1), state.values).squeeze(1)
        usage = state.usage + weights.detach()
        return answer, make_state(_FIELDS, [usage if name == "usage" else state[at] for at, name in enumerate(_FIELDS)])

    def weights(self, state: State, query: Tensor) -> Tensor:
        """(B, N) how much each slot has in the answer to a query (B, K)."""
        valid = state.written >= 0
        similarity = torch.bmm(state.keys, query.unsqueeze(-1)).squeeze(-1)
        scores = self.sharpness * similarity + torch.where(valid, state.strength, 1.0).log()
        if self.top_k is not None:
            best = scores.masked_fill(~valid, float("-inf")).topk(self.top_k, dim=1).indices
            valid = valid & torch.zeros_like(valid).scatter(1, best, True)
        return masked_softmax(scores, valid)


class EpisodicMemory(nn.Module):
    """A layer over a :class:`KeyValueStore`: each step asks it, and then tells it a pair, all projections of the input.

    Outputs are the answers (B, T, V): what was stored before a step, zero at the first.

    Args:
        input_size: features D of the input.
        store: its rules.
        gated: whether a learned gate decides about writing; else every step writes.

    >>> memory = EpisodicMemory(3, KeyValueStore(slots=8, key_size=4, value_size=5))
    >>> answers, state = memory(torch.zeros(2, 6, 3))
    >>> answers.shape, state.keys.shape, state.clock.tolist()
    (torch.Size([2, 6, 5]), torch.Size([2, 8, 4]), [[6], [6]])
    """

    def __init__(self, input_size: int, store: KeyValueStore, *, gated: bool = False) -> None:
        super().__init__()
        self.input_size, self.store, self.output_size = check_count("input_size", input_size), store, store.value_size
        self.query = nn.Linear(input_size, store.key_size)
        self.key = nn.Linear(input_size, store.key_size)
        self.value = nn.Linear(input_size, store.value_size)
        self.gate = nn.Linear(input_size, 1) if gated else None

    def forward(
        self, x: Tensor, state: Sequence[Tensor] | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Run over whole sequences, or chunks of them.

        Args:
            x: (B, T, D).
            state: what a former call returned; an empty store by default.
            lengths: (B,) integers in 0..T; whole rows by default.
        Returns:
            answers (B, T, V), exactly zero past a row's length, and the store after each row's own last step.
        Raises:
            ValueError: shapes that do not fit, or a length outside 0..T; names the row.
        """
        check_input(x, self.input_size)
        return run_steps(self._step, x, self._begin(state, x), lengths, self.output_size)

    def step(self, x: Tensor, state: Sequence[Tensor] | None = None) -> tuple[Tensor, State]:
        """One time step of a stream: x (B, D) to (B, V), and the state to pass with the next step."""
        check_input(x.unsqueeze(1), self.input_size)
        return self._step(x, self._begin(state, x))

    def initial_state(self, batch: int, *, like: Tensor | None = None) -> State:
        """An empty store for ``batch`` rows, of the type and on the device of ``like`` or else of the parameters."""
        return self.store.empty(batch, like=self.key.weight if like is None else like)

    def _begin(self, state: Sequence[Tensor] | None, x: Tensor) -> State:
        empty = self.initial_state(len(x), like=x)
        return empty if state is None else check_state(state, empty)

    def _step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        answer, state = self.store.read(state, self.query(x))
        gate = None if self.gate is None else self.gate(x).sigmoid().squeeze(-1)
        return answer, self.store.write(state, self.key(x), self.value(x), gate)
