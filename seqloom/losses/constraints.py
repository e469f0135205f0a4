"""Which tag may follow which: the legal starts, transitions and ends of a tag scheme."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from seqloom.errors import ConfigError, did_you_mean

__all__ = ["Constraints", "Scheme"]

Scheme = Literal["BMES", "BIO", "BIOES"]


class _Role(NamedTuple):
    """What a tag's first letter says about the span that its token belongs to."""

    begins: bool
    may_end: bool
    may_continue: bool


_BEGIN, _INSIDE, _END, _WHOLE = (
    _Role(True, False, True),
    _Role(False, False, True),
    _Role(False, True, False),
    _Role(True, True, False),
)
_ROLES: dict[str, dict[str, _Role]] = {
    "BMES": {"B": _BEGIN, "M": _INSIDE, "E": _END, "S": _WHOLE, "O": _WHOLE},
    "BIOES": {"B": _BEGIN, "I": _INSIDE, "E": _END, "S": _WHOLE, "O": _WHOLE},
    "BIO": {"B": _Role(True, True, True), "I": _Role(False, True, True), "O": _WHOLE},
}


@dataclass(frozen=True, eq=False)
class Constraints:
    """The legal moves of a chain of K tags.

    Args:
        start: (K,) bool, the tags that may come first.
        transition: (K, K) bool, whether the column's tag may follow the row's tag.
        end: (K,) bool, the tags that may come last.
    Raises:
        ValueError: the three are not boolean or their shapes disagree.
    """

    start: Tensor
    transition: Tensor
    end: Tensor

    def __post_init__(self) -> None:
        tags = len(self.start) if self.start.dim() else 0
        for name, tensor, shape in (
            ("start", self.start, (tags,)),
            ("transition", self.transition, (tags, tags)),
            ("end", self.end, (tags,)),
        ):
            if tensor.dtype != torch.bool or tensor.shape != shape:
                raise ValueError(
                    f"Constraints.{name} must be a boolean tensor of shape {shape}, got {tensor.dtype} of shape "
                    f"{tuple(tensor.shape)}"
                )

    @classmethod
    def from_tags(cls, names: Sequence[str], *, scheme: Scheme) -> "Constraints":
        """The constraints of a scheme for tags such as ``B``, ``E``, ``O``, ``B-PER``, in the order of their ids.

        A span begins with B (or is S alone), goes on with M or I of the same type, and ends with E; under BIO, which
        is IOB2, it ends wherever the next tag is not I of its type.

        Raises:
            ConfigError: the scheme is not known, or a tag does not belong to it or occurs twice; names the tag.

        >>> legal = Constraints.from_tags(["B", "M", "E", "S"], scheme="BMES")
        >>> legal.start.tolist(), legal.end.tolist()
        ([True, False, False, True], [False, False, True, True])
        >>> [int(allowed) for allowed in legal.transition.flatten()]
        [0, 1, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 0, 1]
        """
        if scheme not in _ROLES:
            raise ConfigError(f"scheme {scheme!r} is not known{did_you_mean(scheme, get_args(Scheme))}")
        if len(set(names)) != len(names):
            twice = next(name for name in names if list(names).count(name) > 1)
            raise ConfigError(f"the tag {twice!r} occurs twice among the tag names; every tag needs one id")
        parsed = [_parse(name, scheme) for name in names]
        transition = [[_may_follow(before, after) for after in parsed] for before in parsed]
        return cls(
            torch.tensor([role.begins for role, _ in parsed], dtype=torch.bool),
            torch.tensor(transition, dtype=torch.bool).reshape(len(names), len(names)),
            torch.tensor([role.may_end for role, _ in parsed], dtype=torch.bool),
        )


def _parse(name: str, scheme: str) -> tuple[_Role, str]:
    """The role of a tag and the type of its span, empty where it has none."""
    letter, dash, span_type = name.partition("-")
    role = _ROLES[scheme].get(letter)
    if role is None or (dash and not span_type) or (letter == "O" and dash):
        letters = ", ".join(_ROLES[scheme])
        raise ConfigError(f"the tag {name!r} is not one of {scheme}: expected one of {letters}, or as in 'B-PER'")
    return role, span_type


def _may_follow(before: tuple[_Role, str], after: tuple[_Role, str]) -> bool:
    (role, span_type), (next_role, next_type) = before, after
    if next_role.begins:
        return role.may_end
    return role.may_continue and span_type == next_type
