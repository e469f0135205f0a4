"""The network of every classifier: what reads the input, a recurrent encoder, a read-out, scores."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.layers.read_outs import ContextGating, Mean, MixtureOfExperts, ReadOut, build_read_out
from seqloom.layers.read_outs.simple import Running, real_steps
from seqloom.systems.classifier.answers import Answer, Classes, Labels
from seqloom.systems.classifier.config import ClassifierModelConfig
from seqloom.systems.supervised import Network

__all__ = ["ClassifierBatch", "ClassifierNetwork", "Head", "VectorFront"]

_LEAST = 1e-7


@dataclass(frozen=True)
class ClassifierBatch:
    """Sequences that are padded to the longest of them.

    Attributes:
        inputs: (B, T, D) vectors or (B, T) ids; of documents in sentences, (M, T) the words of all their sentences.
        lengths: (B,) steps; of documents in sentences, their sentences.
        targets: (B,) classes, (B, K) labels or values, or (N, K) values of all real steps, one after the other.
        inner: of documents in sentences, (M,) the words of each.
        places: of documents in sentences, (M, 2) the row of each, and which sentence of its document it is.
    """

    inputs: Tensor
    lengths: Tensor
    targets: Tensor | None = None
    inner: Tensor | None = None
    places: Tensor | None = None

    def to(self, device: torch.device | str) -> ClassifierBatch:
        """The same batch on another device."""
        targets = None if self.targets is None else self.targets.to(device)
        inner = None if self.inner is None else self.inner.to(device)
        places = None if self.places is None else self.places.to(device)
        return ClassifierBatch(self.inputs.to(device), self.lengths.to(device), targets, inner, places)

    def cut(self, share: float) -> ClassifierBatch:
        """The first part of each sequence, at least a step of it."""
        seen = (self.lengths * share).ceil().long().clamp(min=1).minimum(self.lengths)
        return replace(self, lengths=seen)


class VectorFront(nn.Module):
    """Vectors as they are, in training with noise.

    Args:
        size: D.
        noise: its standard deviation.
    """

    def __init__(self, size: int, noise: float = 0.0):
        super().__init__()
        self.output_size, self.noise = size, noise

    def forward(self, batch: ClassifierBatch) -> Tensor:
        """(B, T, D)."""
        if self.noise and self.training:
            return batch.inputs + self.noise * torch.randn_like(batch.inputs)
        return batch.inputs


class Head(nn.Module):
    """From encoded steps to scores, and to the loss.

    Args:
        config: read-out and output.
        input_size: D of an encoded step.
        answer: what is answered.
        bidirectional: whether the encoder also reads backwards.
    """

    def __init__(self, config: ClassifierModelConfig, input_size: int, answer: Answer, bidirectional: bool = False):
        super().__init__()
        self.answer, self.smoothing = answer, config.label_smoothing
        self.way = "steps" if answer.stepwise else config.read_out
        self.dropout = nn.Dropout(config.dropout_scores)
        balanced = config.class_weights == "balanced" and isinstance(answer, Classes)
        self.weights: Tensor | None
        self.register_buffer("weights", answer.balanced() if balanced else None, persistent=False)  # type: ignore[attr-defined]
        self.read_out: ReadOut | None = None
        self.gating: nn.Module = nn.Identity()
        size = input_size
        if self.way not in ("steps", "votes", "sum"):
            self.read_out = build_read_out(
                self.way,
                input_size,
                bidirectional=bidirectional,
                attention_size=config.attention_size,
                clusters=config.clusters,
                size=config.pooled_size,
            )
            size = self.read_out.output_size
            if config.context_gating:
                self.gating = ContextGating(size)
        experts = config.experts if isinstance(answer, Classes | Labels) else 0
        self.scores: nn.Module = (
            MixtureOfExperts(size, answer.size, experts, config.context_gating)
            if experts
            else nn.Linear(size, answer.size)
        )

    def forward(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        """(B, K) scores from (B, T, D); (B, T, K) where answers are stepwise."""
        if self.read_out is not None:
            return self._scored(self.read_out(encoded, lengths))
        steps = self._scored(encoded)
        if self.way == "steps":
            return steps
        total = (self._votes(steps) * real_steps(lengths, steps.shape[1])).sum(1)
        return total / lengths.clamp(min=1).unsqueeze(-1) if self.way == "votes" else total

    def vectors(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        """(B, F) what the scores are made of; where every step is scored, the mean of the steps."""
        if self.read_out is not None:
            found: Tensor = self.read_out(encoded, lengths)
            return found
        return (encoded * real_steps(lengths, encoded.shape[1])).sum(1) / lengths.clamp(min=1).unsqueeze(-1)

    def prefixes(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, K) scores after each step, as if the sequence ended there; what they are is up to the encoder."""
        if self.read_out is not None:
            vectors = self.read_out.prefixes(encoded, lengths)
            return self._scored(vectors.flatten(0, 1)).view(*vectors.shape[:2], -1)
        steps = self._scored(encoded)
        if self.way == "steps":
            return steps
        time = steps.shape[1]
        total = (self._votes(steps) * real_steps(lengths, time)).cumsum(1)
        if self.way == "sum":
            return total
        counts = torch.minimum(torch.arange(1, time + 1, device=lengths.device), lengths[:, None])
        return total / counts.clamp(min=1).unsqueeze(-1)

    def push(self, encoded: Tensor, seen: Running) -> tuple[Tensor, Running]:
        """(n, K) scores after each of n more encoded steps (n, D) of one sequence, and what has been seen then.

        Raises:
            ConfigError: the read-out needs the whole sequence.
        """
        if self.read_out is not None:
            vectors, seen = self.read_out.push(encoded, seen)
            return self._scored(vectors), seen
        steps = self._scored(encoded)
        if self.way == "steps":
            return steps, None
        mean = Mean(self.answer.size)
        means, seen = mean.push(self._votes(steps), seen)
        if self.way == "votes" or seen is None:
            return means, seen
        counts = seen[1] - torch.arange(len(steps) - 1, -1, -1)
        return (means * counts.unsqueeze(-1)).to(means.dtype), seen

    def loss(self, scores: Tensor, batch: ClassifierBatch) -> Tensor:
        """The mean loss over the rows, or over the steps, of scores that `forward` gave."""
        if batch.targets is None:
            raise ValueError("a loss needs targets, and the batch has none")
        weights = self.weights
        if self.way == "steps":
            scores = scores[real_steps(batch.lengths, scores.shape[1]).squeeze(-1)]
        elif self.way == "votes" and isinstance(self.answer, Classes):
            # Votes are means of logarithms of probabilities, which is what the loss of each step is made of: normalising
            # them once more, as cross-entropy does, would be another loss.
            losses = -scores.gather(-1, batch.targets.unsqueeze(-1)).squeeze(-1)
            losses = (1 - self.smoothing) * losses - self.smoothing * scores.mean(-1)
            return (losses if weights is None else losses * weights[batch.targets]).mean()
        return self.answer.loss(scores, batch.targets, smoothing=self.smoothing, weights=weights)

    def _votes(self, steps: Tensor) -> Tensor:
        return F.log_softmax(steps, -1) if self.way == "votes" and isinstance(self.answer, Classes) else steps

    def _scored(self, rows: Tensor) -> Tensor:
        rows = self.dropout(self.gating(rows))
        scores: Tensor = self.scores(rows)
        if isinstance(self.scores, MixtureOfExperts):
            probabilities = scores.clamp(_LEAST, 1 - _LEAST)
            # Of one class, the scores are such that softmax gives the shares of the probabilities; of several, their logits.
            return probabilities.log() if isinstance(self.answer, Classes) else probabilities.logit()
        return scores


class ClassifierNetwork(Network):
    """What reads the input, an encoder, and a head.

    Args:
        front: gives (B, T, D) vectors of a batch.
        encoder: gives (B, T, H) of these, as layers do.
        head: gives scores.
    """

    def __init__(self, front: nn.Module, encoder: nn.Module, head: Head):
        super().__init__()
        self.front, self.encoder, self.head = front, encoder, head

    def encode(self, batch: ClassifierBatch) -> Tensor:
        """(B, T, H) encoded steps."""
        encoded: Tensor = self.encoder(self.front(batch), lengths=batch.lengths)[0]
        return encoded

    def scores(self, batch: ClassifierBatch) -> Tensor:
        """(B, K), or (B, T, K) where answers are stepwise."""
        found: Tensor = self.head(self.encode(batch), batch.lengths)
        return found

    def prefix_scores(self, batch: ClassifierBatch) -> Tensor:
        """(B, T, K) after each step, as if the sequence ended there: exact for an encoder that reads forwards only."""
        return self.head.prefixes(self.encode(batch), batch.lengths)

    def forward(self, batch: ClassifierBatch) -> Tensor:
        """The mean loss of a batch, in nats of classes."""
        return self.head.loss(self.scores(batch), batch)

    def terms(self, batch: ClassifierBatch) -> float:
        """Sequences, or steps where answers are stepwise."""
        return float(batch.lengths.sum()) if self.head.way == "steps" else float(len(batch.lengths))
