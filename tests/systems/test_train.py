"""The one training of a system: what it looks for before it begins, and what Python and the command line share."""

import errno
import json
import pkgutil
import shutil
from collections import namedtuple

import pytest
import yaml
from safetensors import SafetensorError

import seqloom
from seqloom.app.main import main
from seqloom.errors import ConfigError, DataError, PlaceError
from seqloom.systems import baseline, train

TEXT = "Ann B-PER\nsaw O\nOslo B-LOC\n\nBo B-PER\nleft O\nRome B-LOC\n\nCy B-PER\nran O\n\n"
SECTIONS = {
    "model": {"features": {"token": 8, "characters": 0}, "hidden_size": 8},
    "training": {"epochs": 2, "tensorboard": False},
}
SENTENCES = [(["Ann", "saw", "Oslo"], ["B-PER", "O", "B-LOC"]), (["Bo", "ran"], ["B-PER", "O"])]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "train.conll"
    path.write_text(TEXT, encoding="utf-8")
    return str(path)


def test_python_trains_the_model_that_the_command_line_trains(file, tmp_path):
    data = {"train": file, "dev": file, "test": file}
    options = [f"--data.{role}={path}" for role, path in data.items()]
    options += ["--model.features.token", "8", "--model.features.characters", "0", "--model.hidden_size", "8"]
    options += ["--training.epochs", "2", "--training.tensorboard", "false"]
    assert main(["train", "tag", "--out", str(tmp_path / "typed"), *options]) == 0
    model = seqloom.train("tag", data=data, out=tmp_path / "called", **SECTIONS)
    weights = [(tmp_path / run / "model" / "weights.safetensors").read_bytes() for run in ("typed", "called")]
    assert weights[0] == weights[1]
    configurations = [yaml.safe_load((tmp_path / run / "config.yaml").read_text()) for run in ("typed", "called")]
    assert configurations[0] == configurations[1]
    assert model.about["command"].startswith("seqloom.train('tag', data=")
    again = seqloom.load(tmp_path / "typed" / "model")
    assert again.predict([["Ann", "ran"]]) == model.predict([["Ann", "ran"]])
    assert again.evaluate(file).values()["accuracy"] == model.about["scores"]["accuracy"]


def test_examples_in_memory_take_the_place_of_files(tmp_path):
    model = seqloom.train("tag", method="hmm", data={"train": SENTENCES, "dev": SENTENCES, "test": SENTENCES})
    assert model.predict([["Bo", "saw", "Oslo"]]) == [["B-PER", "O", "B-LOC"]]
    assert model.about["data"]["train"] == {"objects": 2}
    assert model.evaluate(SENTENCES)["span_f1"] == 1.0
    with pytest.raises(DataError, match=r"sentence\[1\] has 2 tokens and 1 tags"):
        seqloom.train("tag", method="hmm", data={"train": [SENTENCES[0], (["a", "b"], ["O"])]})


def test_a_mistake_in_python_is_the_sentence_of_the_command_line(file):
    with pytest.raises(ConfigError, match=r"'model\.hiden_size' is not a known key; did you mean 'hidden_size'"):
        seqloom.train("tag", data={"train": file}, model={"hiden_size": 3})
    with pytest.raises(ConfigError, match="neither a file nor a shipped recipe; did you mean 'tag'"):
        seqloom.train("tga", data={"train": file})
    with pytest.raises(ConfigError, match=r"data\.train is not given"):
        seqloom.train("tag")


def test_a_run_is_never_trained_over_and_is_resumed_when_asked(file, tmp_path):
    data = {"train": file, "dev": file}
    seqloom.train("tag", data=data, out=tmp_path / "run", **SECTIONS)
    with pytest.raises(ConfigError, match="holds a run already"):
        seqloom.train("tag", data=data, out=tmp_path / "run", **SECTIONS)
    seqloom.train("tag", data=data, out=tmp_path / "run", resume=True, **SECTIONS)


def test_a_missing_library_of_a_baseline_is_found_before_the_training(file, tmp_path, monkeypatch):
    found = baseline.importlib.util.find_spec
    monkeypatch.setattr(
        baseline.importlib.util, "find_spec", lambda name: None if name == "pycrfsuite" else found(name)
    )
    sentence = r"the method 'crf' needs pycrfsuite, which is not installed: pip install .*; or leave the method out"
    for settings in ({"baselines": ["hmm", "crf"]}, {"method": "crf"}):
        with pytest.raises(ConfigError, match=sentence):
            seqloom.train("tag", data={"train": file, "dev": file}, out=tmp_path / "run", **settings, **SECTIONS)
        # Nothing was begun, so the next try has the place.
        assert not (tmp_path / "run").exists()


def test_a_full_disk_is_found_before_the_training(file, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(10**9, 10**9, 2**20))
    with pytest.raises(ConfigError, match=r"the disk has 1 MiB free, and the run needs \d+ MiB"):
        seqloom.train("tag", data={"train": file, "dev": file}, out=tmp_path / "run", **SECTIONS)
    assert not (tmp_path / "run").exists()


def test_a_place_that_cannot_be_written_is_found_before_the_training(file, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigError, match=r"cannot be written \(Not a directory\)"):
        seqloom.train("tag", data={"train": file, "dev": file}, out=tmp_path / "file" / "run", **SECTIONS)


def test_evaluation_says_how_it_is_shown(file, tmp_path):
    seqloom.train("tag", data={"train": file, "dev": file}, out=tmp_path / "run", **SECTIONS)
    report = json.loads((tmp_path / "run" / train.EVALUATION).read_text(encoding="utf-8"))
    assert [panel["name"] for panel in report["shown"]["panels"]] == ["by_class", "confusion", "by_length", "worst"]
    assert report["shown"]["main"] == "f1"
    assert report["baselines"][0]["method"] == "lstm crf"


@pytest.mark.parametrize(
    ("place", "refusal"),
    [
        ("seqloom.training.checkpoint.save_file", OSError(errno.ENOSPC, "No space left on device")),
        ("seqloom.training.checkpoint.save_file", SafetensorError("Error: I/O error: No space (os error 28)")),
        ("seqloom.training.run_directory.os.fsync", OSError(errno.EIO, "Input/output error")),
        ("seqloom.training.checkpoint.os.replace", OSError(errno.EROFS, "Read-only file system")),
        ("seqloom.systems.saved.os.chmod", OSError(errno.EMFILE, "Too many open files")),
    ],
)
def test_a_write_that_fails_is_one_sentence_and_the_run_resumes(file, tmp_path, monkeypatch, place, refusal):
    owner, _, name = place.rpartition(".")
    owner = pkgutil.resolve_name(owner)
    original = getattr(owner, name)

    def refused(*arguments, **options):
        if (tmp_path / "run" / "checkpoints" / "last.safetensors").exists():
            raise refusal
        return original(*arguments, **options)

    data = {"train": file, "dev": file, "test": file}
    with monkeypatch.context() as planted:
        planted.setattr(owner, name, refused)
        with pytest.raises(PlaceError, match=r"^[^\n]*run: the training had to stop: [^\n]*--resume[^\n]*$"):
            seqloom.train("tag", data=data, out=tmp_path / "run", **SECTIONS)
    seqloom.train("tag", data=data, out=tmp_path / "whole", **SECTIONS)
    seqloom.train("tag", data=data, out=tmp_path / "run", resume=True, **SECTIONS)
    weights = [(tmp_path / run / "model" / "weights.safetensors").read_bytes() for run in ("run", "whole")]
    assert weights[0] == weights[1]
