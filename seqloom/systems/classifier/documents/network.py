"""What reads a text: embedded words, words between their contexts, or words within sentences."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqloom.data.vocabulary import START
from seqloom.layers.embedding import SparseEmbedding
from seqloom.layers.encoder import Encoder
from seqloom.layers.read_outs import Attention, ReadOut
from seqloom.layers.recurrent import Recurrent
from seqloom.layers.state import State
from seqloom.systems.classifier.network import ClassifierBatch

_KNUTH, _PRIME = 2_654_435_761, 2_147_483_647

__all__ = ["ContextEncoder", "SentenceFront", "Shortcut", "WordFront"]


class WordFront(nn.Module):
    """Embedded words.

    Args:
        vocabulary_size: V.
        size: of a word's vector.
        dropout: probability that all occurrences of a word in a text are left out in training (Gal & Ghahramani 2016).
        pairs: rows of a table into which pairs of neighbouring words are hashed; 0 has none.
        pair_size: of a pair's vector.
    """

    def __init__(self, vocabulary_size: int, size: int, dropout: float = 0.0, pairs: int = 0, pair_size: int = 0):
        super().__init__()
        self.output_size = size + (pair_size if pairs else 0)
        self.words = SparseEmbedding(vocabulary_size, size, dropout=dropout)
        self.pairs = SparseEmbedding(pairs, pair_size, dropout=dropout) if pairs else None

    def forward(self, batch: ClassifierBatch) -> Tensor:
        """(B, T, output_size): each word, and beside it the pair that it makes with the word before it."""
        embedded: Tensor = self.words(batch.inputs)
        if self.pairs is None:
            return embedded
        before = F.pad(batch.inputs[:, :-1], (1, 0), value=START)
        # Multiplicative hashing with Knuth's constant: neighbouring ids must not make neighbouring rows.
        hashed = (before * _KNUTH + batch.inputs).remainder(_PRIME).remainder(self.pairs.num_embeddings)
        return torch.cat([embedded, self.pairs(hashed)], -1)


class SentenceFront(nn.Module):
    """A vector for each sentence: embedded words, a recurrent encoder over them, a read-out (Yang et al. 2016, section 2.2).

    Args:
        words: embeds (M, T) ids.
        encoder: over the words of a sentence.
        read_out: makes one vector of it.
    """

    def __init__(self, words: WordFront, encoder: Encoder, read_out: ReadOut):
        super().__init__()
        self.words, self.encoder, self.read_out = words, encoder, read_out
        self.output_size = read_out.output_size

    def forward(self, batch: ClassifierBatch) -> Tensor:
        """(B, L, D) of documents of L sentences, zeros behind their ends."""
        encoded, inner, places = self._encoded(batch)
        vectors: Tensor = self.read_out(encoded, inner)
        widest = int(places[:, 1].max()) + 1 if len(places) else 0
        found = vectors.new_zeros(len(batch.lengths), widest, self.output_size)
        found[places[:, 0], places[:, 1]] = vectors
        return found

    def word_weights(self, batch: ClassifierBatch) -> Tensor:
        """(M, T) the attention to the words of each sentence; equal shares where the read-out has none."""
        encoded, inner, _ = self._encoded(batch)
        if isinstance(self.read_out, Attention):
            return self.read_out.weights(encoded, inner)
        real = torch.arange(encoded.shape[1], device=inner.device) < inner[:, None]
        shares: Tensor = real / inner.clamp(min=1)[:, None]
        return shares

    def _encoded(self, batch: ClassifierBatch) -> tuple[Tensor, Tensor, Tensor]:
        if batch.inner is None or batch.places is None:
            raise ValueError("these are no documents in sentences")
        return self.encoder(self.words(batch), lengths=batch.inner)[0], batch.inner, batch.places


class ContextEncoder(nn.Module):
    """Each word between what stands before and behind it (recurrent convolutional network; Lai et al. 2015, equations 1-4).

    ``x_i = [c_l(w_i); e(w_i); c_r(w_i)]`` and ``y_i = tanh(W x_i + b)``, the context of a word without the word itself.

    Args:
        cell: of the contexts.
        input_size: of a word's vector.
        context_size: of each context.
        hidden_size: of y.
        dropout_input, dropout_output: on words and on y.
    """

    def __init__(
        self,
        cell: str,
        input_size: int,
        context_size: int,
        hidden_size: int,
        dropout_input: float = 0.0,
        dropout_output: float = 0.0,
    ):
        super().__init__()
        self.contexts = Recurrent(cell, input_size, context_size, bidirectional=True)
        self.hidden = nn.Linear(2 * context_size + input_size, hidden_size)
        self.enter, self.leave = nn.Dropout(dropout_input), nn.Dropout(dropout_output)
        self.output_size, self.context_size = hidden_size, context_size

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """Outputs (B, T, hidden_size) of words (B, T, input_size), and the contexts' state. Padding has no meaning."""
        x = self.enter(x)
        contexts, state = self.contexts(x, lengths=lengths)
        # Shifted by a step: outputs behind a sequence's end are zero, so that its last word has nothing behind it.
        left = F.pad(contexts[:, :-1, : self.context_size], (0, 0, 1, 0))
        right = F.pad(contexts[:, 1:, self.context_size :], (0, 0, 0, 1))
        if not x.shape[1]:
            left = right = contexts[..., : self.context_size]
        return self.leave(torch.tanh(self.hidden(torch.cat([left, x, right], -1)))), state


class Shortcut(nn.Module):
    """An encoder whose output has its input beside it.

    Args:
        encoder: gives (B, T, H).
        input_size: of what it reads.
    """

    def __init__(self, encoder: Encoder, input_size: int):
        super().__init__()
        self.encoder = encoder
        self.output_size = encoder.output_size + input_size

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """Outputs (B, T, H + D) of inputs (B, T, D), and the encoder's state."""
        outputs, state = self.encoder(x, lengths=lengths)
        return torch.cat([outputs, x], -1), state
