"""The network of every tagger: embedded features, a recurrent encoder, a score per tag, and a CRF or softmax on top."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.data.vocabulary import IGNORED
from seqloom.layers.embedding import SparseEmbedding
from seqloom.layers.encoder import build_encoder
from seqloom.losses.constraints import Constraints
from seqloom.losses.crf import LinearChainCRF
from seqloom.systems.supervised import Network
from seqloom.systems.tagger.config import TaggerModelConfig
from seqloom.systems.tagger.encoding import TaggerBatch
from seqloom.systems.tagger.spelling import SpellingConvolution, SpellingRecurrence, build_spelling

__all__ = ["TaggerNetwork"]


class SentenceScores(nn.Module):
    """Scores of the labels of a whole sentence, from the mean and the maximum of what encodes its tokens.

    Args:
        size: D of an encoded token.
        labels: number of labels L.
    """

    def __init__(self, size: int, labels: int):
        super().__init__()
        self.scores = nn.Linear(2 * size, labels)

    def forward(self, encoded: Tensor, lengths: Tensor) -> Tensor:
        """(B, L) scores from (B, T, D); a sentence without tokens has those of zeros."""
        real = (torch.arange(encoded.shape[1], device=encoded.device) < lengths[:, None]).unsqueeze(-1)
        mean = (encoded * real).sum(1) / lengths.clamp(min=1).unsqueeze(-1)
        highest = mean
        if encoded.shape[1]:
            empty = (lengths == 0).unsqueeze(-1)
            highest = encoded.masked_fill(~real, -torch.inf).amax(1).masked_fill(empty, 0.0)
        scores: Tensor = self.scores(torch.cat([mean, highest], -1))
        return scores


class TaggerNetwork(Network):
    """Embeddings, encoder and output layer of a tagger (Huang et al. 2015; Lample et al. 2016).

    Args:
        config: sizes and dropout.
        table_sizes: feature -> rows of its table.
        constraints: which tags may begin, follow each other, and end.
        tags: number of tags K.
        labels: number of labels of whole sentences; 0 predicts none.
    """

    def __init__(
        self,
        config: TaggerModelConfig,
        table_sizes: Mapping[str, int],
        constraints: Constraints,
        tags: int,
        labels: int = 0,
    ):
        super().__init__()
        self.output = config.output
        self.embeddings = nn.ModuleDict(
            {
                name: SparseEmbedding(rows, config.features[name])
                for name, rows in table_sizes.items()
                if name != "characters"
            }
        )
        width = sum(config.features[name] for name in self.embeddings)
        self.spelling: SpellingRecurrence | SpellingConvolution | None = None
        if "characters" in table_sizes:
            self.spelling = build_spelling(table_sizes["characters"], config)
            width += self.spelling.output_size
        self.encoder = build_encoder(config, width)
        size = self.encoder.output_size
        self.hidden = nn.Linear(size, config.hidden_scores) if config.hidden_scores else None
        self.scores = nn.Linear(config.hidden_scores or size, tags)
        self.sentence_scores = SentenceScores(size, labels) if labels else None
        self.crf = LinearChainCRF(tags, legal=constraints)
        if config.output == "softmax":
            # The potentials stay zero where legal: decoding is then the best legal sequence of independent scores.
            for parameter in self.crf.parameters():
                nn.init.zeros_(parameter).requires_grad_(False)

    def emissions(self, batch: TaggerBatch) -> Tensor:
        """(B, T, K) unnormalised scores of the tags; zero-length rows are legal."""
        return self.outputs(batch)[0]

    def outputs(self, batch: TaggerBatch) -> tuple[Tensor, Tensor | None]:
        """(B, T, K) unnormalised scores of the tags and, where sentences have labels, (B, L) of these."""
        parts = [embedding(batch.ids[name]) for name, embedding in self.embeddings.items()]
        if self.spelling is not None and batch.spelling is not None:
            parts.append(F.embedding(batch.spelling.index, self.spelling(batch.spelling)))
        encoded, _ = self.encoder(torch.cat(parts, dim=-1), lengths=batch.lengths)
        labels = None if self.sentence_scores is None else self.sentence_scores(encoded, batch.lengths)
        hidden = encoded if self.hidden is None else torch.tanh(self.hidden(encoded))
        return self.scores(hidden), labels

    def forward(self, batch: TaggerBatch) -> Tensor:
        """Loss to be minimised: nats per sentence under a CRF, nats per token under a softmax; the mean over the batch.

        The nats of the labels of sentences are among them.
        """
        emissions, labels = self.outputs(batch)
        if batch.targets is None:
            raise ValueError("a loss needs tags, and the batch has none")
        if self.output == "crf":
            loss: Tensor = self.crf(emissions, batch.targets, batch.lengths).mean()
        else:
            real = torch.arange(emissions.shape[1], device=emissions.device) < batch.lengths[:, None]
            loss = F.cross_entropy(emissions[real], batch.targets[real])
        if labels is None or batch.labels is None:
            return loss
        terms = len(batch.lengths) if self.output == "crf" else batch.lengths.sum().clamp(min=1)
        return loss + F.cross_entropy(labels, batch.labels, ignore_index=IGNORED, reduction="sum") / terms

    def terms(self, batch: TaggerBatch) -> float:
        """Sentences under a CRF, tokens under a softmax."""
        return float(len(batch.lengths)) if self.output == "crf" else float(batch.lengths.sum())
