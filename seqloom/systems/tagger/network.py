"""The network of every tagger: embedded features, a recurrent encoder, a score per tag, and a CRF or softmax on top."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.layers.dropout import Dropout
from seqloom.layers.embedding import SparseEmbedding
from seqloom.layers.recurrent import Recurrent
from seqloom.losses.constraints import Constraints
from seqloom.losses.crf import LinearChainCRF
from seqloom.systems.tagger.config import TaggerModelConfig
from seqloom.systems.tagger.encoding import Spelling, TaggerBatch

__all__ = ["TaggerNetwork"]


class SpellingEncoder(nn.Module):
    """A vector for a token from its characters: the two final states of a bidirectional LSTM (Lample et al. 2016).

    Args:
        characters: rows of the character table.
        size: size of the vector, half from each direction.
    """

    def __init__(self, characters: int, size: int, backend: str):
        super().__init__()
        self.embedding = nn.Embedding(characters, 25, padding_idx=0)
        self.recurrent = Recurrent("lstm", 25, max(1, size // 2), bidirectional=True, backend=backend)
        self.output_size = 2 * max(1, size // 2)

    def forward(self, spelling: Spelling) -> Tensor:
        """(B, T, size) vectors of the tokens of a batch."""
        _, state = self.recurrent(self.embedding(spelling.ids), lengths=spelling.lengths)
        vectors: Tensor = state[0].flatten(1)[spelling.index]
        return vectors


class TaggerNetwork(nn.Module):
    """Embeddings, encoder and output layer of a tagger (Huang et al. 2015; Lample et al. 2016).

    Args:
        config: sizes and dropout.
        table_sizes: feature -> rows of its table.
        constraints: which tags may begin, follow each other, and end.
        tags: number of tags K.
    """

    def __init__(self, config: TaggerModelConfig, table_sizes: Mapping[str, int], constraints: Constraints, tags: int):
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
        self.spelling: SpellingEncoder | None = None
        if "characters" in table_sizes:
            self.spelling = SpellingEncoder(table_sizes["characters"], config.features["characters"], config.backend)
            width += self.spelling.output_size
        self.dropout_input = Dropout(config.dropout_input)
        self.encoder = Recurrent(
            config.cell,
            width,
            config.hidden_size,
            layers=config.layers,
            bidirectional=config.bidirectional,
            residual=config.residual,
            dropout=config.dropout,
            dropout_state=config.dropout_state,
            backend=config.backend,
        )
        self.dropout_output = Dropout(config.dropout_output)
        self.scores = nn.Linear(config.hidden_size * (2 if config.bidirectional else 1), tags)
        self.crf = LinearChainCRF(tags, legal=constraints)
        if config.output == "softmax":
            # The potentials stay zero where legal: decoding is then the best legal sequence of independent scores.
            for parameter in self.crf.parameters():
                nn.init.zeros_(parameter).requires_grad_(False)

    def emissions(self, batch: TaggerBatch) -> Tensor:
        """(B, T, K) unnormalised scores of the tags; zero-length rows are legal."""
        parts = [embedding(batch.ids[name]) for name, embedding in self.embeddings.items()]
        if self.spelling is not None and batch.spelling is not None:
            parts.append(self.spelling(batch.spelling))
        encoded, _ = self.encoder(self.dropout_input(torch.cat(parts, dim=-1)), lengths=batch.lengths)
        scores: Tensor = self.scores(self.dropout_output(encoded))
        return scores

    def forward(self, batch: TaggerBatch) -> Tensor:
        """Loss to be minimised: nats per sentence under a CRF, nats per token under a softmax; the mean over the batch."""
        emissions = self.emissions(batch)
        if batch.targets is None:
            raise ValueError("a loss needs tags, and the batch has none")
        if self.output == "crf":
            loss: Tensor = self.crf(emissions, batch.targets, batch.lengths).mean()
            return loss
        real = torch.arange(emissions.shape[1], device=emissions.device) < batch.lengths[:, None]
        return F.cross_entropy(emissions[real], batch.targets[real])
