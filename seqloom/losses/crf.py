"""The linear-chain conditional random field (Lafferty, McCallum & Pereira 2001) as the loss of a tagger."""

from typing import Any

import torch
from torch import Tensor, nn

from seqloom.decoding.crf import check_potentials, viterbi, viterbi_k_best
from seqloom.losses.chain import log_partition, negative_log_likelihood, path_score
from seqloom.losses.constraints import Constraints
from seqloom.losses.forward_backward import forward_backward, log_partition_by_logarithms

__all__ = ["FORBIDDEN", "LinearChainCRF"]

FORBIDDEN = -1e4
"""The score of an illegal start, transition or end: finite, so that an illegal gold path has a loss and a gradient."""

_NEVER = -1e30  # the score of a tag that a partial label excludes; outweighs any number of forbidden transitions


class LinearChainCRF(nn.Module):
    """Negative log-likelihood of tag sequences under a linear-chain CRF, in nats, to be minimised: one value per row.

    Nothing is averaged, over steps or over rows; a tagger usually minimises ``crf(emissions, tags, lengths).mean()``.

        score(y) = start(y_1) + sum_t emission_t(y_t) + sum_{t>=2} transition(y_{t-1}, y_t) + end(y_len)
        loss     = log sum over all paths of exp(score) - score(y)

    The sums run in float64 without an autograd graph over time (see ``seqloom.losses.forward_backward``); losses come
    back in the dtype of the emissions, in float32 for half precision. A row of length zero has the loss zero and an
    empty path, and what stands past a row's length, NaN included, changes nothing and gets a gradient of exactly zero.

    Args:
        tags: K, the number of tags.
        legal: the legal moves. Every other start, transition and end has the score ``FORBIDDEN`` (-1e4) in training and
            decoding alike, whatever the parameters hold, and its parameter gets no gradient. They are not part of the
            state dictionary: they follow from the tag names.
    Shapes of what the methods take:
        emissions: (B, T, K) scores of the tags at each step, any real numbers (no softmax).
        targets: (B, T) integers, the tags; or (B, T, K) booleans, the tags allowed at each step, whose loss is
            log Z minus the log-sum over all allowed paths (Tsuboi et al. 2008).
        lengths: (B,) integers 0..T, or none where every row has T steps.

    >>> crf = LinearChainCRF(2)
    >>> _ = crf.load_state_dict({"transitions": torch.tensor([[0.2, -0.3], [0.1, 0.4]]),
    ...                          "start": torch.tensor([0.0, -1.0]), "end": torch.tensor([0.3, 0.0])})
    >>> emissions = torch.tensor([[[1.0, 0.0], [0.5, 2.0], [0.0, 1.0]]])
    >>> round(crf(emissions, torch.tensor([[0, 1, 1]])).item(), 6)
    0.748397
    >>> tags, scores = crf.decode(emissions)
    >>> tags.tolist()
    [[0, 1, 1]]
    """

    forbidden_start: Tensor
    forbidden_transition: Tensor
    forbidden_end: Tensor

    def __init__(self, tags: int, *, legal: Constraints | None = None) -> None:
        super().__init__()
        if tags < 1:
            raise ValueError(f"tags is {tags}, expected at least 1")
        if legal is not None and len(legal.start) != tags:
            raise ValueError(f"legal is for {len(legal.start)} tags but tags is {tags}")
        self.tags = tags
        self.transitions = nn.Parameter(torch.empty(tags, tags))
        self.start = nn.Parameter(torch.empty(tags))
        self.end = nn.Parameter(torch.empty(tags))
        with torch.device("cpu"):  # parameters may come later, from a file; what no file holds must be there
            anything = Constraints(*(torch.ones(shape, dtype=torch.bool) for shape in ((tags,), (tags, tags), (tags,))))
        self._legal = legal or anything
        for name, allowed in self._allowed():
            self.register_buffer(name, ~allowed, persistent=False)
        self.reset_parameters()

    def _allowed(self) -> tuple[tuple[str, Tensor], ...]:
        legal = self._legal
        return (
            ("forbidden_start", legal.start),
            ("forbidden_transition", legal.transition),
            ("forbidden_end", legal.end),
        )

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """What moves the module; the constraints are what they were (``to_empty``)."""
        moved = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, allowed in self._allowed():
            if not self.get_buffer(name).is_meta:
                if allowed.is_meta:
                    raise RuntimeError("legal had no values when the CRF was made; make it under torch.device('cpu')")
                self.get_buffer(name).copy_(~allowed)
        return moved

    def reset_parameters(self) -> None:
        """Draw all parameters from U(-0.1, 0.1)."""
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)

    def extra_repr(self) -> str:
        return f"tags={self.tags}, constrained={bool(self.forbidden_transition.any())}"

    def potentials(self) -> tuple[Tensor, Tensor, Tensor]:
        """Transitions (K, K) from the row's tag to the column's, start (K,), end (K,), with ``FORBIDDEN`` in place."""
        return (
            self.transitions.masked_fill(self.forbidden_transition, FORBIDDEN),
            self.start.masked_fill(self.forbidden_start, FORBIDDEN),
            self.end.masked_fill(self.forbidden_end, FORBIDDEN),
        )

    def forward(self, emissions: Tensor, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Negative log-likelihood of each row's targets, in nats, to be minimised; (B,), neither summed nor averaged.

        A gold path that the constraints forbid has a finite loss of about 1e4 per forbidden move, which drowns the
        rest of its batch: find such rows with :meth:`illegal_rows` before training.

        Raises:
            ValueError: a target inside its row's length is not a tag, or allows none, or a length is outside 0..T;
                names the row and the step.
        """
        potentials = self.potentials()
        lengths = check_potentials(emissions, *potentials, lengths)
        if targets.dtype == torch.bool:
            excluded = ~self._check_allowed(emissions, targets, lengths)
            reached = log_partition(emissions.double().masked_fill(excluded, _NEVER), *potentials, lengths)
            loss = log_partition(emissions, *potentials, lengths) - reached
        else:
            loss = negative_log_likelihood(emissions, *potentials, *self._check_targets(emissions, targets, lengths))
        return loss.to(torch.promote_types(emissions.dtype, torch.float32))

    def log_partition(self, emissions: Tensor, lengths: Tensor | None = None) -> Tensor:
        """log Z of each row, (B,) in float64; differentiable once. Its gradient is the marginals."""
        return log_partition(emissions, *self.potentials(), lengths)

    def score(self, emissions: Tensor, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The score of one path per row, targets (B, T) integers; (B,) in float64.

        Raises:
            ValueError: as :meth:`forward`.
        """
        potentials = self.potentials()
        lengths = check_potentials(emissions, *potentials, lengths)
        return path_score(emissions, *potentials, *self._check_targets(emissions, targets, lengths))

    def decode(self, emissions: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The best path (B, T), -1 past each length, and its score (B,): see ``seqloom.decoding.viterbi``."""
        return viterbi(emissions, *self.potentials(), lengths)

    def decode_k_best(self, emissions: Tensor, lengths: Tensor | None = None, *, k: int) -> tuple[Tensor, Tensor]:
        """The k best paths (B, k, T) and their scores (B, k): see ``seqloom.decoding.viterbi_k_best``."""
        return viterbi_k_best(emissions, *self.potentials(), lengths, k=k)

    @torch.no_grad()
    def marginals(self, emissions: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The posterior probability of each tag at each step, (B, T, K) in the dtype of the emissions.

        They carry no gradient, sum to one over the tags at each step and are zero past a row's length.
        """
        potentials = self.potentials()
        lengths = check_potentials(emissions, *potentials, lengths)
        result = forward_backward(emissions, *potentials, lengths)
        return result.rows.unpack(result.marginals.to(emissions.dtype))

    def entropy(self, emissions: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The entropy of each row's distribution over paths, (B,) float64 nats; differentiable, so it can be a penalty.

        log Z minus the expected score (Mann & McCallum 2007), by the recursion on logarithms: slower than the loss.
        """
        potentials = self.potentials()
        lengths = check_potentials(emissions, *potentials, lengths)
        if not lengths.any():
            return self.log_partition(emissions, lengths)  # one empty path: both are zero
        inside = torch.arange(emissions.shape[1], device=emissions.device) < lengths[:, None]
        chain = torch.where(inside[:, :, None], emissions, 0.0)
        batch = len(lengths)
        wanted = torch.is_grad_enabled()
        with torch.enable_grad():
            per_row = (chain, *(part.expand(batch, *part.shape) for part in potentials))
            scores = [part.double() if part.requires_grad and wanted else part.detach().double() for part in per_row]
            scores = [part if part.requires_grad else part.requires_grad_() for part in scores]
            log_z = log_partition_by_logarithms(scores[0], scores[1], scores[2], scores[3], lengths)
            expected = torch.autograd.grad(log_z.sum(), scores, create_graph=wanted, materialize_grads=True)
            mean = torch.stack([(s * p).flatten(1).sum(1) for s, p in zip(scores, expected, strict=True)]).sum(0)
            entropy = log_z - mean
        return entropy if wanted else entropy.detach()

    def illegal_rows(self, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Which rows of gold tags (B, T) the constraints forbid, (B,) booleans; all false without constraints.

        Raises:
            ValueError: as :meth:`forward`.

        >>> legal = Constraints.from_tags(["B", "M", "E", "S"], scheme="BMES")
        >>> LinearChainCRF(4, legal=legal).illegal_rows(torch.tensor([[0, 2, 3], [0, 3, 3], [3, 0, 2]]))
        tensor([False,  True, False])
        """
        flat = torch.zeros((), device=targets.device).expand(*targets.shape[:2], self.tags)
        moves = self.forbidden_transition.double(), self.forbidden_start.double(), self.forbidden_end.double()
        lengths = check_potentials(flat, *moves, lengths)
        return path_score(flat, *moves, *self._check_targets(flat, targets, lengths)) > 0

    def _check_targets(self, emissions: Tensor, targets: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The tags with zeros at padding, (B, T) int64, and the lengths."""
        if targets.shape != emissions.shape[:2] or targets.is_floating_point() or targets.dtype == torch.bool:
            raise ValueError(
                f"targets must be integer tags of shape {tuple(emissions.shape[:2])}, or booleans of shape "
                f"{tuple(emissions.shape)} that allow several; got {targets.dtype} of shape {tuple(targets.shape)}"
            )
        inside = torch.arange(targets.shape[1], device=targets.device) < lengths[:, None]
        tags = torch.where(inside, targets, 0).long()
        wrong = (tags < 0) | (tags >= self.tags)
        if wrong.any():
            row, step = wrong.nonzero()[0].tolist()
            raise ValueError(
                f"targets[{row}, {step}] is {int(tags[row, step])}, expected a tag from 0 to {self.tags - 1}"
            )
        return tags, lengths

    def _check_allowed(self, emissions: Tensor, allowed: Tensor, lengths: Tensor) -> Tensor:
        if allowed.shape != emissions.shape:
            raise ValueError(f"boolean targets have shape {tuple(allowed.shape)}, expected {tuple(emissions.shape)}")
        inside = torch.arange(allowed.shape[1], device=allowed.device) < lengths[:, None]
        wrong = inside & ~allowed.any(2)
        if wrong.any():
            row, step = wrong.nonzero()[0].tolist()
            raise ValueError(f"targets[{row}, {step}] allows no tag; allow all {self.tags} where the tag is not known")
        return allowed
