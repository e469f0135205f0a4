"""The fields of a configuration: names with dots, types, defaults, and the line of help of each."""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union

__all__ = ["Field", "field_at", "fields_of"]


@dataclasses.dataclass(frozen=True)
class Field:
    """One key: ``data.train`` for the field ``train`` of the section ``data``, or a section, whose type is a dataclass.

    Attributes:
        name: with the sections before it; the field ``as_`` is ``as``, which Python keeps for itself.
        kind: its type, without None.
        optional: whether it may be None.
        required: whether it has no default.
        default: its default, from the section's own default where that differs from the class's.
        help: what it is for; empty where nothing says it.
    """

    name: str
    kind: Any
    optional: bool = False
    required: bool = False
    default: Any = None
    help: str = ""

    @property
    def is_section(self) -> bool:
        """Whether its value is a configuration of its own."""
        return dataclasses.is_dataclass(self.kind)

    @property
    def value_kind(self) -> Any:
        """Of a mapping, the type of its values; else None."""
        origin = typing.get_origin(self.kind)
        return typing.get_args(self.kind)[1] if isinstance(origin, type) and issubclass(origin, Mapping) else None

    @property
    def item_kind(self) -> Any:
        """Of a tuple, the type of its items; else None."""
        return typing.get_args(self.kind)[0] if typing.get_origin(self.kind) is tuple else None


def own_fields(config_class: type, default: Any = None) -> dict[str, tuple[str, Field]]:
    """Key -> the name in Python and the field, of one class alone; ``default`` is an instance that has the defaults."""
    hints = typing.get_type_hints(config_class, include_extras=True)
    fields = {}
    for item in dataclasses.fields(config_class):
        kind, text = hints[item.name], ""
        if typing.get_origin(kind) is Annotated:
            kind, text = typing.get_args(kind)[:2]
        parts = typing.get_args(kind) if typing.get_origin(kind) in (types.UnionType, Union) else (kind,)
        given = tuple(part for part in parts if part is not type(None))
        key, required, value = item.name.rstrip("_"), False, item.default
        if default is not None:
            value = getattr(default, item.name)
        elif item.default_factory is not dataclasses.MISSING:
            value = item.default_factory()
        elif value is dataclasses.MISSING:
            required, value = True, None
        # Not "X | Y": the parts are known here only.
        inner = given[0] if len(given) == 1 else Union[given]  # noqa: UP007
        fields[key] = (item.name, Field(key, inner, len(given) < len(parts), required, value, text))
    return fields


def fields_of(config_class: type, *, documented: bool = False) -> list[Field]:
    """All fields in their order, each section before its own.

    Args:
        documented: also take help from the docstrings of the classes and of their attributes, which takes a moment; what
            is ``Annotated`` is there anyway.
    """
    return list(_walk(config_class, "", None, documented))


def _walk(config_class: type, prefix: str, default: Any, documented: bool) -> Iterator[Field]:
    texts = _documentation(config_class) if documented else {}
    for name, field in own_fields(config_class, default).values():
        help = field.help or texts.get(name, "")
        yield dataclasses.replace(field, name=prefix + field.name, help=help)
        if field.is_section:
            yield from _walk(field.kind, f"{prefix}{field.name}.", field.default, documented)


def field_at(config_class: type, name: str) -> Field | None:
    """The field of a dotted name, or the entry of a mapping such as ``model.features.token``; None where there is neither."""
    kind, default = config_class, None
    *above, last = name.split(".")
    for depth, part in enumerate(above, start=1):
        _, field = own_fields(kind, default).get(part, ("", None))
        if field is None:
            return None
        if not field.is_section:
            return Field(name, field.value_kind) if field.value_kind and depth == len(above) else None
        kind, default = field.kind, field.default
    _, field = own_fields(kind, default).get(last, ("", None))
    return field and dataclasses.replace(field, name=name)


def _documentation(config_class: type) -> dict[str, str]:
    """What the docstrings say of each field, in one line without the marks of literals."""
    from docstring_parser import parse_from_object

    # What a class inherits is documented where it is declared.
    owners = [owner for owner in reversed(config_class.__mro__) if dataclasses.is_dataclass(owner)]
    said = {item.arg_name: item.description or "" for owner in owners for item in parse_from_object(owner).params}
    return {name: " ".join(text.replace("``", "").split()) for name, text in said.items()}
