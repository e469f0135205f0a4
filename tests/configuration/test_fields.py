from dataclasses import dataclass, field
from typing import Annotated, Literal

from seqloom.configuration import fields_of
from seqloom.configuration.fields import field_at


@dataclass(frozen=True)
class Model:
    """A network.

    Args:
        sizes: ``token`` and others
            of some size.
    """

    sizes: dict[str, int] = field(default_factory=lambda: {"token": 5})
    layers: int = 1
    """How many layers."""
    cell: Annotated[Literal["gru", "lstm"], "its cell"] = "lstm"


def _default_model() -> Model:
    return Model(layers=2)


@dataclass(frozen=True)
class Config:
    """All of it.

    Args:
        model: the network.
    """

    as_: str
    model: Model = field(default_factory=_default_model)
    limit: int | None = None


def test_fields_have_dotted_names_types_and_the_defaults_of_their_section():
    fields = {one.name: one for one in fields_of(Config)}
    assert list(fields) == ["as", "model", "model.sizes", "model.layers", "model.cell", "limit"]
    assert fields["as"].required
    assert fields["model"].is_section
    assert fields["model.layers"].default == 2
    assert fields["model.sizes"].value_kind is int
    assert (fields["limit"].kind, fields["limit"].optional) == (int, True)


def test_help_is_taken_from_annotations_and_from_both_kinds_of_docstrings():
    help = {one.name: one.help for one in fields_of(Config, documented=True)}
    assert help["model"] == "the network."
    assert help["model.sizes"] == "token and others of some size."
    assert help["model.layers"] == "How many layers."
    assert help["model.cell"] == "its cell"
    assert help["limit"] == ""


def test_a_dotted_name_finds_a_field_or_an_entry_of_a_mapping():
    assert field_at(Config, "model.layers").default == 2
    assert field_at(Config, "model.sizes.word").kind is int
    for name in ("modle", "model.sizes.word.more", "model.layers.more", "limit.more"):
        assert field_at(Config, name) is None
