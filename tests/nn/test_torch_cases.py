"""The cases of PyTorch's own tests of its recurrent layers (test/test_nn.py) that run on a CPU, told anew.

Each test names the case that it retells. Those that need a GPU are listed at the end, with what stands in for them.
"""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import seqloom.nn

KINDS = ["RNN", "LSTM", "GRU"]
BATCH, TIME, INPUT, HIDDEN, LAYERS = 3, 5, 10, 20, 3


def layer(kind, *arguments, **options):
    return getattr(seqloom.nn, kind)(*arguments, **options)


def bad_arguments(kind, bidirectional, projection=0):
    """(input shape, state shapes, what is wrong) of calls that must be refused."""
    directions = 2 if bidirectional else 1
    state, cell = (LAYERS * directions, BATCH, projection or HIDDEN), (LAYERS * directions, BATCH, HIDDEN)
    good = (TIME, BATCH, INPUT)
    yield (TIME, BATCH, INPUT + 1), state, cell, r"input.size\(-1\) must be equal to input_size"
    yield (TIME, BATCH + 1, INPUT), state, cell, r"Expected hidden.* size"
    yield good, (*state[:2], state[2] + 1), cell, r"Expected hidden.* size"
    yield good, (state[0] + 1, *state[1:]), cell, r"Expected hidden.* size"
    yield good, (state[0], state[1] + 1, state[2]), cell, r"Expected hidden.* size"
    if kind == "LSTM":
        yield good, state, (*cell[:2], HIDDEN + 1), r"Expected hidden\[1\] size"
        yield good, state, (cell[0], BATCH + 1, HIDDEN), r"Expected hidden\[1\] size"


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_wrong_shapes_are_refused_in_torchs_words(kind, bidirectional):
    """test_rnn_args_check"""
    module = layer(kind, INPUT, HIDDEN, LAYERS, bidirectional=bidirectional)
    for x, state, cell, words in bad_arguments(kind, bidirectional):
        hx = (torch.randn(state), torch.randn(cell)) if kind == "LSTM" else torch.randn(state)
        with pytest.raises(RuntimeError, match=words):
            module(torch.randn(x), hx)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_wrong_shapes_of_projections_are_refused_in_torchs_words(bidirectional):
    """test_projections_lstm_args_check"""
    module = layer("LSTM", INPUT, HIDDEN, LAYERS, bidirectional=bidirectional, proj_size=7)
    for x, state, cell, words in bad_arguments("LSTM", bidirectional, projection=7):
        with pytest.raises(RuntimeError, match=words):
            module(torch.randn(x), (torch.randn(state), torch.randn(cell)))


def test_only_lstms_have_projections_and_only_small_ones():
    """test_projections_errors_on_gru_and_rnn, and the checks of the constructor"""
    for kind in ("RNN", "GRU"):
        with pytest.raises(ValueError, match="proj_size argument is only supported for LSTM, not RNN or GRU"):
            layer(kind, 3, 4, proj_size=2)
    with pytest.raises(ValueError, match="proj_size has to be smaller than hidden_size"):
        layer("LSTM", 3, 4, proj_size=4)
    with pytest.raises(ValueError, match="should be a positive integer or zero"):
        layer("LSTM", 3, 4, proj_size=-1)


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_dimensions_are_refused_in_torchs_words(kind):
    """the checks of dimensions in forward"""
    module = layer(kind, 3, 4)
    for x in (torch.zeros(3), torch.zeros(1, 2, 2, 3)):
        with pytest.raises(ValueError, match=f"{kind}: Expected input to be 2D or 3D, got {x.dim()}D"):
            module(x)
    for x, dimensions in ((torch.zeros(5, 2, 3), 2), (torch.zeros(5, 3), 3)):
        state = torch.zeros(*(1, 2, 4)[3 - dimensions :])
        state = (state, state) if kind == "LSTM" else state
        with pytest.raises(RuntimeError, match="should also be"):
            module(x, state)
    with pytest.raises(ValueError, match=r"RNN input dtype .* does not match weight dtype"):
        module(torch.zeros(5, 2, 3, dtype=torch.float64))


@pytest.mark.parametrize("projection", [0, 7])
@pytest.mark.parametrize("kind", KINDS)
def test_zeros_given_are_zeros_not_given(kind, projection):
    """test_rnn_initial_hidden_state, test_projections_lstm_initial_hidden_state"""
    if projection and kind != "LSTM":
        pytest.skip("only LSTMs have projections")
    for bidirectional in (False, True):
        module = layer(
            kind, 30, 20, 2, bidirectional=bidirectional, **({"proj_size": projection} if projection else {})
        )
        x, count = torch.randn(10, 32, 30), 4 if bidirectional else 2
        hidden = torch.zeros(count, 32, projection or 20)
        hx = (hidden, torch.zeros(count, 32, 20)) if kind == "LSTM" else hidden
        torch.testing.assert_close(module(x, hx), module(x))


@pytest.mark.parametrize("kind", KINDS)
def test_batches_without_rows_are_legal_and_can_be_trained(kind):
    """test_RNN_input_size_zero"""
    module = layer(kind, 3, 4)
    outputs, _ = module(torch.zeros(5, 0, 3))
    assert outputs.shape == (5, 0, 4)
    outputs.sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_sequences_without_steps_are_refused_in_torchs_words(kind, bidirectional):
    """test_error_RNN_seq_len_zero"""
    with pytest.raises(RuntimeError, match="Expected sequence length to be larger than 0 in RNN"):
        layer(kind, 5, 6, bidirectional=bidirectional)(torch.ones(0, 10, 5))


def test_nonlinearities_have_a_place_and_a_name():
    """test_RNN_nonlinearity, test_RNN_nonlinearity_passed_as_arg"""
    assert layer("RNN", 1, 10).nonlinearity == "tanh"
    assert layer("RNN", 1, 10, nonlinearity="relu").nonlinearity == "relu"
    assert layer("RNN", 2, 3, 1, "relu").nonlinearity == "relu"
    for build in (partial(layer, "RNN", 1, 10, nonlinearity="garbage"), partial(layer, "RNN", 1, 10, 1, "garbage")):
        with pytest.raises(ValueError, match=r"Unknown nonlinearity 'garbage'\. Select from 'tanh' or 'relu'\."):
            build()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("probability", [0, 0.276, 0.731, 1])
def test_dropout_acts_between_the_layers_only(probability, training):
    """test_RNN_dropout, test_RNN_dropout_state"""
    module = layer("RNN", 10, 1000, 2, bias=False, dropout=probability, nonlinearity="relu").train(training)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1.0)
    outputs, hidden = module(torch.ones(1, 1, 10), torch.zeros(2, 1, 1000))
    assert outputs.min() == outputs.max()
    value = float(outputs[0, 0, 0].detach())
    if probability == 0 or not training:
        assert value == 10000
    elif probability == 1:
        assert value == 0
    else:
        assert 8000 < value < 12000
        remainder = (value * (1 - probability)) % 10
        assert min(remainder, 10 - remainder) < 1e-2
    assert torch.equal(hidden[0], torch.full((1, 1000), 10.0))
    assert torch.equal(hidden[1], torch.full((1, 1000), value))


def test_dropout_can_be_changed_after_construction():
    """test_RNN_change_dropout"""
    module, x = layer("RNN", 100, 100, 2, dropout=0.0, nonlinearity="relu"), torch.rand(3, 2, 100)
    outputs = [module(x)[0]]
    for probability in (0, 0.5, 0, 0.2, 0.2, 1, 0):
        module.dropout = probability
        outputs.append(module(x)[0])
        same = torch.equal(outputs[-1], outputs[-2])
        assert same == (probability == 0 and outputs[-2].equal(outputs[0]))


@pytest.mark.parametrize("probability", [-0.1, 1.1, True, None])
def test_impossible_dropout_is_refused(probability):
    """the checks of the constructor"""
    with pytest.raises((ValueError, TypeError)):
        layer("GRU", 2, 3, 2, dropout=probability)


def test_dropout_without_a_second_layer_warns():
    """the warning of the constructor"""
    with pytest.warns(UserWarning, match="num_layers greater than 1"):
        layer("LSTM", 2, 3, dropout=0.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences_equal_each_sequence_alone(kind, batch_first, dtype):
    """test_variable_sequence (unsorted), with gradients of the parameters and of the padded input"""
    torch.manual_seed(1)
    lengths = [7, 6, 6, 3, 1]
    order = torch.tensor([3, 0, 4, 1, 2])
    module = layer(kind, 4, 6, num_layers=2, bidirectional=True, batch_first=batch_first, dtype=dtype)
    for shuffled in (False, True):
        wanted = [lengths[k] for k in order] if shuffled else lengths
        x = torch.randn(7, 5, 4, dtype=dtype, requires_grad=True)
        count = (4, 5, 6)
        hx = (torch.randn(count, dtype=dtype), torch.randn(count, dtype=dtype))
        hx = hx if kind == "LSTM" else hx[0]
        given = x.transpose(0, 1) if batch_first else x
        packed = pack_padded_sequence(given, wanted, batch_first=batch_first, enforce_sorted=not shuffled)
        outputs, states = module(packed, hx)
        padded, found = pad_packed_sequence(outputs, batch_first=batch_first)
        assert found.tolist() == wanted
        padded = padded.transpose(0, 1) if batch_first else padded
        loss_packed, loss_alone = padded.square().sum(), torch.zeros((), dtype=dtype)
        for row, length in enumerate(wanted):
            alone = x[:length, row : row + 1]
            own = tuple(field[:, row : row + 1].contiguous() for field in (hx if kind == "LSTM" else (hx,)))
            result, final = module(alone.transpose(0, 1) if batch_first else alone, own if kind == "LSTM" else own[0])
            result = result.transpose(0, 1) if batch_first else result
            torch.testing.assert_close(padded[:length, row : row + 1], result)
            assert not padded[length:, row].any()
            for field, single in zip(_fields(states), _fields(final), strict=True):
                torch.testing.assert_close(field[:, row : row + 1], single)
            loss_alone = loss_alone + result.square().sum()
        sources = [x, *module.parameters()]
        gradients = [torch.autograd.grad(loss, sources) for loss in (loss_packed, loss_alone)]
        torch.testing.assert_close(gradients[0], gradients[1], atol=1e-4, rtol=1e-4)


def _fields(states):
    return states if isinstance(states, tuple) else (states,)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_packed_sequences_are_refused_in_torchs_words(kind):
    """the checks of packed inputs, which differ from layer to layer in torch"""
    state, packed = torch.zeros(1, 3, 4), pack_padded_sequence(torch.zeros(5, 2, 3), [5, 2])
    calls = [
        (packed, (state, state) if kind == "LSTM" else state),
        (PackedSequence(torch.zeros(4, 2, 3), packed.batch_sizes),),
        (pack_padded_sequence(torch.zeros(5, 2, 4), [5, 2]),),
        (pack_padded_sequence(torch.zeros(5, 2, 3, dtype=torch.int64), [5, 2]),),
    ]
    for call in calls:
        words = []
        for module in (getattr(nn, kind)(3, 4), layer(kind, 3, 4)):
            with pytest.raises((RuntimeError, ValueError)) as refusal:
                module(*call)
            words.append((refusal.type, str(refusal.value)))
        assert words[1] == words[0]


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("test_cudnn_weight_format", "cuDNN's one buffer of all weights; flatten_parameters is called above"),
        ("test_cudnn_forward_exception", "cuDNN's own messages; the shapes are checked above"),
        ("test_rnn_check_device", "two devices; other devices than the CPU run torch's own forward"),
        ("test_projections_lstm_check_device", "two devices"),
        ("test_RNN_cpu_vs_cudnn_no_dropout", "cuDNN; tests/nn/test_layers.py sets torch's CPU layers beside ours"),
        ("test_RNN_cpu_vs_cudnn_with_dropout", "cuDNN; the same with dropout, by seed"),
        ("test_cudnn_rnn_dropout_states_device", "several GPUs"),
        ("test_rnn_fused", "fused kernels of one step on a GPU; steps are not layers"),
    ],
)
def test_cases_for_gpus_are_left_out(case, reason):
    pytest.skip(f"{case}: {reason}")
