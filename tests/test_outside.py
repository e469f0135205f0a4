"""The doors: what comes from outside is bounded, and what is wrong with it is one sentence."""

import gzip
import json
import subprocess
import sys

import pytest

from seqloom.errors import ConfigError
from seqloom.outside import LIMITS, UnreadableError, limit, parse_json, parse_yaml, read_tensors, read_text, read_whole

BOMB = "a: &a {x: 1}\n" + "".join(
    f"{new}: &{new} {{p: *{old}, q: *{old}, r: *{old}, s: *{old}}}\n"
    for old, new in zip("abcdefghijklmn", "bcdefghijklmno", strict=True)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "aliases, written out"),
        ("a: &a [*a]", "inside what it is an alias of"),
        ("x: " + "[" * 3000 + "]" * 3000, "nested deeper than 100"),
        ("- " * 200 + "a", "nested deeper than 100"),
        ("a: " + "b" * 70_000, "70,003 characters"),
        ("a: !!timestamp 2001-99-99", "month must be in"),
        ("a: !!bool x", "a value is impossible"),
        ("a: !!int ''", "a value is impossible"),
        ("a: " + "7" * 5000, "a value is impossible"),
        ("a: \a", "unacceptable character"),
        ("a: !!python/name:os.system", "could not determine a constructor"),
        ("a: *b", "undefined alias"),
        ("? [1]\n: 2", "unhashable"),
        ("a: 'b", "found unexpected end of stream"),
    ],
)
def test_what_is_no_value_of_yaml_says_why(text, reason):
    with pytest.raises(UnreadableError, match=reason):
        parse_yaml(text)


def test_aliases_and_merged_keys_of_ordinary_size_are_read():
    assert parse_yaml("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]") == {
        "a": {"x": 1},
        "b": {"x": 1, "y": 2},
        "c": [{"x": 1}, {"x": 1}],
    }
    assert parse_yaml("") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "nested deeper"),
        ("[" * 101 + "]" * 101, "nested deeper than 100"),
        ('{"a":' * 200 + "1" + "}" * 200, "nested deeper than 100"),
        ("7" * 5000, "4300 digits"),
        ('{"a"', "Expecting"),
        (b"\xff", "decode"),
    ],
)
def test_what_is_no_value_of_json_says_why(text, reason):
    with pytest.raises(UnreadableError, match=reason):
        parse_json(text)


def test_lists_that_are_long_but_not_deep_are_read():
    value = [[1, [2]]] * 1000
    assert parse_json(json.dumps(value)) == value


def test_every_limit_can_be_set(monkeypatch):
    for name, (default, _) in LIMITS.items():
        assert limit(name) == default
        monkeypatch.setenv(f"SEQLOOM_MAX_{name}", "123")
        assert limit(name) == 123
        monkeypatch.setenv(f"SEQLOOM_MAX_{name}", "many")
        with pytest.raises(ConfigError, match=f"SEQLOOM_MAX_{name} is 'many'"):
            limit(name)
        monkeypatch.delenv(f"SEQLOOM_MAX_{name}")
    monkeypatch.setenv("SEQLOOM_MAX_DEPTH", "150")
    assert parse_yaml("[" * 120 + "]" * 120)


def test_a_file_that_is_to_be_held_whole_is_a_regular_one_of_bounded_size(tmp_path, monkeypatch):
    file = tmp_path / "a.json"
    file.write_bytes(b"\xef\xbb\xbfabc")
    assert read_text(file, "JSON") == "abc"
    monkeypatch.setenv("SEQLOOM_MAX_JSON", "5")
    with pytest.raises(UnreadableError, match="more than 5 bytes"):
        read_whole(file, "JSON")
    file.write_bytes(b"a\n\xff")
    with pytest.raises(UnreadableError, match="byte 2 is not UTF-8"):
        read_text(file, "JSON")
    for place, reason in ((tmp_path, "no regular file"), (tmp_path / "b", "No such file"), (tmp_path / "a\0", "null")):
        with pytest.raises(UnreadableError, match=reason):
            read_whole(place, "JSON")
    with pytest.raises(UnreadableError):
        read_tensors(file)


@pytest.mark.parametrize(
    "text",
    [
        f"extends: tag\nmodel:\n  {BOMB.replace(chr(10), chr(10) + '  ')}",
        "extends: tag\nmodel: [1, 2]\n",
        "extends: tag\nmodel:\n  ~: 3\n",
        "extends: tag\nmodel:\n  cell: " + "[" * 3000,
        "extends: tag\nmodel:\n  dropout_input: 1e308\n",
        "extends: tag\nmodel:\n  hidden_size: 1000000000000\n",
        "extends: tag\nmodel:\n  hidden_size: 0x" + "f" * 5000 + "\n",
        "extends: tag\nmodel:\n  layers: 100000000\n",
        "extends: tag\nmodel:\n  cell: \a\n",
        'extends: tag\ndata:\n  train: "a\\0b"\n',
        "extends: tag\ntraining:\n  epochs: !!timestamp 2001-99-99\n",
        "extends: tag\ntraining:\n  learning_rate: .nan\n",
        "extends: " + "x" * 5000,
        "!!set {extends: tag}",
        "extends: {a: 1}",
    ],
)
def test_a_hostile_recipe_is_one_sentence_and_status_2(text, tmp_path):
    from seqloom.app.main import main

    file = tmp_path / "recipe.yaml"
    file.write_text(text, encoding="utf-8")
    assert main(["train", str(file), "--data.train", "missing.conll", "--out", str(tmp_path / "run")]) == 2


def test_a_full_output_is_one_sentence():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "seqloom", "recipes"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 2
    assert done.stderr == "error: No space left on device; where that is the output, write it to another place\n"


def test_a_damaged_archive_of_json_lines_is_one_sentence(tmp_path):
    from seqloom.data import read

    file = tmp_path / "a.jsonl.gz"
    file.write_bytes(gzip.compress(b'{"text": "a b", "spans": ' + b"[" * 3000 + b"]" * 3000 + b"}\n"))
    with pytest.raises(ValueError, match=r"a\.jsonl\.gz:1: the line is not JSON \(nested deeper than 100"):
        read(file)
