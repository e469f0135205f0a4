"""The network on a generated task: an encoder and one linear read-out, after the last step or after each."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from seqloom.layers.encoder import EncoderConfig, build_encoder
from seqloom.synthetic.tasks import SequenceTask, Tally, TaskBatch

__all__ = ["TaskNetwork", "score"]


class TaskNetwork(nn.Module):
    """An encoder and a linear read-out.

    Args:
        config: the encoder.
        task: gives the sizes of input and output, the loss, and where the answer is read.
    """

    def __init__(self, config: EncoderConfig, task: SequenceTask):
        super().__init__()
        self.task = task
        self.encoder = build_encoder(config, task.input_size, longest=task.longest)
        self.read_out = nn.Linear(self.encoder.output_size, task.output_size)

    def forward(self, batch: TaskBatch) -> Tensor:
        """Loss to be minimised: the task's own, the mean over the answers that `terms` counts."""
        return self.task.loss(self.outputs(batch.inputs, batch.lengths), batch)

    def terms(self, batch: TaskBatch) -> float:
        """Answers that are asked for."""
        return float(self.task.terms(batch))

    def outputs(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Scores (B, K) after the last steps or (B, T, K) after all, of inputs (B, T, D) of lengths (B,), none of them 0."""
        time = inputs.shape[1]
        even = int(lengths.min()) == time if len(lengths) else True
        outputs, _ = self.encoder(inputs, lengths=None if even else lengths)
        if self.task.answer == "last":
            rows = torch.arange(len(lengths), device=inputs.device)
            outputs = outputs[:, -1] if even else outputs[rows, lengths - 1]
        scores: Tensor = self.read_out(outputs)
        return scores

    def answer(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """The outputs in evaluation, without gradients."""
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                return self.outputs(inputs, lengths)
        finally:
            self.train(training)


def score(network: TaskNetwork, batches: Iterable[TaskBatch], task: SequenceTask | None = None) -> dict[str, float]:
    """Loss, share of wrong sequences and accuracy.

    Args:
        batches: sequences with their answers.
        task: another length or variant of the network's own task, whose sequences they are.
    """
    tally = Tally(task or network.task)
    for batch in batches:
        tally.add(network.answer(batch.inputs, batch.lengths), batch)
    return tally.metrics()
