"""What can be configured about an encoder, alike in every recipe. No torch here: the command line reads this for its help."""

from dataclasses import dataclass, fields
from typing import Any, Literal

from seqloom.errors import ConfigError

__all__ = ["Arrangement", "EncoderConfig"]

MOST_UNITS, MOST_LAYERS = 1_000_000, 1000
"""What no machine holds, or nobody trains: a slip of the keyboard gets a sentence instead of hours."""

_PROBABILITIES = ("dropout_input", "dropout", "dropout_output", "dropout_state", "zoneout", "weight_drop")

Arrangement = Literal["plain", "dilated", "block"]

# What only some arrangements can do; all can drop inputs, outputs, and between their layers.
_ONLY: dict[str, tuple[Arrangement, ...]] = {
    "bidirectional": ("plain", "block"),
    "merge": ("plain",),
    "residual": ("plain",),
    "highway": ("plain",),
    "variational": ("plain",),
    "dropout_state": ("plain",),
    "zoneout": ("plain",),
    "weight_drop": ("plain",),
    "weight_noise": ("plain",),
    "batch_norm": ("plain",),
}


@dataclass(frozen=True)
class EncoderConfig:
    """A recurrent encoder: sequences in, a vector for each step out.

    Args:
        cell: a cell's name (``seqloom cells`` lists them). ``dilated_``, ``block_`` or ``plain_`` before it says the
            arrangement, and ``chrono_`` before it or before these what ``chrono`` does.
        hidden_size: units of a layer, in each direction.
        layers: recurrent layers; 0 takes the usual number of the arrangement: 1 plain, 6 dilated, 2 blocks.
        arrangement: a ``plain`` stack, a ``dilated`` one whose layers look 1, 2, 4 and more steps back, or a ``block`` stack
            of norm, recurrence and gated linear unit, with residuals. ``auto`` takes what the cell's name says, else blocks
            for recurrences whose papers put them in blocks, else a plain stack.
        bidirectional: read each sequence from both ends.
        merge: how the two directions become one output: side by side, their sum, or their mean.
        residual: add a layer's input to its output from the second layer on, or from the layer of this number.
        highway: a gate mixes a layer's output with its input; a number is what its bias begins with.
        dropout_input: dropout on what the encoder reads.
        dropout: dropout between recurrent layers.
        dropout_output: dropout on the encoder's output.
        variational: draw one mask for all steps of a sequence in these three.
        dropout_state: dropout on the recurrent state, one mask for each sequence.
        zoneout: probability that a unit of the state keeps its old value in a step. One for all states, or by their names,
            as {h: 0.05, c: 0.5}.
        weight_drop: probability of dropping an entry of a recurrent matrix in an update.
        weight_noise: standard deviation of what is added to each weight in an update.
        batch_norm: normalise the products of the input over all steps of a batch.
        chrono: begin with gates whose time constants are spread over so many steps. ``true`` takes the length of the
            sequences where that is known beforehand, as it is of generated ones.
        backend: what runs the recurrence; ``auto`` takes the fastest that is right.

    Raises:
        ConfigError: a value is out of range, or the arrangement cannot do what is asked.
    """

    cell: str = "lstm"
    hidden_size: int = 128
    layers: int = 0
    arrangement: Literal["auto", "plain", "dilated", "block"] = "auto"
    bidirectional: bool = False
    merge: Literal["concat", "sum", "mean"] = "concat"
    residual: bool | int = False
    highway: bool | float = False
    dropout_input: float = 0.0
    dropout: float = 0.0
    dropout_output: float = 0.0
    variational: bool = False
    dropout_state: float = 0.0
    zoneout: float | dict[str, float] = 0.0
    weight_drop: float = 0.0
    weight_noise: float = 0.0
    batch_norm: bool = False
    chrono: bool | int = False
    backend: str = "auto"

    def __post_init__(self) -> None:
        if not 1 <= self.hidden_size <= MOST_UNITS:
            raise ConfigError(f"model.hidden_size is {self.hidden_size}, expected at least 1 and at most {MOST_UNITS}")
        if not 0 <= self.layers <= MOST_LAYERS:
            raise ConfigError(f"model.layers is {self.layers}, expected at least 0 and at most {MOST_LAYERS}")
        for name in _PROBABILITIES:
            chances = getattr(self, name)
            for value in chances.values() if isinstance(chances, dict) else (chances,):
                if not 0.0 <= value <= 1.0:
                    raise ConfigError(f"model.{name} is {value}; expected a probability from 0 to 1")
        if self.chrono < 0:
            raise ConfigError(f"model.chrono is {self.chrono}, expected true, false or a number of steps")
        if self.arrangement != "auto":
            self.check_arrangement(self.arrangement)

    def check_arrangement(self, arrangement: Arrangement) -> None:
        """Refuses what an arrangement cannot do.

        Raises:
            ConfigError: names the key.
        """
        for name, able in _ONLY.items():
            value = getattr(self, name)
            if arrangement not in able and value != _NEUTRAL[name]:
                raise ConfigError(
                    f"model.{name} is {_shown(value)}, which {' and '.join(able)} encoders can do, but this one is "
                    f"{arrangement}; set it to {_shown(_NEUTRAL[name])}, or model.arrangement to {able[0]}"
                )


# In EncoderConfig itself each of these keys asks for nothing.
_NEUTRAL: dict[str, Any] = {field.name: field.default for field in fields(EncoderConfig)}


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
