"""The sequence layer: lengths, directions, stacks, noise, streaming, and the choice of the backend."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom import cells
from seqloom.errors import ConfigError
from seqloom.layers.explanation import explain
from seqloom.layers.recurrent import Recurrent

BOTH = pytest.mark.parametrize("backend", [None, "derived", "reference"])


def layer_of(name="gru", **options):
    torch.manual_seed(1)
    return Recurrent(name, 3, 4, **options).double()


def sequences(batch=4, time=6):
    torch.manual_seed(2)
    return torch.randn(batch, time, 3, dtype=torch.float64)


@settings(deadline=None, max_examples=25)
@given(
    name=st.sampled_from(cells.names()), lengths=st.lists(st.integers(0, 6), max_size=5), spare=st.integers(0, 3),
    layers=st.integers(1, 2), bidirectional=st.booleans(), merge=st.sampled_from(["concat", "sum", "mean"]),
    residual=st.booleans(), started=st.booleans(), seed=st.integers(0, 9999),
)  # fmt: skip
def test_any_layer_on_any_lengths_equals_its_rows_alone_and_every_backend(
    name, lengths, spare, layers, bidirectional, merge, residual, started, seed
):
    torch.manual_seed(seed)
    layer = Recurrent(
        name, 3, 4, layers=layers, bidirectional=bidirectional, merge=merge, residual=residual
    ).double()  # fmt: skip
    x = torch.randn(len(lengths), max(lengths, default=0) + spare, 3, dtype=torch.float64)
    state = layer.initial_state(len(lengths))
    state = state._make(torch.randn_like(field) for field in state) if started else None
    outputs, final = layer(x, state, torch.tensor(lengths, dtype=torch.int32))
    layer.backend = "reference"
    for row, length in enumerate(lengths):
        start = None if state is None else state.select(torch.tensor([row]))
        alone, end = layer(x[row : row + 1, :length], start)
        torch.testing.assert_close(outputs[row, :length], alone[0], atol=1e-12, rtol=0)
        assert not outputs[row, length:].any()
        for field, wanted in zip(final, end, strict=True):
            # Sums of sLSTM grow without bound, and their rounding with them.
            torch.testing.assert_close(field[row], wanted[0], atol=1e-12, rtol=1e-12)


@BOTH
@pytest.mark.parametrize("name", cells.names())
def test_garbage_in_the_padding_changes_nothing_even_when_it_is_not_a_number(name, backend):
    layer, x, lengths = layer_of(name, bidirectional=True, backend=backend), sequences(), torch.tensor([6, 2, 0, 5])
    wanted, _ = layer(x, None, lengths)
    outputs, _ = layer(x.masked_fill((torch.arange(6) >= lengths[:, None])[..., None], float("nan")), None, lengths)
    assert torch.equal(outputs, wanted)


@BOTH
def test_turning_time_and_exchanging_the_directions_turns_the_outputs(backend):
    layer, x = layer_of(bidirectional=True, backend=backend), sequences()
    wanted, _ = layer(x)
    layer.cells = torch.nn.ModuleList([layer.cells[1], layer.cells[0]])
    forward, backward = layer(x.flip(1))[0].flip(1).chunk(2, -1)
    torch.testing.assert_close(torch.cat([backward, forward], -1), wanted, atol=1e-14, rtol=0)


def test_time_first_is_a_transpose():
    layer, x = layer_of(bidirectional=True), sequences()
    lengths = torch.tensor([3, 6, 1, 0])
    wanted, state = layer(x, None, lengths)
    layer.batch_first = False
    outputs, same = layer(x.transpose(0, 1), None, lengths)
    assert torch.equal(outputs.transpose(0, 1), wanted)
    assert torch.equal(same.h, state.h)


def test_merging_and_residuals_are_what_they_say():
    x = sequences()
    concat = layer_of(bidirectional=True)
    forward, backward = concat(x)[0].chunk(2, -1)
    assert torch.equal(layer_of(bidirectional=True, merge="sum")(x)[0], forward + backward)
    assert torch.equal(layer_of(bidirectional=True, merge="mean")(x)[0], (forward + backward) / 2)
    plain, residual = layer_of(layers=2), layer_of(layers=2, residual=True)
    below, _ = layer_of()(x)
    torch.testing.assert_close(residual(x)[0], plain(x)[0] + below)
    assert torch.equal(layer_of(residual=True)(x)[0], below), "the first layer has no residual"


@pytest.mark.parametrize("name", cells.names())
@pytest.mark.parametrize("residual", [False, True])
def test_streaming_equals_the_whole_for_every_cut(name, residual):
    layer, x = layer_of(name, layers=2, zoneout=0.3, residual=residual).eval(), sequences(2, 5)
    wanted, final = layer(x)
    for cut in range(6):
        first, state = layer(x[:, :cut])
        second, state = layer(x[:, cut:], state)
        torch.testing.assert_close(torch.cat([first, second], 1), wanted, atol=1e-14, rtol=0)
    state, outputs = None, []
    for t in range(5):
        output, state = layer.step(x[:, t], state)
        outputs.append(output)
    torch.testing.assert_close(torch.stack(outputs, 1), wanted, atol=1e-14, rtol=0)
    torch.testing.assert_close(tuple(state), tuple(final), atol=1e-14, rtol=0)


NOISES = {"dropout_input": 0.3, "dropout": 0.3, "dropout_output": 0.3, "dropout_state": 0.3, "zoneout": 0.3}


@pytest.mark.parametrize("noise", NOISES)
def test_each_noise_acts_in_training_and_rests_in_evaluation(noise):
    layer, plain, x = layer_of("lstm", layers=2, **{noise: 0.4}), layer_of("lstm", layers=2), sequences()
    assert not torch.allclose(layer(x)[0], layer(x)[0])
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])
    if noise != "zoneout":
        torch.testing.assert_close(layer(x)[0], plain(x)[0], atol=1e-14, rtol=0)


@pytest.mark.parametrize("name", cells.names())
def test_a_dropped_state_leaves_only_what_is_carried_elementwise(name):
    layer, x = layer_of(name, dropout_state=1.0), sequences()
    clean = layer_of(name)
    cell = clean.cells[0]
    absent = {
        key: torch.zeros_like(cell.parameter(key))
        for key, declared in cell.graph.declarations.items()
        if declared.role == "recurrent" and declared.shape[1] == cell.state_sizes[0]
    }
    with cell.replaced_parameters(absent):
        torch.testing.assert_close(layer(x)[0], clean(x)[0], atol=1e-14, rtol=0)


def test_the_mask_of_dropout_state_is_one_per_sequence():
    layer = Recurrent("rnn", 1, 4, dropout_state=0.5).double()
    cell = layer.cells[0]
    cell.weight_h.data, cell.weight_x.data = 0.5 * torch.eye(4).double(), torch.ones(4, 1).double()
    torch.manual_seed(7)
    outputs, _ = layer(torch.full((50, 8, 1), 0.5, dtype=torch.float64))
    alone = torch.tanh(torch.tensor(0.5, dtype=torch.float64))
    dropped = torch.isclose(outputs[:, 1:], alone)
    assert torch.equal(dropped.all(1), dropped.any(1)), "a unit is dropped at every step of a row or at none"
    assert 0.3 < dropped.double().mean() < 0.7


def test_zoneout_keeps_old_values_at_its_rate_and_takes_the_mean_when_evaluating():
    layer, x = layer_of("rnn", zoneout=0.25), torch.randn(200, 6, 3, dtype=torch.float64)
    outputs, _ = layer(x)
    kept = (outputs[:, 1:] == outputs[:, :-1]).double().mean()
    assert abs(kept - 0.25) < 0.03
    one = layer.eval()(x[:, :1])[0]
    torch.testing.assert_close(one, 0.75 * layer_of("rnn")(x[:, :1])[0])


def test_a_rate_of_one_zones_everything_out():
    assert not layer_of(zoneout=1.0)(sequences())[0].any()


@BOTH
@pytest.mark.parametrize(("batch", "time"), [(0, 3), (2, 0), (0, 0)])
def test_nothing_in_nothing_out(batch, time, backend):
    layer = layer_of("lstm", layers=2, bidirectional=True, backend=backend)
    outputs, state = layer(torch.zeros(batch, time, 3, dtype=torch.float64), None, torch.zeros(batch, dtype=torch.long))
    assert outputs.shape == (batch, time, 8)
    assert state.c.shape == (batch, 4, 4)


def test_all_rows_empty_keeps_the_state():
    layer = layer_of("lstm", bidirectional=True)
    state = layer.initial_state(4)._make(torch.randn(4, 2, 4, dtype=torch.float64) for _ in range(2))
    outputs, final = layer(sequences(), state, torch.zeros(4, dtype=torch.long))
    assert not outputs.any()
    torch.testing.assert_close(tuple(final), tuple(state), atol=0, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"lengths": torch.tensor([6, 6, 6, 7])}, r"lengths\[3\] is 7 but x has T = 6 time steps"),
        ({"lengths": torch.tensor([6, -1, 6, 7])}, r"lengths\[1\] is -1 but x has T = 6 time steps"),
        ({"lengths": torch.tensor([6, 6])}, r"lengths has shape \(2,\) .* expected \(4,\) integers"),
        ({"lengths": torch.ones(4)}, r"lengths has shape \(4,\) and type torch\.float32; expected \(4,\) integers"),
        ({"x": torch.zeros(4, 6, 5)}, r"x has shape \(4, 6, 5\); expected \(B, T, D\) with D = 3 features"),
        ({"x": torch.zeros(4, 3)}, r"x has shape \(4, 3\); expected \(B, T, D\)"),
        ({"state": (torch.zeros(4, 1, 4),) * 2}, r"state has 2 fields; expected 1: h"),
        ({"state": (torch.zeros(1, 4, 4),)}, r"state\.h has shape \(1, 4, 4\); expected \(4, 1, 4\)"),
        ({"state": torch.zeros(4, 1, 4)}, r"state has 4 fields; expected 1: h"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(arguments, says):
    with pytest.raises(ValueError, match=says):
        layer_of()(**{"x": sequences(), **arguments})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cell": "gruu"}, r"'gruu' is not a known cell; did you mean 'gru'\?"),
        ({"cell": torch.nn.GRU}, "expected a name, a Cell class or a Cell"),
        ({"layers": 0}, "layers is 0; expected an integer of at least 1"),
        ({"merge": "max"}, "merge is 'max'; expected 'concat', 'sum' or 'mean'"),
        ({"dropout": 1.5}, "dropout is 1.5; expected a probability"),
        ({"zoneout": float("nan")}, "zoneout is nan; expected a probability"),
        ({"hidden_size": None}, "hidden_size is missing"),
        ({"backend": "vendr"}, r"backend: 'vendr' is not a known backend; did you mean 'vendor'\?"),
        ({"cell": cells.GRU(3, 5)}, "hidden_size is 4 but the cell that was passed has 5"),
    ],
)
def test_wrong_options_are_refused_at_once(options, says):
    with pytest.raises(ConfigError, match=says):
        Recurrent(**{"cell": "gru", "input_size": 3, "hidden_size": 4, **options})


def test_a_bidirectional_layer_does_not_stream():
    with pytest.raises(ConfigError, match="cannot run step by step"):
        layer_of(bidirectional=True).step(sequences()[:, 0])


def test_an_instance_is_the_first_cell_itself():
    cell = cells.LSTM(3, 4)
    layer = Recurrent(cell, layers=2, bidirectional=True)
    assert layer.cells[0] is cell
    assert [len(list(layer.cells)), layer.cells[2].input_size, layer.output_size] == [4, 8, 8]


def test_the_environment_and_the_argument_choose_the_backend(monkeypatch):
    layer = layer_of()
    assert explain(layer).choices[0].backend == "vendor"
    monkeypatch.setenv("SEQLOOM_BACKEND", "reference")
    assert explain(layer).choices[0].backend == "reference"
    assert "SEQLOOM_BACKEND" in str(explain(layer))
    layer.backend = "vendor"
    assert explain(layer).choices[0].backend == "vendor"
    monkeypatch.setenv("SEQLOOM_BACKEND", "fastest")
    layer.backend = None
    with pytest.raises(ConfigError, match="SEQLOOM_BACKEND: 'fastest' is not a known backend"):
        layer(sequences())


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("gru_before", {}, "torch has no kernel for GRUBefore"),
        ("gru", {"zoneout": 0.1}, "no dropout_state and no zoneout"),
        ("gru", {"dropout_state": 0.1}, "no dropout_state and no zoneout"),
    ],
)
def test_an_impossible_backend_says_why(name, options, says):
    layer = layer_of(name, backend="vendor", **options)
    with pytest.raises(ConfigError, match=f"backend: 'vendor' cannot run this layer: .*{says}"):
        layer(sequences())
    layer.backend = None
    assert explain(layer).choices[0].backend != "vendor"
    assert says in str(explain(layer))


def test_noise_that_rests_in_evaluation_frees_the_vendors_kernel():
    layer = layer_of(dropout_state=0.1)
    assert explain(layer).choices[0].backend != "vendor"
    assert explain(layer.eval()).choices[0].backend == "vendor"


@pytest.mark.parametrize("backend", ["derived", "reference"])
def test_gradients_have_gradients(backend):
    layer, x = layer_of(backend=backend), sequences(2, 3).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: layer(x, None, torch.tensor([3, 2]))[0], (x,))


def test_a_layer_that_the_compiled_engine_refuses_goes_to_the_next_best():
    layer, x = Recurrent("gru", 3, 32).double(), torch.zeros(64, 5, 3, dtype=torch.float64)
    lengths = torch.randint(1, 5, (64,))
    explanation = explain(layer, x, lengths)
    assert explanation.choices[0].backend == "derived"
    assert "float32 on CPU" in str(explanation)
    assert "ended rows leave the batch" in str(explanation)
    assert explain(layer, x).choices[0].backend == "vendor"
    assert explain(layer, x[:4], lengths[:4]).choices[0].backend == "vendor"
    with torch.no_grad():
        assert explain(layer, x, lengths).choices[0].backend == "vendor"


@pytest.mark.parametrize("name", ["lstm", "gru_before"])
def test_function_transforms_go_through_the_plain_loop(name):
    layer, x = layer_of(name), sequences(2, 3)
    wanted = torch.autograd.grad(layer(x.requires_grad_())[0].sum(), x)[0]
    torch.testing.assert_close(torch.func.grad(lambda x: layer(x)[0].sum())(x.detach()), wanted)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "rnn_relu"])
def test_frozen_padding_is_exact_in_single_precision_too(name):
    layer = layer_of(name, bidirectional=True).float()
    x, lengths = sequences().float(), torch.tensor([6, 2, 0, 5])
    outputs, state = layer(x, None, lengths)
    layer.backend = "reference"
    wanted, same = layer(x, None, lengths)
    torch.testing.assert_close(outputs, wanted, atol=1e-6, rtol=0)
    torch.testing.assert_close(tuple(state), tuple(same), atol=1e-6, rtol=0)
    assert not state[-1][2].any(), "a row without steps keeps its zeros exactly"
