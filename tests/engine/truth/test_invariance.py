"""What must not matter does not: the padding, other rows, their order, where a sequence is cut, threads."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import pytest
import torch

from .configurations import Configuration, Data
from .judge import layer_of, limitation, require

CELLS = ("lstm", "gru", "rnn", "gru_before", "NormalisedLSTM", "DeepTransition", "Independent", "SmoothVocabulary")
RAGGED = Configuration("lstm", 7, 19, 6, 9, bidirectional=True, lengths="zeros", started=True, seed=2)
LENGTHS = torch.tensor([9, 4, 0, 7, 1, 4])
TOLERANCE = 2e-6

ALL_CELLS = pytest.mark.parametrize("cell", CELLS)


def subject(configuration, backend):
    """A layer, and x and the state that it is given, as leaves that want gradients."""
    if limitation(backend, configuration):
        pytest.skip(f"the {backend} backend refuses the cell")
    layer, data = layer_of(configuration, backend), Data.of(configuration)
    state = layer.initial_state(0)._make(data.state)
    return layer, data.x, state


def answer(layer, x, state, lengths):
    """Outputs, final states, and the gradients of x, the initial state and all parameters."""
    leaves = [x.clone().requires_grad_(), *(field.clone().requires_grad_() for field in state)]
    outputs, final = layer(leaves[0], state._make(leaves[1:]), lengths)
    loss = outputs.sin().sum() + sum(field.cos().sum() for field in final)
    gradients = torch.autograd.grad(loss, [*leaves, *layer.parameters()], materialize_grads=True)
    count = len(leaves)
    return [outputs.detach(), *(field.detach() for field in final)], gradients[:count], gradients[count:]


def close(found, wanted, tolerance=TOLERANCE):
    for left, right in zip(found, wanted, strict=True):
        largest = max(1.0, float(right.abs().max()) if right.numel() else 1.0)
        torch.testing.assert_close(left, right, atol=tolerance * largest, rtol=0)


@ALL_CELLS
@pytest.mark.parametrize("content", [1e30, math.inf, -math.inf, math.nan])
def test_the_content_of_the_padding_changes_no_bit_of_outputs_states_or_gradients(cell, content, backend):
    layer, x, state = subject(replace(RAGGED, cell=cell), backend)
    padding = (torch.arange(9) >= LENGTHS.unsqueeze(1)).unsqueeze(-1)
    clean = answer(layer, x.masked_fill(padding, 0.0), state, LENGTHS)
    soiled = answer(layer, x.masked_fill(padding, content), state, LENGTHS)
    for found, wanted in zip(soiled, clean, strict=True):
        for left, right in zip(found, wanted, strict=True):
            assert torch.equal(left, right)
    assert not soiled[1][0].masked_fill(~padding, 0.0).any(), "a gradient reaches the padding"
    with torch.no_grad():
        quiet = [layer(x.masked_fill(padding, value), state, LENGTHS)[0] for value in (0.0, content)]
    assert torch.equal(*quiet)


@ALL_CELLS
@pytest.mark.parametrize("content", [math.inf, math.nan])
@pytest.mark.parametrize("ragged", [False, True])
def test_what_is_not_finite_stays_in_its_row_and_after_its_step(cell, content, ragged, backend):
    layer, x, state = subject(replace(RAGGED, cell=cell, bidirectional=False), backend)
    lengths = LENGTHS if ragged else None
    spoilt = x.clone()
    spoilt[3, 2] = content
    others = torch.tensor([0, 1, 2, 4, 5])
    for found, wanted in zip(*(answer(layer, v, state, lengths)[:2] for v in (spoilt, x)), strict=True):
        for left, right in zip(found, wanted, strict=True):
            assert torch.equal(left[others], right[others])
    outputs, final = layer(spoilt, state, lengths)
    assert torch.equal(outputs[3, :2], layer(x, state, lengths)[0][3, :2]), "the past knows the future"
    if math.isnan(content):
        assert outputs[3, 2].isnan().any()
        assert final[0][3].isnan().any()


@ALL_CELLS
def test_a_state_that_is_not_finite_stays_in_its_row(cell, backend):
    layer, x, state = subject(replace(RAGGED, cell=cell), backend)
    spoilt = state._make(field.clone() for field in state)
    spoilt[0][1, 0] = math.nan
    others = torch.tensor([0, 2, 3, 4, 5])
    found, wanted = (answer(layer, x, start, LENGTHS) for start in (spoilt, state))
    for left, right in zip([*found[0], *found[1]], [*wanted[0], *wanted[1]], strict=True):
        assert torch.equal(left[others], right[others])


@ALL_CELLS
@pytest.mark.parametrize(("batch", "time"), [(0, 3), (2, 0), (0, 0), (2, 3)])
def test_nothing_to_do_is_legal_and_has_gradients(cell, batch, time, backend):
    layer, x, state = subject(replace(RAGGED, cell=cell, batch=batch, time=time), backend)
    for lengths in (torch.zeros(batch, dtype=torch.int32), *([] if batch * time else [None])):
        values, (d_x, *d_state), d_parameters = answer(layer, x, state, lengths)
        assert values[0].shape == (batch, time, layer.output_size)
        assert not values[0].any()
        assert not d_x.any()
        for field, gradient, start in zip(values[1:], d_state, state, strict=True):
            assert torch.equal(field, start)
            assert torch.equal(gradient, -start.sin()), "what is passed through passes its gradient through"
        assert not any(gradient.any() for gradient in d_parameters)


@ALL_CELLS
def test_rows_in_another_order_give_the_same_rows_in_that_order(cell, backend):
    layer, x, state = subject(replace(RAGGED, cell=cell, layers=2), backend)
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    values, given, parameters = answer(layer, x, state, LENGTHS)
    moved = answer(layer, x[order], state.reorder(order), LENGTHS[order])
    close([*moved[0], *moved[1]], [value[order] for value in (*values, *given)])
    close(moved[2], parameters, 1e-5)


@ALL_CELLS
def test_each_row_alone_gives_what_it_gives_in_a_batch(cell, backend):
    layer, x, state = subject(replace(RAGGED, cell=cell, layers=2), backend)
    values, given, parameters = answer(layer, x, state, LENGTHS)
    total = [torch.zeros_like(parameter) for parameter in parameters]
    for row in range(len(LENGTHS)):
        own, length = torch.tensor([row]), int(LENGTHS[row])
        alone = answer(layer, x[own, :length], state.select(own), None if length else torch.tensor([0]))
        close([alone[0][0]], [values[0][own, :length]])
        close(alone[0][1:], [value[own] for value in values[1:]])
        close([alone[1][0], *alone[1][1:]], [given[0][own, :length], *(value[own] for value in given[1:])])
        total = [sum_ + part for sum_, part in zip(total, alone[2], strict=True)]
    close(total, parameters, 1e-5)


@ALL_CELLS
@pytest.mark.parametrize("cut", [0, 1, 4, 8, 9])
def test_a_sequence_in_two_calls_gives_the_values_and_gradients_of_one(cell, cut, backend):
    layer, x, state = subject(replace(RAGGED, cell=cell, bidirectional=False, layers=2), backend)

    class Halves(torch.nn.Module):
        def parameters(self, recurse=True):
            return layer.parameters(recurse)

        def forward(self, x, start, lengths):
            first, between = layer(x[:, :cut], start, lengths.clamp(max=cut))
            second, final = layer(x[:, cut:], between, (lengths - cut).clamp(min=0))
            return torch.cat([first, second], 1), final

    for found, wanted in zip(*(answer(either, x, state, LENGTHS) for either in (Halves(), layer)), strict=True):
        close(found, wanted, 1e-5)


def test_the_configurations_of_this_file_are_true_themselves(backend):
    for cell in CELLS:
        if limitation(backend, replace(RAGGED, cell=cell)) is None:
            require(replace(RAGGED, cell=cell), backend)


@dataclass(frozen=True)
class Claim:
    """Two ways to compute a thing of which the compiled engine says that no bit differs."""

    ways: Literal["threads", "chunks", "rows"]
    """1 and 2 threads; the whole and chunks of ``chunk`` steps; a batch and its rows one by one."""
    configuration: Configuration
    chunk: int = 1
    gradients: bool = False


CLAIMS: tuple[Claim, ...] = ()
"""What the engine promises, one by one; nothing is promised that is not here."""


@pytest.mark.parametrize("claim", CLAIMS, ids=repr)
def test_two_ways_of_which_the_engine_says_so_agree_in_every_bit(claim, compiled):
    layer, x, state = subject(claim.configuration, compiled)
    lengths = Data.of(claim.configuration).lengths
    wanted = _one_way(claim, layer, x, state, lengths)
    found = _other_way(claim, layer, x, state, lengths)
    for left, right in zip(found, wanted, strict=True):
        assert torch.equal(left, right)


def _one_way(claim, layer, x, state, lengths):
    torch.set_num_threads(1)
    values, given, parameters = answer(layer, x, state, lengths)
    return [*values, *given, *parameters] if claim.gradients else values


def _other_way(claim, layer, x, state, lengths):
    if claim.ways == "threads":
        torch.set_num_threads(2)
        values, given, parameters = answer(layer, x, state, lengths)
        return [*values, *given, *parameters] if claim.gradients else values
    assert not claim.gradients, "gradients are promised for threads only"
    if claim.ways == "rows":
        parts = [
            answer(layer, x[row : row + 1], state.select(torch.tensor([row])), _row(lengths, row))[0]
            for row in range(len(x))
        ]
        return [torch.cat(of_rows) for of_rows in zip(*parts, strict=True)]
    outputs, step = [], claim.chunk
    for start in range(0, x.shape[1], step):
        rest = None if lengths is None else (lengths - start).clamp(0, min(step, x.shape[1] - start))
        output, state = layer(x[:, start : start + step], state, rest)
        outputs.append(output)
    return [torch.cat(outputs, 1), *state]


def _row(lengths, row):
    return None if lengths is None else lengths[row : row + 1]
