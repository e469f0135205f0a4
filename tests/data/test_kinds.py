"""Kinds of data: which one a file is of, and the check that Python offers."""

import codecs

import pytest

import seqloom
from seqloom.data import kinds
from seqloom.data.check_report import CheckReport, Section
from seqloom.data.findings import Finding
from seqloom.data.tagged.kind import TaggedKind
from seqloom.errors import ConfigError


class Wave:
    name, formats = "wave", ("raw", "jsonl")

    def recognises(self, path):
        return path.name.endswith(".wave")


@pytest.fixture
def alone(monkeypatch):
    monkeypatch.setattr(kinds, "KINDS", {"tagged": kinds.KINDS["tagged"]})


@pytest.fixture
def registered(alone):
    kinds.register_kind(Wave)


def test_every_kind_has_its_name_and_an_ability():
    able = {**kinds.checkable(), **kinds.convertible()}
    assert able.keys() == kinds.KINDS.keys()
    assert all(kind.name == name and "auto" not in kind.formats for name, kind in able.items())


def test_a_kind_without_an_ability_is_not_asked_for_it(registered):
    assert list(kinds.KINDS) == ["wave", "tagged"]
    assert list(kinds.checkable()) == list(kinds.convertible()) == ["tagged"]


def test_a_name_is_taken_once(registered):
    assert kinds.register_kind(Wave) is Wave
    with pytest.raises(ConfigError, match="a kind of data called 'wave' is registered already"):
        kinds.register_kind(type("Other", (Wave,), {}))


def test_the_name_decides_then_the_format_then_the_look(tmp_path):
    known = {"wave": Wave(), "tagged": TaggedKind()}
    wave, text = tmp_path / "a.wave", tmp_path / "a.txt"
    wave.write_bytes(b"\0\1")
    text.write_text("我 是\n", encoding="utf-8")

    def chosen(*arguments):
        return kinds.choose(known, *arguments).name

    assert chosen(wave, "conllu", "wave") == "wave"
    assert chosen(wave, "conllu") == "tagged"
    assert (chosen(wave, "jsonl"), chosen(text, "jsonl")) == ("wave", "tagged")
    assert (chosen(wave), chosen(text)) == ("wave", "tagged")
    assert (chosen("-"), chosen(tmp_path / "nothing")) == ("tagged", "tagged")
    for arguments, complaint in [
        ((text, "auto", "waves"), "'waves' is not a known kind of data; did you mean 'wave'"),
        ((text, "rwa"), "'rwa' is not a known format; did you mean 'raw'"),
        ((tmp_path,), "none of the kinds of data recognises it; name its kind, one of wave, tagged"),
    ]:
        with pytest.raises(ConfigError, match=complaint):
            chosen(*arguments)


def test_text_aligned_files_and_damaged_archives_pass_for_tagged_text(tmp_path):
    contents = {
        "text": b"caf\xe9 O\n",
        "empty": b"",
        "damaged.gz": b"\x1f\x8b\x08\0\0\0",
        "p.seq.in": b"a\n",
        "p.seq.out": b"O\n",
        "p.label": b"X\n",
        "q.seq.in": b"a\n",
        "binary": b"RIFF\0\0",
        "wide": codecs.BOM_UTF16_LE + "a".encode("utf-16-le"),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    kind = TaggedKind()
    recognised = {name for name in (*contents, "p", "q", "nothing") if kind.recognises(tmp_path / name)}
    assert recognised == contents.keys() - {"binary", "wide"} | {"p", "q"}


def test_python_checks_as_the_command_line_does(alone, tmp_path):
    file = tmp_path / "a.conll"
    file.write_text("a B-X\nb I-X\nc O\n", encoding="utf-8")
    report = seqloom.check(file)
    assert report.is_usable
    assert report.to_dict()["corpora"]["data"]["spans"] == {"X": 1}
    compared = seqloom.check(str(file), kind="tagged", as_="columns", train=file, scheme="bilou")
    assert (set(compared.to_dict()["corpora"]), compared.count("warning") > 0) == ({"train", "data"}, True)
    with pytest.raises(ConfigError, match="'shceme' is not a known key; did you mean 'scheme'"):
        seqloom.check(file, shceme="bio")
    with pytest.raises(ConfigError, match="as: 'words' is not one of 'auto', 'columns'"):
        seqloom.check(file, as_="words")


def test_a_report_puts_errors_first_and_counts_them():
    findings = [Finding(severity, "k", "f:1", severity) for severity in ("note", "error", "warning", "note")]
    report = CheckReport(tuple(findings), (Section([("steps", "3")], {"value": {"a": 2}}),))
    assert [severity for severity, _, _ in report.rows()] == ["error", "warning", "note", "note"]
    assert not report.is_usable
    found = report.to_dict()
    assert (found["errors"], found["warnings"], found["notes"]) == (1, 1, 2)
    assert found["sections"] == [{"title": "", "facts": {"steps": "3"}, "distributions": {"value": {"a": 2}}}]
