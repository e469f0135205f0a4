"""Embedding tables whose training step costs what a batch touches, never what the table holds."""

import torch
from torch import Tensor, nn

from seqloom.layers.dropout import dropout
from seqloom.layers.options import check_probability

__all__ = ["SparseEmbedding", "drop_types", "sparse_parameters"]


def drop_types(vectors: Tensor, ids: Tensor, probability: float, training: bool = True) -> Tensor:
    """Embedding dropout: all vectors of a type zero in a sequence, or none of them (Gal & Ghahramani 2016, section 4.2).

    What is left is scaled so that its mean stays. The cost depends on the ids, not on the size of the vocabulary.

    Args:
        vectors: (B, ..., E), or (T, E): the looked-up vectors.
        ids: (B, ...) of which type each is; each row draws anew. (T,) is one sequence.
        probability: of dropping a type, 0 to 1.
        training: otherwise the vectors are handed back.

    >>> ids = torch.tensor([7, 3, 7, 7])
    >>> kept = drop_types(torch.ones(4, 1), ids, 0.5)
    >>> bool((kept[ids == 7] == kept[0]).all())
    True
    """
    if not training or probability == 0.0:
        return vectors
    rows = ids.unsqueeze(0) if ids.dim() < 2 else ids
    number = torch.arange(len(rows), device=ids.device).view(-1, *[1] * (rows.dim() - 1))
    span = int(rows.max()) + 1 if rows.numel() else 1
    types, which = torch.unique(rows + number * span, return_inverse=True)
    coins = dropout(vectors.new_ones(len(types)), probability)
    return vectors * coins[which].view(*ids.shape, 1)


class SparseEmbedding(nn.Embedding):
    """A table of vectors with sparse gradients: (..., ) ids to (..., embedding_size) vectors.

    The gradient holds one row per looked-up id (duplicates included), so a backward pass never allocates the table;
    train it with :func:`seqloom.training.optimiser.build_optimiser`, which updates touched rows only.

    Args:
        vocabulary_size: rows V.
        embedding_size: columns.
        padding_index: row that is zero and is never trained, or None.
        scale: rows start uniform in ``[-scale, scale]``; by default ``sqrt(3 / embedding_size)``, so that a vector has
            unit expected squared norm (Lample et al. 2016 use the same law).
        dropout: probability of dropping a type from a sequence in training; see :func:`drop_types`.

    >>> table = SparseEmbedding(5, 3, padding_index=0)
    >>> table(torch.tensor([[0, 2]])).shape, table(torch.tensor([0])).abs().sum().item()
    (torch.Size([1, 2, 3]), 0.0)
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int,
        *,
        padding_index: int | None = 0,
        scale: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        if vocabulary_size < 1 or embedding_size < 1:
            raise ValueError(f"a table of {vocabulary_size} x {embedding_size} holds nothing; expected both at least 1")
        self.scale = (3.0 / embedding_size) ** 0.5 if scale is None else scale
        super().__init__(vocabulary_size, embedding_size, padding_idx=padding_index, sparse=True)
        self.dropout = check_probability("dropout", dropout)

    def forward(self, input: Tensor) -> Tensor:
        vectors = super().forward(input)
        return drop_types(vectors, input, self.dropout, self.training) if self.dropout else vectors

    def reset_parameters(self) -> None:
        """Draw every row anew; the padding row is zero."""
        nn.init.uniform_(self.weight, -self.scale, self.scale)
        self._fill_padding_idx_with_zero()

    @torch.no_grad()
    def load_rows(self, rows: Tensor, vectors: Tensor) -> None:
        """Overwrite rows with pretrained vectors.

        Args:
            rows: (N,) int64 row numbers; the padding row is not among them.
            vectors: (N, embedding_size).
        Raises:
            ValueError: the shapes do not fit, or a row number is outside the table or is the padding row.

        >>> table = SparseEmbedding(5, 2)
        >>> table.load_rows(torch.tensor([3]), torch.tensor([[1.0, 2.0]]))
        >>> table(torch.tensor(3)).tolist()
        [1.0, 2.0]
        """
        expected = (len(rows), self.embedding_dim)
        if rows.dim() != 1 or tuple(vectors.shape) != expected:
            raise ValueError(f"vectors have the shape {tuple(vectors.shape)}, expected {expected} for {len(rows)} rows")
        outside = (rows < 0) | (rows >= self.num_embeddings)
        if bool(outside.any()):
            at = int(outside.nonzero()[0])
            raise ValueError(f"rows[{at}] is {int(rows[at])} but the table has {self.num_embeddings} rows")
        if self.padding_idx is not None and bool((rows == self.padding_idx).any()):
            raise ValueError(
                f"row {self.padding_idx} is the padding and stays zero; leave it out of the pretrained rows"
            )
        self.weight[rows] = vectors.to(self.weight)


def sparse_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of a module whose gradients are sparse, by name, in the order of ``named_parameters``.

    Known from the layers rather than from a gradient, so that a process whose share of a batch is empty agrees.
    """
    tables = {
        id(part.weight)
        for part in module.modules()
        if isinstance(part, nn.Embedding | nn.EmbeddingBag) and part.sparse and part.weight.requires_grad
    }
    return {name: parameter for name, parameter in module.named_parameters() if id(parameter) in tables}
