"""Vectors of tokens from their characters, computed once for each distinct token of a batch."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.errors import ConfigError
from seqloom.layers.dropout import Dropout
from seqloom.layers.recurrent import Recurrent
from seqloom.systems.tagger.config import TaggerModelConfig
from seqloom.systems.tagger.encoding import Spelling

__all__ = ["SpellingConvolution", "SpellingRecurrence", "build_spelling"]


class SpellingRecurrence(nn.Module):
    """The two final states of a bidirectional LSTM over a token's characters (Lample et al. 2016, section 4.1).

    Args:
        characters: rows of the character table.
        size: size of a token's vector, half from each direction.
        config: gives the embedding size, the dropout before the LSTM, and the backend.
    """

    def __init__(self, characters: int, size: int, config: TaggerModelConfig):
        super().__init__()
        self.embedding = _table(characters, config.spelling_embedding)
        self.dropout = Dropout(config.spelling_dropout)
        self.recurrent = Recurrent(
            "lstm", config.spelling_embedding, max(1, size // 2), bidirectional=True, backend=config.backend
        )
        self.output_size = 2 * max(1, size // 2)

    def forward(self, spelling: Spelling) -> Tensor:
        """(U, size) vectors of the distinct tokens of a batch."""
        _, state = self.recurrent(self.dropout(self.embedding(spelling.ids)), lengths=spelling.lengths)
        vectors: Tensor = state[0].flatten(1)
        return vectors


class SpellingConvolution(nn.Module):
    """The maximum of each filter over the windows centred on a token's own characters (Ma & Hovy 2016, section 2.1).

    A window reaches over the ends of the token, where it sees zeros. The tanh of their published code stands behind the
    maximum, with which it commutes. A token without characters has the vector zero.

    Args:
        characters: rows of the character table.
        size: size of a token's vector: the number of filters.
        config: gives the embedding size, the width of a window, and the dropout before the convolution.
    Raises:
        ConfigError: the width is even, so that a window has no centre, or below 1.
    """

    def __init__(self, characters: int, size: int, config: TaggerModelConfig):
        super().__init__()
        self.width = config.spelling_width
        if self.width < 1 or self.width % 2 == 0:
            raise ConfigError(f"model.spelling_width is {self.width}, expected an odd number, such as 3")
        self.embedding = _table(characters, config.spelling_embedding)
        self.dropout = Dropout(config.spelling_dropout)
        self.filters = nn.Linear(self.width * config.spelling_embedding, size)
        self.output_size = size

    def forward(self, spelling: Spelling) -> Tensor:
        """(U, size) vectors of the distinct tokens of a batch."""
        tokens, longest = spelling.ids.shape
        if not longest:
            return self.filters.weight.new_zeros(tokens, self.output_size)
        embedded = F.pad(self.dropout(self.embedding(spelling.ids)), (0, 0, self.width // 2, self.width // 2))
        # (U, L, width, E) without a copy, then one product: on a CPU faster than a convolution of so few channels.
        windows = embedded.unfold(1, self.width, 1).transpose(2, 3)
        scores = self.filters(windows.reshape(tokens, longest, -1))
        outside = torch.arange(longest, device=scores.device) >= spelling.lengths[:, None]
        strongest = scores.masked_fill(outside.unsqueeze(-1), -torch.inf).amax(1)
        # tanh(-inf) would be -1 with a NaN of a gradient.
        return torch.tanh(strongest.masked_fill((spelling.lengths == 0).unsqueeze(-1), 0.0))


def build_spelling(characters: int, config: TaggerModelConfig) -> SpellingRecurrence | SpellingConvolution:
    """The encoder of spellings of a configuration."""
    kind = SpellingConvolution if config.spelling == "cnn" else SpellingRecurrence
    return kind(characters, config.features["characters"], config)


def _table(characters: int, size: int) -> nn.Embedding:
    """Uniform within sqrt(3 / size), so that a vector has unit expected squared norm; the padding is zero."""
    table = nn.Embedding(characters, size, padding_idx=0)
    with torch.no_grad():
        nn.init.uniform_(table.weight, -((3.0 / size) ** 0.5), (3.0 / size) ** 0.5)[0] = 0.0
    return table
