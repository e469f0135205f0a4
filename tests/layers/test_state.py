"""The state of a layer is a value with the cell's own names."""

import copy
import pickle

import torch

from seqloom.layers.state import State, make_state, state_type


def example() -> State:
    return make_state(("h", "c"), (torch.arange(6.0).view(3, 1, 2), torch.ones(3, 1, 2, requires_grad=True) * 2))


def test_a_tuple_of_names_has_one_type():
    assert state_type(("h", "c")) is state_type(("h", "c"))
    assert state_type(("h",)) is not state_type(("h", "c"))
    h, c = example()
    assert (h.shape, c.shape) == ((3, 1, 2), (3, 1, 2))


def test_rows_are_chosen_by_number_or_by_mask():
    state = example()
    assert state.select(torch.tensor([2])).h.flatten().tolist() == [4.0, 5.0]
    assert state.select(torch.tensor([True, False, True])).h.flatten().tolist() == [0.0, 1.0, 4.0, 5.0]


def test_a_beam_may_repeat_and_drop_rows():
    assert example().reorder(torch.tensor([2, 0, 2])).h[:, 0, 0].tolist() == [4.0, 0.0, 4.0]


def test_detached_and_converted_values():
    state = example()
    assert state.c.requires_grad
    assert not state.detach().c.requires_grad
    assert state.to(torch.float64).h.dtype == torch.float64
    assert type(state.detach()) is type(state)


def test_a_state_survives_copying():
    state = example().detach()
    for twin in (copy.deepcopy(state), pickle.loads(pickle.dumps(state))):
        assert type(twin) is type(state)
        torch.testing.assert_close(tuple(twin), tuple(state))
    assert repr(state).startswith("State(h=")
