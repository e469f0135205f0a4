import random

import numpy as np
import torch

from seqloom.training.random_state import capture_random_state, restore_random_state, seed_everything


def draws() -> list[float]:
    return [random.random(), float(np.random.rand()), float(torch.rand(()))]


def test_each_process_restores_its_row_of_the_gathered_states() -> None:
    outside, cpu = capture_random_state(torch.device("cpu")), torch.device("cpu")
    states, expected = [], []
    for rank in range(3):
        seed_everything(5 + rank)
        states.append(capture_random_state(cpu))
        expected.append(draws())
    gathered = {name: torch.stack([state[name] for state in states]) for name in states[0]}
    for rank in range(3):
        restore_random_state({name: rows[rank] for name, rows in gathered.items()}, cpu)
        assert draws() == expected[rank]
    restore_random_state(outside, cpu)
