"""What ``config.yaml`` of a tagger says of its data and its tags, checked before anything relies on it."""

from dataclasses import fields
from typing import Any

from seqloom.configuration import build
from seqloom.data.tagged.columns import parse_columns
from seqloom.data.tagged.legality import constraints
from seqloom.data.tagged.schemes import as_scheme
from seqloom.data.vocabulary import TagVocabulary
from seqloom.errors import ConfigError, ModelError
from seqloom.systems.saved import ModelDirectory
from seqloom.systems.tagger.config import TaggerDataConfig

__all__ = ["stored_reading", "stored_scheme"]


def stored_reading(directory: ModelDirectory) -> dict[str, Any]:
    """How the training data were read.

    Raises:
        ModelError: a value is none that reading takes.
    """
    reading, known = directory.section("reading"), {field.name for field in fields(TaggerDataConfig)}
    try:
        config = build(TaggerDataConfig, {name: value for name, value in reading.items() if name in known})
        parse_columns(config.columns)
        for scheme in (config.scheme, config.convert, reading.get("written")):
            if scheme:
                as_scheme(scheme)
    except (ConfigError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{directory.path / 'config.yaml'}: 'reading' is damaged: {error}") from None
    return reading


def stored_scheme(directory: ModelDirectory, tags: TagVocabulary) -> str | None:
    """The scheme that the tags spell spans in, or None.

    Raises:
        ModelError: there is no such scheme, or it does not have one of the tags.
    """
    if directory.setting("scheme") is None:
        return None
    scheme = directory.text("scheme")
    try:
        constraints(tags.entries, scheme)
    except ValueError as error:
        raise ModelError(f"{directory.path / 'config.yaml'}: 'scheme' does not fit the tags: {error}") from None
    return scheme
