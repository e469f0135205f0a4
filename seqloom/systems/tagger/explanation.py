"""Why a sentence got its tags: the parts of the score, the probabilities of each token's tags, and the next best taggings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Explanation", "Move", "TagChance", "rank_tags"]

MOST_TAGS_SHOWN = 3
LEAST_SHOWN = 0.0005  # what would be printed as 0.000


@dataclass(frozen=True, slots=True)
class TagChance:
    """A tag of one token: its marginal probability and, where the method has one, the score the network gave it."""

    tag: str
    probability: float
    score: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"tag": self.tag, "probability": self.probability} | (
            {} if self.score is None else {"score": self.score}
        )


@dataclass(frozen=True, slots=True)
class Move:
    """What the best path paid or got at one token: for the tag itself, and for coming there from the tag before.

    The first token's ``before`` is empty and its transition the score of a start; the last move has an empty ``tag``,
    no emission, and the score of an end.
    """

    before: str
    tag: str
    emission: float
    transition: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"before": self.before, "tag": self.tag, "emission": self.emission, "transition": self.transition}


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that can be said of one sentence.

    Attributes:
        tokens, tags: the sentence and the tags predicted.
        alternatives: the best taggings with their log-probabilities in nats, the predicted one first.
        top: the most probable tags of each token.
        moves: the parts of the predicted path's score, which are its sum; empty where a method has no such parts.
        score, log_partition: that sum, and the log of the sum of exp(score) over all paths; their difference is the
            log-probability of the predicted path.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    alternatives: tuple[tuple[tuple[str, ...], float], ...]
    top: tuple[tuple[TagChance, ...], ...]
    moves: tuple[Move, ...] = ()
    score: float | None = None
    log_partition: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        described: dict[str, Any] = {
            "tokens": list(self.tokens),
            "tags": list(self.tags),
            "alternatives": [{"tags": list(tags), "log_probability": value} for tags, value in self.alternatives],
            "top": [[chance.to_dict() for chance in chances] for chances in self.top],
        }
        if self.score is not None:
            described |= {"score": self.score, "log_partition": self.log_partition}
            described["moves"] = [move.to_dict() for move in self.moves]
        return described

    def lines(self) -> Iterator[str]:
        """For people: a table of the tokens, the score, the alternatives with what differs, and an empty line."""
        yield from _table(list(self._rows()))
        if self.score is not None and self.log_partition is not None:
            end = f", of that {self.moves[-1].transition:.2f} for the end" if self.moves else ""
            yield f"score {self.score:.2f}{end}; log of the sum over all taggings {self.log_partition:.2f}"
        for rank, (tags, value) in enumerate(self.alternatives, start=1):
            differing = [
                f"{token}/{tag}"
                for token, tag, best in zip(self.tokens, tags, self.tags, strict=True)
                if tag != best or rank == 1
            ]
            yield f"{rank}. probability {np.exp(value):.4f} (log {value:.3f}): {' '.join(differing)}".rstrip()
        yield ""

    def _rows(self) -> Iterator[list[str]]:
        scored = bool(self.moves)
        yield ["token", "tag", *(["score", "from", "move"] if scored else []), "tags by probability"]
        for place, (token, tag) in enumerate(zip(self.tokens, self.tags, strict=True)):
            chances = [chance for chance in self.top[place] if chance.probability >= LEAST_SHOWN]
            shown = " ".join(f"{chance.tag} {chance.probability:.3f}" for chance in chances)
            parts = []
            if scored:
                move = self.moves[place]
                parts = [f"{move.emission:.2f}", move.before or "start", f"{move.transition:.2f}"]
            yield [token, tag, *parts, shown]


def rank_tags(
    names: Sequence[str],
    marginals: NDArray[np.floating[Any]],
    scores: NDArray[np.floating[Any]] | None = None,
    most: int = MOST_TAGS_SHOWN,
) -> tuple[tuple[TagChance, ...], ...]:
    """The most probable tags of each token.

    Args:
        names: the K tags.
        marginals: (T, K) their probabilities.
        scores: (T, K) what the network gave them, where there is one.
    """
    order = np.argsort(-marginals, axis=1, kind="stable")[:, :most]
    return tuple(
        tuple(
            TagChance(names[tag], float(marginals[place, tag]), None if scores is None else float(scores[place, tag]))
            for tag in row
        )
        for place, row in enumerate(order.tolist())
    )


def _table(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
