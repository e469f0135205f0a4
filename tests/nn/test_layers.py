"""The drop-in beside torch's own layers: every option, every form of input, outputs, states and all gradients."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import seqloom.nn

EXACT = {"atol": 1e-12, "rtol": 0.0}
TOLERANCES = {torch.float64: EXACT, torch.float32: {"atol": 1e-5, "rtol": 1e-5}}
KINDS = {
    "rnn": ("RNN", {}),
    "relu": ("RNN", {"nonlinearity": "relu"}),
    "lstm": ("LSTM", {}),
    "lstmp": ("LSTM", {"proj_size": 2}),
    "gru": ("GRU", {}),
}
INPUTS = ("time first", "batch first", "alone", "sorted", "unsorted", "full", "one step")
LENGTHS = {"sorted": [5, 3, 2, 2], "unsorted": [2, 5, 3, 2], "full": [5, 5, 5, 5]}


def given(form, x):
    """x (T, B, D) in the form that the test is about."""
    match form:
        case "batch first":
            return x.transpose(0, 1)
        case "alone":
            return x[:, 0]
        case "one step":
            return x[:1]
        case "sorted" | "unsorted" | "full":
            return pack_padded_sequence(x, torch.tensor(LENGTHS[form]), enforce_sorted=form != "unsorted")
        case _:
            return x


def begun(module, batch, dtype):
    """A state to begin with, in torch's form; ``batch`` of none: without that dimension."""
    count = module.num_layers * (2 if module.bidirectional else 1)
    sizes = (module.proj_size or module.hidden_size, module.hidden_size)[: 2 if module.mode == "LSTM" else 1]
    shapes = [(count, size) if batch is None else (count, batch, size) for size in sizes]
    fields = tuple(torch.randn(shape, dtype=dtype) for shape in shapes)
    return fields if len(fields) == 2 else fields[0]


@pytest.mark.usefixtures("engine_only")
@pytest.mark.parametrize("form", INPUTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("dtype", "layers", "bidirectional", "bias"),
    [
        (torch.float64, 1, False, True),
        (torch.float64, 2, True, True),
        (torch.float64, 2, False, False),
        (torch.float32, 2, True, True),
        (torch.float32, 1, True, False),
    ],
)
def test_outputs_states_and_gradients_are_torchs(twins, flat, kind, form, dtype, layers, bidirectional, bias):
    name, options = KINDS[kind]
    options = {**options, "num_layers": layers, "bidirectional": bidirectional, "bias": bias, "dtype": dtype}
    pair = twins(name, 3, 4, batch_first=form == "batch first", **options)
    values = torch.randn(5, 4, 3, dtype=dtype)
    for started in (False, True):
        found = []
        for module in pair:
            torch.manual_seed(7)
            x = values.clone().requires_grad_()
            hx = begun(module, None if form == "alone" else 4, dtype) if started else None
            fields = [] if hx is None else [field.requires_grad_() for field in flat(hx)]
            results = flat(module(given(form, x), hx))
            sum((result.sin() * (position + 1)).sum() for position, result in enumerate(results)).backward()
            sources = [x, *fields, *module.parameters()]
            found.append([*results, *(source.grad for source in sources)])
            module.zero_grad()
        for wanted, ours in zip(*found, strict=True):
            assert ours.shape == wanted.shape
            torch.testing.assert_close(ours, wanted, **TOLERANCES[dtype])


@pytest.mark.usefixtures("engine_only")
@pytest.mark.parametrize("form", ["time first", "batch first", "alone", "unsorted"])
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_a_seed_draws_torchs_parameters_and_drops_what_torch_drops(twins, flat, name, form):
    pair = twins(name, 3, 4, num_layers=3, dropout=0.5, bidirectional=True, batch_first=form == "batch first")
    for wanted, ours in zip(pair[0].parameters(), pair[1].parameters(), strict=True):
        assert torch.equal(ours, wanted)
    x, results = torch.randn(5, 4, 3, dtype=torch.float64), []
    for module in pair:
        torch.manual_seed(3)
        results.append(flat(module(given(form, x))))
    torch.testing.assert_close(results[1], results[0], **EXACT)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_time_first_outputs_have_no_gaps_and_states_have_memory_of_their_own(twins, name):
    _, ours = twins(name, 3, 4)
    with torch.no_grad():
        outputs, states = ours(torch.randn(5, 2, 3, dtype=torch.float64))
    assert outputs.view(10, 4).shape == (10, 4)
    kept = outputs.clone()
    (states if isinstance(states, torch.Tensor) else states[0]).zero_()
    assert torch.equal(outputs, kept)


def test_packed_outputs_keep_the_order_of_the_packed_inputs(twins):
    _, ours = twins("GRU", 3, 4)
    packed = given("unsorted", torch.randn(5, 4, 3, dtype=torch.float64))
    outputs, _ = ours(packed)
    assert isinstance(outputs, PackedSequence)
    assert torch.equal(outputs.batch_sizes, packed.batch_sizes)
    assert torch.equal(outputs.sorted_indices, packed.sorted_indices)
    assert torch.equal(outputs.unsorted_indices, packed.unsorted_indices)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}, {"proj_size": 2}])
def test_state_dicts_go_both_ways_strictly(options):
    torchs, ours = nn.LSTM(3, 4, **options), seqloom.nn.LSTM(3, 4, **options)
    assert list(ours.state_dict()) == list(torchs.state_dict())
    x = torch.randn(5, 2, 3)
    ours.load_state_dict(torchs.state_dict(), strict=True)
    torch.testing.assert_close(ours(x), torchs(x))
    seqloom.nn.LSTM(3, 4, **options).load_state_dict(ours.state_dict(), strict=True)
    torchs.load_state_dict(seqloom.nn.LSTM(3, 4, **options).state_dict(), strict=True)


@pytest.mark.parametrize(("kind", "options"), KINDS.values())
def test_attributes_and_words_are_torchs(kind, options):
    for more in ({}, {"num_layers": 2, "batch_first": True, "bidirectional": True, "bias": False, "dropout": 0.1}):
        torchs, ours = getattr(nn, kind)(3, 4, **options, **more), getattr(seqloom.nn, kind)(3, 4, **options, **more)
        assert repr(ours) == repr(torchs)
        assert set(vars(ours)) == set(vars(torchs))
        shapes = [[[weight.shape for weight in weights] for weights in module.all_weights] for module in (torchs, ours)]
        assert shapes[0] == shapes[1]
        assert isinstance(ours, getattr(nn, kind))
        assert ours.flatten_parameters() is None


@pytest.mark.usefixtures("engine_only")
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_copies_and_pickles_are_independent_layers_with_the_same_numbers(twins, flat, kind):
    _, ours = twins(kind, 3, 4, num_layers=2, bidirectional=True)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    before = flat(ours(x))  # whatever a call leaves behind must not be copied
    for twin in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours)), copy.copy(ours)):
        assert type(twin) is type(ours)
        torch.testing.assert_close(flat(twin(x)), before, **EXACT)
    twin = copy.deepcopy(ours)
    with torch.no_grad():
        twin.weight_hh_l0.zero_()
        torch.testing.assert_close(flat(ours(x)), before, **EXACT)
        assert not torch.equal(flat(twin(x))[0], before[0])


def halve_in_place(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(0.5)


def halve_data(module):
    for parameter in module.parameters():
        parameter.data.mul_(0.5)


def halve_by_other_data(module):
    for parameter in module.parameters():
        parameter.data = parameter.data * 0.5


def halve_by_other_parameters(module):
    for name, parameter in list(module.named_parameters()):
        setattr(module, name, nn.Parameter(parameter.detach() * 0.5))


def halve_by_state_dict(module):
    module.load_state_dict({name: value * 0.5 for name, value in module.state_dict().items()})


def halve_by_assignment(module):
    module.load_state_dict({name: value * 0.5 for name, value in module.state_dict().items()}, assign=True)


@pytest.mark.parametrize(
    "halve",
    [
        halve_in_place,
        halve_data,
        halve_by_other_data,
        halve_by_other_parameters,
        halve_by_state_dict,
        halve_by_assignment,
    ],
)
@pytest.mark.parametrize("recording", [False, True])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_changed_weight_is_seen_however_it_was_changed(twins, flat, kind, recording, halve):
    pair = twins(kind, 3, 4, dtype=torch.float32)
    x = torch.randn(5, 2, 3)
    with torch.set_grad_enabled(recording):
        for module in pair:
            module(x)
            module(x)
            halve(module)
        torch.testing.assert_close(flat(pair[1](x)), flat(pair[0](x)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.usefixtures("engine_only")
def test_training_goes_torchs_way(twins, dtype):
    x, losses = torch.randn(6, 3, 3, dtype=dtype), []
    for module in twins("GRU", 3, 4, num_layers=2, bidirectional=True, dtype=dtype):
        optimiser = torch.optim.Adam(module.parameters(), lr=0.05)
        for _ in range(10):
            optimiser.zero_grad()
            loss = (module(x)[0] - 0.3).square().mean()
            loss.backward()
            optimiser.step()
        losses.append(loss.detach())
    torch.testing.assert_close(losses[1], losses[0], atol=1e-5, rtol=1e-4)
