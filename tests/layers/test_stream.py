"""Streams: a layer step by step and in chunks equals the layer over the whole sequence."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom import cells
from seqloom.cells import Cell
from seqloom.engine.operations import tanh
from seqloom.errors import ConfigError
from seqloom.layers.recurrent import Recurrent
from seqloom.layers.stream import Stream


def layer_of(name="lstm", inputs=5, units=8, **options):
    torch.manual_seed(1)
    return Recurrent(name, inputs, units, **options).eval()


def in_chunks(stream, x, sizes):
    """The outputs for x (B, T, D), in chunks of the given sizes and then step by step."""
    outputs, done = [stream.push(x[:, :0])], 0
    for size in sizes:
        outputs.append(stream.push(x[:, done : done + size]))
        done = min(done + size, x.shape[1])
    outputs += [stream.step(x[:, t])[:, None] for t in range(done, x.shape[1])]
    return torch.cat(outputs, 1)


@settings(deadline=None, max_examples=30)
@given(
    name=st.sampled_from(cells.names()), inputs=st.integers(1, 40), units=st.integers(1, 40), layers=st.integers(1, 3),
    residual=st.booleans(), batch=st.integers(1, 9), time=st.integers(0, 12), sizes=st.lists(st.integers(0, 5), max_size=4),
    bias=st.booleans(), started=st.booleans(), seed=st.integers(0, 9999),
)  # fmt: skip
def test_every_division_into_chunks_gives_the_offline_layers_outputs_and_state(
    name, inputs, units, layers, residual, batch, time, sizes, bias, started, seed
):
    torch.manual_seed(seed)
    layer = Recurrent(name, inputs, units, layers=layers, residual=residual, bias=bias).eval()
    x = torch.randn(batch, time, inputs)
    state = layer.initial_state(batch)
    if started:
        drawn = {name: torch.randn_like(field) for name, field in state._asdict().items()}
        positive = layer.first_cell.positive
        state = state._replace(**{name: v.abs() + 0.5 if name in positive else v for name, v in drawn.items()})
    stream = layer.stream(batch, state=state)
    with torch.no_grad():
        layer.backend = "reference"
        plain = layer(x, state)
        wanted, final = layer.double()(x.double(), state.to(torch.float64))
    # A quotient of small numbers (mLSTM's) is no nearer to the truth in the plain loop of the same precision.
    for found, loop, sought in zip(
        (in_chunks(stream, x, sizes), *stream.state), (plain[0], *plain[1]), (wanted, *final), strict=True
    ):
        near = 5e-6 + 4 * float((loop - sought).abs().max() if loop.numel() else 0.0)
        torch.testing.assert_close(found.double(), sought, atol=near, rtol=1e-5)


class Deep(Cell):
    """A cell with two products of its input, one after the other."""

    state = ("h",)

    def step(self, x, h):
        return tanh(self.affine(tanh(self.affine(x, name="below")), h))


class Carried(Cell):
    """A cell that uses its input as it is."""

    state = ("h",)

    def step(self, x, h):
        return x * tanh(self.affine(h)) + 0.5 * h


@pytest.mark.parametrize("weights", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("name", cells.names())
def test_steps_chunks_rows_alone_and_two_threads_are_the_same_bits(name, weights):
    layer, x = layer_of(name, 19, 37, layers=2), torch.randn(7, 60, 19)
    stream = layer.stream(7, weights=weights)
    whole, state = stream.push(x), stream.state
    stream.reset()
    assert torch.equal(in_chunks(stream, x, [1, 13, 0, 30]), whole)
    assert all(torch.equal(*fields) for fields in zip(stream.state, state, strict=True))
    alone = layer.stream(weights=weights)
    assert torch.equal(alone.push(x[4]), whole[4])
    shared = layer.stream(7, weights=weights, threads=2).push(x)
    if any(
        node.operation == "layer_norm" for node in layer.cells[0].graph.nodes
    ):  # each thread sums a part of the units
        torch.testing.assert_close(shared, whole, atol=0.02 if weights == "int8" else 1e-3, rtol=0)
    else:
        assert torch.equal(shared, whole)


@pytest.mark.parametrize("cell", [Carried, Deep], ids=lambda cell: cell.__name__)
def test_an_input_that_is_used_as_it_is_or_multiplied_twice_streams_too(cell):
    layer, x = layer_of(cell, 21, 21, layers=2), torch.randn(3, 9, 21)
    stream = layer.stream(3)
    assert stream.path == "native"
    torch.testing.assert_close(in_chunks(stream, x, [4]), layer(x)[0].detach())


def test_two_threads_share_a_large_step():
    layer, x = layer_of("lstm", 512, 512), torch.randn(3, 512)
    one, two = layer.stream(), layer.stream(threads=2)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert torch.equal(two.push(x), one.push(x))
        assert torch.equal(two.step(x[0]), one.step(x[0]))
    finally:
        torch.set_num_threads(before)


def test_arrays_and_tensors_of_any_layout_give_results_of_their_kind():
    layer, x = layer_of(), torch.randn(6, 5)
    wanted = layer.stream().push(x)
    stream = layer.stream()
    scattered = np.zeros((5, 12), np.float32).T
    scattered[::2] = x.numpy()
    readonly = x[1].numpy().copy()
    readonly.setflags(write=False)
    forms = [x[0], readonly, scattered[4], scattered[6:7], x.t().contiguous().t()[4], torch.nn.Parameter(x[5:6])]
    for t, form in enumerate(forms):
        result = stream.step(form)
        assert type(result) is (torch.Tensor if isinstance(form, torch.Tensor) else np.ndarray)
        assert result.shape == (*form.shape[:-1], 8)
        assert np.array_equal(np.asarray(result).reshape(-1), wanted[t])
    stream.reset()
    assert np.array_equal(stream.push(scattered[::2]), wanted)
    stream.reset()
    assert torch.equal(stream.push(x.flip(0).flip(0)[None]), wanted[None])
    stream.reset()
    backwards = np.ascontiguousarray(x.numpy()[::-1, ::-1])
    assert np.array_equal(stream.push(backwards[::-1, ::-1]), wanted)


def test_a_result_is_written_where_it_is_wanted_and_otherwise_new():
    layer, x = layer_of(), torch.randn(4, 5)
    wanted = layer.stream().push(x)
    stream = layer.stream()
    room = np.zeros((4, 8), np.float32)
    assert stream.step(x[0].numpy(), room[1])[0] == wanted[0, 0]
    assert np.array_equal(room[1], wanted[0])
    assert not room[[0, 2, 3]].any()
    tensor = torch.zeros(1, 8)
    assert stream.step(x[1], out=tensor) is tensor
    first = stream.step(x[2])
    kept = first.clone()
    stream.step(x[3])
    assert torch.equal(first, kept)


def test_the_state_goes_back_and_forth_between_stream_and_layer():
    layer, x = layer_of("lstm", layers=2), torch.randn(3, 10, 5)
    stream = layer.stream(3)
    stream.push(x[:, :4])
    held = stream.state
    with torch.no_grad():
        rest, final = layer(x[:, 4:], held)
    torch.testing.assert_close(stream.push(x[:, 4:]), rest)
    stream.state = held
    torch.testing.assert_close(stream.push(x[:, 4:]), rest)
    torch.testing.assert_close(stream.state.c, final.c)
    stream.state.c.zero_()
    held.c.zero_()
    torch.testing.assert_close(stream.state.c, final.c)
    with pytest.raises(ValueError, match=r"state.h has shape \(2, 2, 8\); expected \(3, 2, 8\)"):
        stream.state = layer.initial_state(2)


def test_weights_are_captured_until_they_are_refreshed():
    layer, x = layer_of(), torch.randn(6, 5)
    stream = layer.stream()
    before = stream.push(x[:3])
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(0.5)
        state = stream.state
        wanted, _ = layer(x[None, 3:], state)
    stream.reset()
    assert torch.equal(stream.push(x[:3]), before)
    stream.refresh()
    torch.testing.assert_close(stream.push(x[3:]), wanted[0])


def test_time_comes_first_where_the_layer_says_so():
    layer, x = layer_of("gru", batch_first=False), torch.randn(7, 2, 5)
    torch.testing.assert_close(layer.stream(2).push(x), layer(x)[0].detach())


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (lambda: layer_of("lstm", zoneout=0.2), "zoneout"),
        (lambda: layer_of("gru").double(), "float64"),
    ],
)
@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_what_the_kernels_cannot_run_streams_in_python_with_the_same_results(layer, why, weights):
    layer = layer()
    kind = next(layer.parameters()).dtype
    x = torch.randn(2, 6, 5, dtype=kind)
    stream = layer.stream(2, weights=weights)
    assert stream.path == "python"
    assert why in stream.reason
    with torch.no_grad():
        wanted, final = layer(x)
    close = {"atol": 1e-6, "rtol": 1e-5} if weights == "float32" else {"atol": 0.02, "rtol": 0}
    torch.testing.assert_close(in_chunks(stream, x, [2, 1]), wanted, **close)
    torch.testing.assert_close(stream.state.h, final.h, **close)
    assert stream.step(x[:, 0].numpy()).dtype == x.numpy().dtype
    with pytest.raises(ValueError, match="x has shape"):
        stream.step(x)


def test_what_does_not_fit_is_refused_in_one_sentence():
    stream = layer_of().stream()
    with pytest.raises(ValueError, match=r"x has shape \(4,\); expected \(1, 5\) or \(5,\)"):
        stream.step(np.zeros(4, np.float32))
    with pytest.raises(ValueError, match=r"x has shape \(2, 5\); expected \(1, 5\) or \(5,\)"):
        stream.step(torch.zeros(2, 5))
    with pytest.raises(ValueError, match="x is an array of type 'd'; expected a vector or matrix of float32"):
        stream.step(np.zeros(5))
    with pytest.raises(ValueError, match=r"x is a tensor of torch.float64"):
        stream.step(torch.zeros(5, dtype=torch.float64))
    with pytest.raises(ValueError, match="x is of type list; expected"):
        stream.step([0.0] * 5)
    with pytest.raises(ValueError, match="x is an array of 3 dimensions"):
        stream.step(torch.zeros(1, 1, 5))
    with pytest.raises(ValueError, match="x is an array of 0 dimensions"):
        stream.step(np.float32(1))
    with pytest.raises(ValueError, match="out has gaps"):
        stream.step(torch.zeros(5), torch.zeros(16)[::2])
    with pytest.raises(ValueError, match="out is no writable array"):
        stream.step(np.zeros(5, np.float32), b"0" * 32)
    with pytest.raises(ValueError, match=r"the chunk has shape \(3, 4\); expected \(B, T, D\) or \(T, D\)"):
        stream.push(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="the chunk is float64"):
        stream.push(np.zeros((3, 5)))
    with pytest.raises(ConfigError, match="cannot stream"):
        layer_of(bidirectional=True).stream()
    with pytest.raises(ConfigError, match=r"call layer.eval\(\) first"):
        layer_of(layers=2, dropout=0.5).train().stream()
    with pytest.raises(ConfigError, match="batch is 0; expected an integer"):
        layer_of().stream(0)
    with pytest.raises(ConfigError, match="weights is 'int4'; expected 'float32', 'bfloat16' or 'int8'"):
        layer_of().stream(weights="int4")


def test_what_is_not_a_number_stays_in_its_row():
    for weights in ("float32", "bfloat16", "int8"):
        layer, x = layer_of("lstm", 20, 20), torch.randn(8, 5, 20)
        wanted = layer.stream(8, weights=weights).push(x)
        x[2, 1, 3], x[5, 0, 7] = float("nan"), float("inf")
        found = layer.stream(8, weights=weights).push(x)
        good = [0, 1, 3, 4, 6, 7]
        assert torch.equal(found[good], wanted[good])
        assert found[2, 1:].isnan().all()
        assert torch.equal(found[2, 0], wanted[2, 0])


def test_a_stream_says_what_it_is():
    assert repr(Stream(layer_of(), 2, weights="bf16")) == "Stream(batch=2, weights='bfloat16', threads=1) native"
