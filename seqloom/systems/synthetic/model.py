"""The model that a directory keeps: an encoder and one linear read-out, and the task that it answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Self

import torch
from torch import Tensor

from seqloom.errors import DataError, ModelError
from seqloom.layers.encoder_stream import EncoderStream
from seqloom.synthetic.network import TaskNetwork
from seqloom.synthetic.tasks import SequenceTask, make_task, settings
from seqloom.systems.saved import Contents, ModelDirectory, SavedModel, check_fit, load_weights, weights_of
from seqloom.systems.synthetic.config import SyntheticModelConfig

__all__ = ["AnswerStream", "SyntheticModel"]


class SyntheticModel(SavedModel):
    """A recurrent network on a generated task.

    Args:
        config: its encoder.
        task: what it answers.
    """

    system = "synthetic"

    def __init__(self, config: SyntheticModelConfig, task: SequenceTask):
        super().__init__()
        self.config, self.task = config, task
        self.network = TaskNetwork(config, task)

    def outputs(self, steps: Any, where: str) -> Tensor:
        """(K,) or (T, K) raw outputs for one sequence of T steps, each of D numbers: a list, an array or a tensor.

        Raises:
            DataError: it is no such sequence; ``where`` says which.
        """
        inputs = _sequence(steps, self.task.input_size, where)
        return self.network.answer(inputs.unsqueeze(0), torch.tensor([len(inputs)]))[0]

    def decode(self, outputs: Tensor) -> Any:
        """Real numbers as they are, or the class; for each step, where outputs are."""
        return outputs.tolist() if self.task.kind == "real" else outputs.argmax(-1).tolist()

    def predict(self, sequences: Sequence[Any]) -> list[Any]:
        """The answer to each sequence, which is T steps of D numbers: the numbers or the class, or one for each step.

        Raises:
            DataError: a sequence is not of that form; names it.
        """
        if not isinstance(sequences, Iterable):
            raise DataError(f"{sequences!r:.60} is given where sequences are expected, as a list")
        return [self.decode(self.outputs(steps, f"sequences[{position}]")) for position, steps in enumerate(sequences)]

    def stream(self) -> AnswerStream:
        """A stream at its start.

        Raises:
            ConfigError: the encoder is bidirectional.
        """
        return AnswerStream(self)

    def contents(self) -> Contents:
        """Encoder, task and weights."""
        return Contents(
            config={"model": asdict(self.config), "task": {"name": self.task.name, **settings(self.task)}},
            tensors=weights_of(self.network),
            title=f"{self.config.cell} on the task {self.task.name}",
            purpose=(type(self.task).__doc__ or "").split("\n")[0],
            usage=f"```\nseqloom evaluate MODEL {self.task.name}\n```",
        )

    @classmethod
    def from_directory(cls, directory: ModelDirectory) -> Self:
        """The model of a directory.

        Raises:
            ModelError: the configuration or the weights are damaged.
        """
        described = dict(directory.section("task"))
        if not isinstance(described.get("name"), str):
            raise ModelError(f"{directory.path / 'config.yaml'}: 'task' has no name; the model directory is damaged")
        task = make_task(described.pop("name"), options=described)
        config = directory.built("model", SyntheticModelConfig)
        check_fit(directory, lambda: TaskNetwork(config, task))
        model = cls(config, task)
        load_weights(model.network, directory)
        return model


class AnswerStream:
    """A model at work on the steps of one sequence as they come."""

    def __init__(self, model: SyntheticModel):
        self._model, self._encoder = model, EncoderStream(model.network.encoder)

    def push(self, chunk: Any) -> list[Any]:
        """The answer after each of these steps (D numbers each): what it is if the sequence ends there.

        Raises:
            DataError: these are no such steps.
        """
        steps = _sequence(chunk, self._model.task.input_size, "chunk", empty=True)
        with torch.no_grad():
            outputs = self._model.network.read_out(self._encoder.push(steps))
        return [self._model.decode(one) for one in outputs]

    def close(self) -> list[Any]:
        """Nothing: every step is answered when it comes."""
        return []


def _sequence(steps: Any, size: int, where: str, *, empty: bool = False) -> Tensor:
    """(T, D) of one sequence."""
    expected = f"expected a list of steps, each a list of {size} numbers"
    try:
        values = torch.as_tensor(steps, dtype=torch.float32)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise DataError(f"{where}: not a sequence ({error}); {expected}") from None
    if empty and not values.numel():
        return values.new_zeros(0, size)
    if values.dim() != 2 or values.shape[1] != size or not len(values):
        raise DataError(f"{where}: numbers of the shape {tuple(values.shape)}; {expected}")
    return values
