"""Effective memory lengths of recurrences whose memory is known."""

import math

import pytest
import torch

from seqloom import Recurrent
from seqloom.cells import Cell
from seqloom.learning.diagnosis import effective_memory, forward_memory, recurrences

torch.manual_seed(0)


class DelayLine(Cell):
    """The output is the input of three steps before."""

    state = ("h", "b", "a")

    def step(self, x, h, b, a):
        return b, a, self.matvec(x, name="in")


class Leaky(Cell):
    """h' = u h + W x."""

    def step(self, x, h):
        return self.vector("u") * h + self.matvec(x, name="in")


def test_a_delay_line_remembers_three_inputs_and_its_output_sees_the_oldest():
    (found,) = recurrences(Recurrent(DelayLine(2, 3)).double(), torch.randn(2, 10, 2).double())
    back, ahead = effective_memory(found), forward_memory(found)
    assert (back.steps, back.reached) == (3, True)
    assert back.effect == (0.0, 0.0, 1.0, *[0.0] * 7)
    assert (ahead.steps, ahead.reached) == (3, True)
    assert ahead.effect[3:] == (0.0,) * 7


@pytest.mark.parametrize("u", [0.3, 0.7, 0.9])
def test_a_leaky_integrator_forgets_when_its_factor_has(u):
    cell = Leaky(2, 3)
    with torch.no_grad():
        cell.parameter("vector_u").fill_(u)
    (found,) = recurrences(Recurrent(cell).double(), torch.randn(2, 60, 2).double())
    expected = math.ceil(math.log(0.01) / math.log(u))
    for reach in (effective_memory(found), forward_memory(found)):
        assert (reach.steps, reach.reached) == (expected, True)
        assert reach.effect[:20] == pytest.approx([u**distance for distance in range(20)], rel=1e-6)
    assert effective_memory(found, share=0.5).steps == math.ceil(math.log(0.5) / math.log(u))


def test_sequences_that_are_too_short_give_a_lower_bound():
    cell = Leaky(2, 3)
    with torch.no_grad():
        cell.parameter("vector_u").fill_(0.99)
    (found,) = recurrences(Recurrent(cell).double(), torch.randn(2, 8, 2).double())
    for reach in (effective_memory(found), forward_memory(found)):
        assert (reach.steps, reach.reached) == (8, False)
