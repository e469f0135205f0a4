"""Every script of ``examples/`` runs as it stands, in an empty directory."""

import runpy
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))
SAYS = {
    "accelerate": "LSTM runs on the engine",
    "learning_algorithms": "rtrl: exact, forward in time       cosine with bptt  1.0000",
    "own_cell": "update 400: squared error 0.00",
    "stream": "microseconds a step",
    "tagger": "Carla/S-PER met/O Bob/S-PER in/O Rome/S-LOC ./O",
}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_runs_and_says_what_it_promises(script, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script)])
    runpy.run_path(str(script), run_name="__main__")
    assert SAYS[script.stem] in capsys.readouterr().out


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_is_short(script):
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 40
