from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from seqloom.configuration import build
from seqloom.errors import ConfigError


@dataclass(frozen=True)
class Section:
    count: int = 3
    rate: float = 0.5
    name: str = "a"
    other: str | None = None
    limit: int | None = None
    flag: bool = False
    choice: Literal["one", "two"] = "one"
    sizes: dict[str, int] = field(default_factory=lambda: {"token": 1})
    anything: dict[str, bool | int | float | str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    choices: tuple[Literal["a", "b"], ...] = ()
    path: Path = Path()


def _default_section() -> Section:
    return Section(count=7, name="b")


@dataclass(frozen=True)
class Config:
    section: Section = field(default_factory=_default_section)


@pytest.mark.parametrize(
    ("key", "given", "value"),
    [
        ("count", 4, 4),
        ("count", "0x10", 16),
        ("count", "1_000", 1000),
        ("count", np.int64(4), 4),
        ("rate", 2, 2.0),
        ("rate", "1e-3", 0.001),
        ("rate", "1e3", 1000.0),
        ("rate", ".5", 0.5),
        ("name", "7", "7"),
        ("name", "null", "null"),
        ("name", "[a, b]", "[a, b]"),
        ("name", None, ""),
        ("other", "null", None),
        ("other", None, None),
        ("other", Path("x"), "x"),
        ("limit", "5", 5),
        ("limit", "null", None),
        ("flag", "yes", True),
        ("flag", "false", False),
        ("choice", "two", "two"),
        ("sizes", "{word: 2}", {"word": 2}),
        ("sizes", {"word": 2}, {"word": 2}),
        ("sizes", None, {}),
        ("anything", {"a": True, "b": 1, "c": 1.0, "d": "x"}, {"a": True, "b": 1, "c": 1.0, "d": "x"}),
        ("anything", {"a": "1e3", "b": "7", "c": "true"}, {"a": 1000.0, "b": 7, "c": True}),
        ("names", "[a, b]", ("a", "b")),
        ("names", ["a"], ("a",)),
        ("names", None, ()),
        ("choices", ("b",), ("b",)),
        ("path", "x", Path("x")),
    ],
)
def test_a_value_becomes_what_the_type_says_with_its_own_type(key, given, value):
    built = getattr(build(Config, {"section": {key: given}}).section, key)
    assert built == value
    assert type(built) is type(value)
    if isinstance(value, dict):
        assert [type(item) for item in built.values()] == [type(item) for item in value.values()]


@pytest.mark.parametrize(
    ("key", "given", "sentence"),
    [
        ("count", "many", "'many' is not a whole number"),
        ("count", "1e3", "'1e3' is not a whole number"),
        ("count", 2.0, "2.0 is not a whole number"),
        ("count", True, "true is not a whole number"),
        ("count", None, "null is not a whole number"),
        ("rate", "nan", "'nan' is not a number"),
        ("rate", "fast", "'fast' is not a number"),
        ("name", 7, "7 is not text"),
        ("other", 7, "7 is not text"),
        ("limit", "x", "'x' is not a whole number"),
        ("flag", 1, "1 is not true or false"),
        ("choice", "three", "'three' is not one of 'one', 'two'"),
        ("choice", ["one"], '["one"] is not one of'),
        ("sizes", "x", "'x' is not a mapping {name: value} where each value is a whole number"),
        ("sizes", {1: 2}, "1 is not text"),
        ("names", "a", "'a' is not a list [item, ...] where each item is text"),
        ("choices", ["c"], "'c' is not one of 'a', 'b'"),
    ],
)
def test_a_wrong_value_is_a_sentence_with_the_key_the_value_and_what_is_expected(key, given, sentence):
    with pytest.raises(ConfigError) as caught:
        build(Config, {"section": {key: given}})
    assert str(caught.value).startswith(f"section.{key}: {sentence}")


def test_the_sentence_says_where_the_value_was_given():
    places = {"section": "my.yaml:2", "section.count": "my.yaml:3", "section.rate": "--section.rate"}
    for values, start in [
        ({"count": "x"}, "my.yaml:3: section.count: 'x'"),
        ({"rate": "x"}, "--section.rate: 'x'"),
        ({"flag": "x"}, "my.yaml:2: section.flag: 'x'"),
        ({"sizes": {"token": "x"}}, "my.yaml:2: section.sizes.token: 'x'"),
        ({"cuont": 1}, "my.yaml:2: 'section.cuont' is not a known key; did you mean 'count'?"),
    ]:
        with pytest.raises(ConfigError) as caught:
            build(Config, {"section": values}, places)
        assert str(caught.value).startswith(start)


def test_what_is_not_given_has_the_default_of_its_section_not_of_its_class():
    assert build(Config, {}) == Config()
    assert build(Config, {"section": None}) == Config()
    assert build(Config, {"section": {"rate": 1.0}}).section == Section(count=7, name="b", rate=1.0)
    assert build(Config, {"section": Section(count=1)}).section == Section(count=1)


def test_a_section_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="section: 3 is not a section"):
        build(Config, {"section": 3})
