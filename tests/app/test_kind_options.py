"""A kind of data of one's own is checked and converted by the verbs, which do not know it."""

import json
import os
import sys
from pathlib import Path

import pytest

from seqloom.app import check, convert, own_code
from seqloom.app.command import command_line_of
from seqloom.app.main import main
from seqloom.data import kinds
from seqloom.errors import ConfigError

OWN = Path(__file__).with_name("pulse_kind.py")


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.delenv(own_code.ENVIRONMENT, raising=False)
    monkeypatch.setattr(kinds, "KINDS", {"tagged": kinds.KINDS["tagged"]})
    yield
    os.environ.pop(own_code.ENVIRONMENT, None)
    for name in [name for name, module in sys.modules.items() if getattr(module, "__file__", None) == str(OWN)]:
        del sys.modules[name]


@pytest.fixture
def verb(capsys):
    """Runs a verb with the file of the kind; its exit status, output, and what it told."""

    def run(*arguments):
        status = main([*map(str, arguments), "--import", str(OWN)])
        streams = capsys.readouterr()
        return status, streams.out, streams.err

    return run


@pytest.fixture
def pulses(tmp_path):
    file = tmp_path / "a.pulse"
    file.write_text("0,3\n1,12\n2,3\n", encoding="utf-8")
    return file


@pytest.fixture
def sentences(tmp_path):
    file = tmp_path / "a.conll"
    file.write_text("EU B-ORG\nrejects O\n\nLondon B-LOC\ncalls O\n", encoding="utf-8")
    return file


def test_the_data_say_of_which_kind_they_are(verb, pulses, sentences):
    status, printed, _ = verb("check", pulses)
    assert status == 0
    for expected in (
        "Series",
        "steps",
        "66.67 %",
        f"{pulses}:2",
        "12 is out of range",
        "ready for a training (1 warning)",
    ):
        assert expected in printed, expected
    status, printed, _ = verb("check", sentences, "--scheme", "bio")
    assert status == 0
    assert "bio as given" in printed
    assert verb("convert", sentences, "--to-scheme", "bioes")[1].startswith("EU S-ORG\n")


def test_the_options_of_the_kind_are_the_options_of_the_verb(verb, pulses):
    assert "nothing to note" in verb("check", "--highest", 12, pulses)[1]
    found = json.loads(verb("check", pulses, "--json", "--kind", "pulses")[1])
    assert (found["warnings"], found["sections"][0]["facts"]) == (1, {"steps": "3"})
    assert found["sections"][0]["distributions"] == {"value": {"3": 2, "12": 1}}


def test_an_error_fails(verb, pulses):
    pulses.write_text("0,x\n", encoding="utf-8")
    status, printed, _ = verb("check", pulses)
    assert status == 2
    assert f"{pulses}:1" in printed
    assert "'0,x' is not 'time,value'" in printed
    assert verb("convert", pulses)[::2] == (2, f"error: {pulses}:1: '0,x' is not 'time,value'\n")


def test_lines_and_bytes_are_converted_in_their_order(pulses, capfdbinary):
    status = main(["convert", str(pulses), "--import", str(OWN)])
    written, told = capfdbinary.readouterr()
    assert (status, written, told) == (0, b"[\n3,12,3]\n", b"3 steps\n")


def test_a_format_or_a_name_decides_before_the_look_of_the_file(verb, pulses, sentences):
    other = pulses.rename(pulses.with_suffix(".txt"))
    assert "steps" in verb("check", other, "--as", "pulse")[1]
    assert "steps" in verb("check", other, "--kind", "pulses")[1]
    assert "sentences" in verb("check", other)[1]
    assert "sentences" in verb("check", sentences, "--as", "columns")[1], "a format of both kinds"
    assert verb("check", sentences, "--kind", "pulses")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["FILE", "--scheme", "bio"], "'--scheme' is not an option of seqloom check --kind pulses"),
        (["FILE", "--shceme", "bio"], "'--shceme' is not an option of seqloom check; did you mean '--scheme'?"),
        (
            ["FILE", "--kind", "pulse"],
            "--kind: 'pulse' is not one of 'pulses', 'tagged' (seqloom check --help says how)",
        ),
        (["FILE", "--as", "puls"], "--as: 'puls' is not one of 'auto', 'pulse', 'columns'"),
        (["FILE", "--highest", "x"], "--highest: 'x' is not a whole number"),
        (["BINARY"], "none of the kinds of data recognises it; name its kind, one of pulses, tagged"),
        (["--highest", "3"], "seqloom check needs DATA"),
        (["--kind", "pulses"], "seqloom check --kind pulses needs DATA"),
        ([], "seqloom check needs DATA"),
    ],
)
def test_a_mistake_is_one_sentence(verb, pulses, tmp_path, arguments, complaint):
    (tmp_path / "binary").write_bytes(b"\0\1\2")
    places = {"FILE": pulses, "BINARY": tmp_path / "binary"}
    status, printed, told = verb("check", *(places.get(argument, argument) for argument in arguments))
    assert (status, printed) == (2, "")
    assert complaint in told
    assert told.count("\n") == 1


def test_what_is_not_there_is_told_as_before(verb, tmp_path):
    status, printed, _ = verb("check", tmp_path / "nothing")
    assert status == 2
    assert "there is no such file" in printed


@pytest.mark.parametrize(
    ("arguments", "shown", "hidden"),
    [
        ([], ["--kind {pulses,tagged}", "slashed", "pulse", "--json"], ["--scheme", "--highest"]),
        (["FILE"], ["--kind", "--highest", "--json"], ["--scheme"]),
        (["--as", "pulse"], ["--highest"], ["--scheme"]),
        (["--kind", "tagged"], ["--scheme", "--json"], ["--highest"]),
    ],
)
def test_the_help_is_about_the_kind_that_was_chosen(verb, pulses, capsys, arguments, shown, hidden):
    with pytest.raises(SystemExit) as end:
        verb("check", *(pulses if argument == "FILE" else argument for argument in arguments), "--help")
    printed = capsys.readouterr().out
    assert end.value.code == 0
    assert all(text in printed for text in shown)
    assert not any(text in printed for text in hidden)


def test_completion_knows_the_options_of_all_kinds(verb, pulses):
    verb("check", pulses)
    fields = {field.name: field for field in command_line_of(check.run, []).fields}
    assert {"highest", "scheme", "kind", "json"} <= fields.keys()
    assert {"pulse", "conllu"} <= set(fields["as"].kind.__args__)
    assert "to_scheme" in {field.name for field in command_line_of(convert.run, []).fields}


def test_a_single_kind_needs_no_name(sentences, capsys):
    with pytest.raises(ConfigError, match="'--kind' is not an option of seqloom check"):
        check.run([str(sentences), "--kind", "tagged"])


def test_the_verbs_import_no_kind_of_data():
    rooms = [place.parent.name for place in Path(kinds.__file__).parent.glob("*/__init__.py")]
    sources = [file.read_text(encoding="utf-8") for file in Path(check.__file__).parent.rglob("*.py")]
    assert "tagged" in rooms
    assert not [room for room in rooms for source in sources if f"seqloom.data.{room}" in source]
