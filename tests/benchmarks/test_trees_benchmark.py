"""The benchmark of trees compares one Tree-LSTM with itself. Nothing here depends on how fast anything is."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest
import torch

from seqloom.layers.tree import NaryTreeLSTM


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    monkeypatch.delenv("SEQLOOM_DATA", raising=False)
    return importlib.import_module("trees")


@pytest.mark.parametrize("name", ["Buffered", "Joined", "GateByGate", "NodeByNode"])
def test_all_rivals_are_the_same_tree_lstm(benchmark, name):
    torch.manual_seed(0)
    (forest,) = benchmark.forests(1, 4)
    ours = NaryTreeLSTM(5, 5)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.normal_()
    words, weights = torch.randn(forest.leaves, 5, requires_grad=True), torch.randn(forest.total, 5)
    children = forest.children(2)

    def gradient(model):
        outputs = model(words, forest)[0] if model is ours else model(words, forest, children)
        return outputs, torch.autograd.grad((outputs * weights).sum(), words)[0]

    for found, expected in zip(gradient(getattr(benchmark, name)(ours)), gradient(ours), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_the_tables_are_printed(benchmark, monkeypatch, capsys):
    threads = torch.get_num_threads()
    monkeypatch.setattr("sys.argv", ["trees.py", "--repeats", "1", "--hidden", "4", "--batch", "2"])
    try:
        benchmark.main()
    finally:
        torch.set_num_threads(threads)
    shown = capsys.readouterr().out
    rows = [line.count("|") for line in shown.splitlines() if line.startswith("|")]
    assert rows == [13] * 5 + [7] * 3 + [5] * 5
