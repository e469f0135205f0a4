"""Penalties on the parameters, in the loop that trains with them."""

import dataclasses
from types import ModuleType
from typing import Any

import pytest
from torch import nn

from seqloom.learning import orthogonality
from seqloom.training.optimiser import build_optimiser
from seqloom.training.processes import Processes
from seqloom.training.random_state import seed_everything
from seqloom.training.run_state import RunState
from seqloom.training.updates import Updates

from ..learning.sequences import layer_of


def test_training_makes_weights_zero_and_holds_matrices_orthogonal(harness: ModuleType) -> None:
    class Task(harness.ToyTask):  # type: ignore[name-defined,misc]
        """The toy task with a recurrence that the loss does not use, so that only the penalty moves it."""

        def __init__(self) -> None:
            super().__init__(dropout=0.0)
            self.module["idle"] = layer_of("lstm").float()

    def run(**settings: Any) -> nn.Module:
        task = Task()
        config = dataclasses.replace(harness.CONFIG, learning_rate=0.02, schedule="constant", **settings)
        seed_everything(1)
        steps = Updates(task, config, build_optimiser(task.module, config), Processes(config), RunState())
        for _ in range(120):
            steps.take()
        return task.module

    start = float(orthogonality(layer_of("lstm")).detach())
    plain, penalised = run(), run(l1=0.5, orthogonality=0.5, clip_value=0.5)
    assert float(orthogonality(plain["idle"]).detach()) == pytest.approx(start, rel=1e-5)
    assert (plain["out"].weight == 0).sum() == 0
    assert (penalised["out"].weight == 0).any()
    orthogonal = run(orthogonality=0.5)
    assert float(orthogonality(orthogonal["idle"]).detach()) < 0.1 * start
