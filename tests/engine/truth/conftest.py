"""The backends under test: all that there are but the reference, which is the truth; and the compiled one, by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from seqloom.engine.runtime.backend import BACKENDS, ENVIRONMENT

COMPILED = "cpu"


@pytest.hookimpl(trylast=True)  # all backends of a cell one after the other, so that they share its truth
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", [name for name in BACKENDS if name != "reference"])


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread, no wish in the environment, and nothing of either left behind."""
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def compiled() -> str:
    """The name of the compiled backend; skips where it was not built."""
    if COMPILED not in BACKENDS:
        pytest.skip(f"there is no '{COMPILED}' backend in this build")
    return COMPILED
