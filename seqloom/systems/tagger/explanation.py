"""Why a sentence got its tags: the parts of the score, the probabilities of each token's tags, and the next best taggings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Explanation", "Move", "Reading", "TagChance", "rank_tags"]

MOST_TAGS_SHOWN = 3
LEAST_SHOWN = 0.0005  # what would be printed as 0.000


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a tagger says of one sentence, and how sure it is.

    Attributes:
        tags: one for each token.
        marginals: (T, K) the probability of every tag at every token.
        label, label_chances: of the whole sentence, and the (L,) probabilities of all labels, where the model gives any.
    """

    tags: list[str]
    marginals: NDArray[np.floating[Any]]
    label: str | None = None
    label_chances: NDArray[np.floating[Any]] | None = None


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
        labels: the most probable labels of the whole sentence, where the model gives any.
        moves: the parts of the predicted path's score, which are its sum; empty where a method has no such parts.
        score, log_partition: that sum, and the log of the sum of exp(score) over all paths; their difference is the
            log-probability of the predicted path.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    alternatives: tuple[tuple[tuple[str, ...], float], ...]
    top: tuple[tuple[TagChance, ...], ...]
    labels: tuple[TagChance, ...] = ()
    moves: tuple[Move, ...] = ()
    score: float | None = None
    log_partition: float | None = None

    @classmethod
    def of(
        cls,
        tokens: Sequence[str],
        reading: Reading,
        ranked: Sequence[tuple[Sequence[str], float]],
        tags: Sequence[str],
        labels: Sequence[str] = (),
    ) -> Self:
        """The explanation of a reading.

        Args:
            ranked: the best taggings with their log-probabilities.
            tags, labels: the names of the K tags and of the labels of sentences.
        """
        chances = reading.label_chances
        return cls(
            tokens=tuple(tokens),
            tags=tuple(reading.tags),
            alternatives=tuple((tuple(some), value) for some, value in ranked),
            top=rank_tags(tags, reading.marginals),
            labels=rank_tags(labels, chances[None])[0] if chances is not None else (),
        )

    def scored(
        self,
        names: Sequence[str],
        emissions: NDArray[np.floating[Any]],
        potentials: Sequence[NDArray[np.floating[Any]]],
        log_partition: float,
    ) -> Self:
        """The same with the parts of the predicted path's score.

        Args:
            names: the K tags.
            emissions: (T, K) what the network gave each tag.
            potentials: (K, K) scores of a tag after a tag, (K,) of a first tag, (K,) of a last one.
        """
        number = {name: index for index, name in enumerate(names)}
        path = [number[tag] for tag in self.tags]
        transitions, start, end = potentials
        moves: list[Move] = []
        for place, tag in enumerate(path):
            paid = transitions[path[place - 1], tag] if place else start[tag]
            before = self.tags[place - 1] if place else ""
            moves.append(Move(before, self.tags[place], float(emissions[place, tag]), float(paid)))
        if path:
            moves.append(Move(self.tags[-1], "", 0.0, float(end[path[-1]])))
        top = tuple(
            tuple(replace(chance, score=float(row[number[chance.tag]])) for chance in chances)
            for row, chances in zip(emissions, self.top, strict=True)
        )
        score = sum(move.emission + move.transition for move in moves)
        return replace(self, top=top, moves=tuple(moves), score=score, log_partition=log_partition)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        described: dict[str, Any] = {
            "tokens": list(self.tokens),
            "tags": list(self.tags),
            "alternatives": [{"tags": list(tags), "log_probability": value} for tags, value in self.alternatives],
            "top": [[chance.to_dict() for chance in chances] for chances in self.top],
        }
        if self.labels:
            described["labels"] = [{"label": chance.tag, "probability": chance.probability} for chance in self.labels]
        if self.score is not None:
            described |= {"score": self.score, "log_partition": self.log_partition}
            described["moves"] = [move.to_dict() for move in self.moves]
        return described

    def lines(self) -> Iterator[str]:
        """For people: a table of the tokens, the score, the alternatives with what differs, and an empty line."""
        yield from _table(list(self._rows()))
        if self.labels:
            yield f"label {_shown(self.labels)}"
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
            parts = []
            if scored:
                move = self.moves[place]
                parts = [f"{move.emission:.2f}", move.before or "start", f"{move.transition:.2f}"]
            yield [token, tag, *parts, _shown(self.top[place])]


def rank_tags(
    names: Sequence[str], marginals: NDArray[np.floating[Any]], most: int = MOST_TAGS_SHOWN
) -> tuple[tuple[TagChance, ...], ...]:
    """The most probable tags of each token, of ``names``, by their (T, K) probabilities."""
    order = np.argsort(-marginals, axis=1, kind="stable")[:, :most].tolist()
    return tuple(
        tuple(TagChance(names[tag], float(row[tag])) for tag in best)
        for row, best in zip(marginals, order, strict=True)
    )


def _shown(chances: Sequence[TagChance]) -> str:
    return " ".join(f"{chance.tag} {chance.probability:.3f}" for chance in chances if chance.probability >= LEAST_SHOWN)


def _table(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
