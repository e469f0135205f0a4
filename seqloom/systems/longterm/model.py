"""The network on a task, and the model that a directory keeps: an encoder and one linear read-out."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from seqloom.errors import ModelError
from seqloom.synthetic.tasks import SequenceTask, Split, Tally, make_task, settings
from seqloom.systems.card import model_card
from seqloom.systems.directory import ModelDirectory, fill_model, write_model
from seqloom.systems.longterm.config import LongtermModelConfig
from seqloom.systems.longterm.encoder import build_encoder

__all__ = ["LongtermModel", "LongtermNetwork"]


class LongtermNetwork(nn.Module):
    """An encoder and a linear read-out.

    Args:
        config: the encoder and its size.
        task: gives the sizes of input and output, and where the answer is read.
    """

    def __init__(self, config: LongtermModelConfig, task: SequenceTask):
        super().__init__()
        self.answer = task.answer
        self.encoder = build_encoder(
            config.cell,
            task.input_size,
            config.hidden_size,
            layers=config.layers,
            longest=task.longest,
            backend=config.backend,
        )
        self.read_out = nn.Linear(int(self.encoder.output_size), task.output_size)  # type: ignore[arg-type]

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Answers (B, K) after the last steps or (B, T, K) after all, to inputs (B, T, D) of lengths (B,), none of them 0."""
        time = inputs.shape[1]
        even = int(lengths.min()) == time if len(lengths) else True
        outputs, _ = self.encoder(inputs, lengths=None if even else lengths)
        if self.answer == "last":
            rows = torch.arange(len(lengths), device=inputs.device)
            outputs = outputs[:, -1] if even else outputs[rows, lengths - 1]
        answers: Tensor = self.read_out(outputs)
        return answers


class LongtermModel:
    """A recurrent network on a pathological task.

    Args:
        config: encoder and size.
        task: what it answers.

    Attributes:
        about: how the model was made.
    """

    system = "longterm"

    def __init__(self, config: LongtermModelConfig, task: SequenceTask):
        self.config, self.task = config, task
        self.about: dict[str, Any] = {}
        self.network = LongtermNetwork(config, task)

    def answer(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """The network's raw answers, without gradients."""
        training = self.network.training
        self.network.eval()
        try:
            with torch.no_grad():
                answers: Tensor = self.network(inputs, lengths)
                return answers
        finally:
            self.network.train(training)

    def score(self, split: Split, count: int, task: SequenceTask | None = None) -> dict[str, float]:
        """Loss and share of wrong sequences on the held-out sequences of a split.

        Args:
            count: at most so many sequences.
            task: another length or variant of the model's own task.
        """
        task = task or self.task
        tally = Tally(task)
        for batch in task.held_out(split, count):
            tally.add(self.answer(batch.inputs, batch.lengths), batch)
        return tally.metrics()

    def fill(self, directory: Path) -> None:
        """Writes the files of the model into an existing, empty directory."""
        card = model_card(
            f"{self.config.cell} on the task {self.task.name}",
            (type(self.task).__doc__ or "").split("\n")[0],
            self.about,
            f"```\nseqloom evaluate MODEL {self.task.name}\n```",
        )
        config = {
            "system": self.system,
            "model": dataclasses.asdict(self.config),
            "task": {"name": self.task.name, **settings(self.task)},
            "about": self.about,
        }
        tensors = {name: value.detach().cpu().numpy() for name, value in self.network.state_dict().items()}
        fill_model(directory, config, tensors, card, lambda folder: None)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model directory; a reader finds the old one or the new one, never half of one."""
        write_model(path, self.fill)

    @classmethod
    def from_directory(cls, directory: ModelDirectory) -> Self:
        """The model of a directory.

        Raises:
            ModelError: the configuration or the weights are damaged.
        """
        where = directory.path / "config.yaml"
        described = dict(directory.setting("task"))
        try:
            task = make_task(str(described.pop("name")), options=described)
            model = cls(LongtermModelConfig(**directory.setting("model")), task)
        except (TypeError, KeyError) as error:
            raise ModelError(f"{where}: 'model' or 'task' is damaged ({error})") from None
        model.about = directory.config.get("about", {})
        expected, weights = model.network.state_dict(), directory.path / "weights.safetensors"
        for name, tensor in expected.items():
            found = directory.tensors.get(name)
            if found is None or found.shape != tuple(tensor.shape):
                raise ModelError(f"{weights}: '{name}' is missing or has another shape than {tuple(tensor.shape)}")
        model.network.load_state_dict({name: torch.from_numpy(directory.tensors[name]) for name in expected})
        model.network.eval()
        return model
