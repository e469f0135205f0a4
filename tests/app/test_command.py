from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest

from seqloom.app.command import parse
from seqloom.errors import ConfigError


@dataclass(frozen=True)
class Section:
    train: Annotated[Path | None, "training data"] = None
    limit: Annotated[int, "read only so many items, 100% by default"] = 0


@dataclass(frozen=True)
class Options:
    run: Annotated[Path, "a run directory"]
    more: Annotated[tuple[Path, ...], "further runs"] = ()
    out: Annotated[Path | None, "where to write"] = None
    count: Annotated[int, "how many"] = 3
    rate: Annotated[float, "how fast"] = 0.5
    scheme: Annotated[Literal["bio", "bioes"] | None, "the scheme"] = None
    columns: Annotated[tuple[str, ...], "columns"] = ()
    as_: Annotated[str, "format"] = "auto"
    json: Annotated[bool, "print JSON"] = False
    data: Section = Section()


@dataclass(frozen=True)
class Plain:
    name: Annotated[str, "any text"]


def parsed(*argv: str) -> Options:
    return parse(Options, argv, verb="demo", summary="a demo", positional=("run", "more"))


def test_every_kind_of_option_arrives_with_its_own_type():
    line = (
        "r a b --out o --count 5 --rate 1e-3 --scheme bio --as csv --columns x y --json --data.train t --data.limit=7"
    )
    assert parsed(*line.split()) == Options(
        run=Path("r"),
        more=(Path("a"), Path("b")),
        out=Path("o"),
        count=5,
        rate=1e-3,
        scheme="bio",
        as_="csv",
        columns=("x", "y"),
        json=True,
        data=Section(Path("t"), 7),
    )


def test_options_may_stand_between_arguments():
    assert parsed("r", "--count", "5", "a", "--json", "b") == Options(
        Path("r"), more=(Path("a"), Path("b")), count=5, json=True
    )


def test_what_is_not_given_has_its_default():
    assert parsed("r") == Options(run=Path("r"))


@pytest.mark.parametrize("text", ["7", "null", "true", "[1, 2]", "{a: b}", "1e5", "a: b", "中国", " "])
def test_text_stays_the_text_that_was_typed(text):
    assert parse(Plain, [text], verb="demo", positional=("name",)) == Plain(text)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ("r --outt x", "'--outt' is not an option of seqloom demo; did you mean '--out'?"),
        ("r --train x", "'--train' is not an option of seqloom demo; did you mean '--data.train'?"),
        ("r --run x", "'--run' is not an option of seqloom demo"),
        ("r --js", "'--js' is not an option of seqloom demo"),
        ("r --count many", "--count: 'many' is not a whole number"),
        ("r --rate fast", "--rate: 'fast' is not a number"),
        ("r --scheme iob9", "--scheme: 'iob9' is not one of 'bio', 'bioes'"),
        ("r --data.limit x", "--data.limit: 'x' is not a whole number"),
        ("r --count", "--count needs a value, a whole number"),
        ("r --json=5", "--json takes no value"),
        ("", "seqloom demo needs RUN"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_option_the_value_and_the_expectation(argv, sentence):
    with pytest.raises(ConfigError) as caught:
        parsed(*argv.split())
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_a_superfluous_argument_is_refused():
    with pytest.raises(ConfigError, match="seqloom demo has no place for 'b'"):
        parse(Plain, ["a", "b"], verb="demo", positional=("name",))


def test_help_prints_every_option_and_exits_with_zero(capsys):
    with pytest.raises(SystemExit) as caught:
        parsed("--help")
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    for text in ("seqloom demo", "a demo", "a run directory", "--data.limit", "100% by default", "print JSON"):
        assert text in printed


def test_an_argument_that_begins_with_a_dash_follows_a_double_dash():
    assert parse(Plain, ["--", "--odd"], verb="demo", positional=("name",)) == Plain("--odd")
