"""Steps that are taken one by one from outside the loop."""

from types import ModuleType

import torch

from seqloom.training.optimiser import build_optimiser
from seqloom.training.processes import Processes
from seqloom.training.random_state import capture_random_state, restore_random_state, seed_everything
from seqloom.training.run_state import RunState
from seqloom.training.updates import Updates

CPU = torch.device("cpu")


def begin(harness: ModuleType) -> Updates:
    task, config = harness.ToyTask(), harness.CONFIG
    seed_everything(config.seed)
    task.module.train()
    return Updates(task, config, build_optimiser(task.module, config), Processes(config), RunState())


def test_two_runs_that_take_turns_learn_what_each_learns_alone(harness: ModuleType) -> None:
    alone = begin(harness)
    losses = [alone.take().total for _ in range(16)]
    turns = [begin(harness), begin(harness)]
    randomness = [capture_random_state(CPU)] * 2
    found: list[list[float]] = [[], []]
    for block in range(4):
        for run in (0, 1) if block % 2 else (1, 0):
            restore_random_state(randomness[run], CPU)
            found[run] += [turns[run].take().total for _ in range(4)]
            randomness[run] = capture_random_state(CPU)
    assert found == [losses, losses]
    for steps in turns:
        for name, parameter in alone.task.module.named_parameters():
            assert torch.equal(parameter, steps.task.module.get_parameter(name)), name


def test_steps_count_batches_into_epochs(harness: ModuleType) -> None:
    steps = begin(harness)
    batches = len(steps.task.plan(0))
    for taken in range(2 * batches + 1):
        epochs, rest = divmod(taken, batches)
        assert steps.epochs_done == epochs + rest / batches
        steps.take()
    assert (steps.state.epoch, steps.state.batch, steps.state.step) == (2, 1, 2 * batches + 1)
