"""The judge finds what it is there to find: planted bugs are rejected, each alone, on every shape that can show them."""

from dataclasses import replace

import pytest

from seqloom.engine.runtime import backend

from .configurations import Configuration
from .judge import judge, truth_of
from .mutants import MUTANTS, backend_of

SHAPES = (
    Configuration("lstm", 5, 7, 4, 6, seed=4),
    Configuration("gru", 3, 17, 6, 9, seed=5),
    Configuration("lstm", 16, 33, 5, 24, layers=2, seed=6),
)


def rejected(monkeypatch, mutant, configuration):
    monkeypatch.setitem(backend.BACKENDS, "mutant", backend_of(mutant))
    return judge(configuration, "mutant")


@pytest.mark.parametrize("shape", SHAPES, ids=["small", "wide", "deep"])
@pytest.mark.parametrize("bug", MUTANTS)
def test_a_planted_bug_is_found(bug, shape, monkeypatch):
    mutant = MUTANTS[bug]()
    configuration = replace(shape, **mutant.needs)
    assert not rejected(monkeypatch, None, configuration), "the backend is wrong without the bug"
    assert rejected(monkeypatch, mutant, configuration), f"not found: {bug}"


def test_a_lucky_sample_of_the_plain_loop_does_not_condemn(monkeypatch):
    configuration = replace(SHAPES[0], cell="lstm")
    truth = truth_of(configuration)
    lucky = replace(truth, errors=dict.fromkeys(truth.errors, 0.0))
    monkeypatch.setattr("tests.engine.truth.judge.truth_of", lambda _: lucky)
    assert not rejected(monkeypatch, None, configuration)
