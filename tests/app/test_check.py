import json

import pytest

from seqloom.app import check
from seqloom.errors import ConfigError

GOOD = "EU\tB-ORG\nrejects\tO\nLondon\tB-LOC\n\nPeter\tB-PER\nleft\tO\n\n"


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "test.conll"
    file.write_text(GOOD, encoding="utf-8")
    return file


def test_sound_data_are_described_and_pass(data, capsys):
    assert check.run([str(data)]) == 0
    printed = capsys.readouterr().out
    for expected in ("columns", "sentences", "B-ORG", "40.00 %", "sha256", "ready for a training"):
        assert expected in printed, expected


def test_an_error_is_listed_with_its_line_and_fails(data, tmp_path, capsys):
    train = tmp_path / "train.conll"
    train.write_text("EU\tB-ORG\nsleeps\tO\n\nParis\tB-LOC\n\n", encoding="utf-8")
    assert check.run([str(data), "--train", str(train)]) == 2
    printed = capsys.readouterr().out
    assert f"{data}:5" in printed
    assert "'B-PER'" in printed
    assert "not ready" in printed


def test_a_file_that_cannot_be_read_fails(data, capsys):
    data.write_text("one\ttwo\n\nthree\n", encoding="utf-8")
    assert check.run([str(data), "--as", "columns"]) == 2
    assert f"{data}:3" in capsys.readouterr().out
    assert check.run([str(data) + ".nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().out


def test_the_json_has_counts_and_findings(data, capsys):
    assert check.run([str(data), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["errors"] == 0
    assert found["corpora"]["data"]["tokens"] == 5
    assert all({"severity", "where", "message"} <= set(finding) for finding in found["findings"])


def test_three_files_and_the_words_of_vectors_are_described(tmp_path, capsys):
    for name, text in (("seq.in", "play Jazz\n"), ("seq.out", "O B-genre\n"), ("label", "PlayMusic\n")):
        (tmp_path / f"train.{name}").write_text(text, encoding="utf-8")
    (tmp_path / "vectors.txt").write_text("play 1 2\njazz 1 2\n", encoding="utf-8")
    assert check.run([str(tmp_path / "train"), "--embeddings", str(tmp_path / "vectors.txt")]) == 0
    printed = capsys.readouterr().out
    for expected in ("aligned", "sentence label", "PlayMusic", "lower case", "1 (50.0 %)"):
        assert expected in printed, expected
    assert check.run([str(tmp_path / "train"), "--tokens", "joint"]) == 2
    assert "train.seq.out:1" in capsys.readouterr().out


def test_labels_cannot_steer_the_terminal(data, capsys):
    data.write_text("a\tX\x1b[31m\nb\t[bold]Y\n\nc\tX\x1b[31m\n\n", encoding="utf-8")
    check.run([str(data), "--as", "columns"])
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "X␛[31m" in printed
    assert "[bold]Y" in printed


def test_a_long_list_of_labels_ends_in_a_sum(data, capsys):
    data.write_text("".join(f"w{n}\tT{n}\n" for n in range(50)) + "\n", encoding="utf-8")
    check.run([str(data), "--as", "columns"])
    assert "... 20 more" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--as", "wordy"], "--as: 'wordy' is not one of"),
        (["--encoding", "utf-99"], "utf-99"),
        (["--limit", "x"], "--limit: 'x' is not a whole number"),
    ],
)
def test_a_wrong_option_is_named(data, argv, sentence):
    with pytest.raises(ConfigError) as caught:
        check.run([str(data), *argv])
    assert sentence in str(caught.value)
