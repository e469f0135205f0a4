"""What holds for every layer with a memory: the layers' contract."""

import pytest
import torch

from seqloom.layers.memory import AttentiveRecurrent, EpisodicMemory, KeyValueStore, NeuralTuringMachine, Tape

STORE = {"slots": 3, "key_size": 2, "value_size": 4, "sharpness": 2.0}
TAPE = Tape(slots=3, width=2, read_heads=2, write_heads=2)
LAYERS = {
    "window": lambda: AttentiveRecurrent("lstm", 3, 4, window=2),
    "unlimited": lambda: AttentiveRecurrent("gru", 3, 4),
    "dot": lambda: AttentiveRecurrent("gru", 3, 4, window=3, score="dot"),
    "general": lambda: AttentiveRecurrent("rnn", 3, 4, score="general"),
    "oldest": lambda: EpisodicMemory(3, KeyValueStore(**STORE), gated=True),
    "least used": lambda: EpisodicMemory(3, KeyValueStore(**STORE, eviction="use")),
    "best two": lambda: EpisodicMemory(3, KeyValueStore(**STORE, top_k=2)),
    "turing": lambda: NeuralTuringMachine("lstm", 3, 2, tape=TAPE),
    "turing gru": lambda: NeuralTuringMachine("gru", 3, 2, tape=Tape(slots=3, width=2, reach=0)),
}
EVERY = pytest.mark.parametrize("name", LAYERS)
LENGTHS = torch.tensor([4, 6, 2, 0])


def layer_of(name):
    torch.manual_seed(1)
    layer = LAYERS[name]().double()
    for parameter in layer.parameters():
        torch.nn.init.uniform_(parameter, -0.8, 0.8)
    return layer


def sequences(batch=4, time=6, seed=2):
    torch.manual_seed(seed)
    return torch.randn(batch, time, 3, dtype=torch.float64)


def begun(layer, batch):
    """A state that two ragged chunks have left behind."""
    lengths = torch.tensor([3, 1, 0, 5])[:batch]
    return layer(sequences(batch, 5, seed=3), None, lengths)[1].detach()


@EVERY
@pytest.mark.parametrize("started", [False, True])
def test_padding_changes_nothing_and_gets_no_gradient(name, started):
    layer, padding = layer_of(name), (torch.arange(6) >= LENGTHS[:, None])[..., None]
    state = begun(layer, 4) if started else None
    x = sequences().masked_fill(padding, float("nan")).requires_grad_()
    outputs, final = layer(x, state, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        start = None if state is None else state.select(torch.tensor([row]))
        alone, end = layer(x[row : row + 1, :length], start)
        torch.testing.assert_close(outputs[row, :length], alone[0], atol=1e-12, rtol=0)
        assert not outputs[row, length:].any()
        for field, wanted in zip(final, end, strict=True):
            found = field[row]
            if field.dim() == 3 and found.shape != wanted[0].shape:  # an unlimited history is as long as the longest
                assert not found[: len(found) - wanted.shape[1]].any()
                found = found[len(found) - wanted.shape[1] :]
            torch.testing.assert_close(found, wanted[0], atol=1e-12, rtol=0)
    leaves = [x, *layer.parameters()]
    gradients = torch.autograd.grad(outputs.sum(), leaves, allow_unused=True, materialize_grads=True)
    assert not gradients[0][padding.expand_as(x)].any()
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


@EVERY
def test_chunks_and_steps_equal_the_whole(name):
    layer, x = layer_of(name), sequences()
    for start in (None, begun(layer, 4)):
        whole, last = layer(x, start)
        for cut in range(7):
            first, state = layer(x[:, :cut], start)
            second, state = layer(x[:, cut:], state)
            torch.testing.assert_close(torch.cat([first, second], 1), whole, atol=1e-12, rtol=0)
            torch.testing.assert_close(tuple(state), tuple(last), atol=1e-12, rtol=0)
        state = start
        for t in range(6):
            output, state = layer.step(x[:, t], state)
            torch.testing.assert_close(output, whole[:, t], atol=1e-12, rtol=0)
        torch.testing.assert_close(tuple(state), tuple(last), atol=1e-12, rtol=0)


@EVERY
def test_gradients_are_those_of_finite_differences(name):
    layer, lengths = layer_of(name), torch.tensor([3, 2])
    names = [key for key, _ in layer.named_parameters()]
    state = begun(layer, 2)
    real = [field.is_floating_point() for field in state]

    def outcome(x, *rest):
        values = iter(rest)
        start = state._make(next(values) if floating else field for floating, field in zip(real, state, strict=True))
        parameters = dict(zip(names, values, strict=True))
        outputs, final = torch.func.functional_call(layer, parameters, (x, start, lengths))
        fields = final._asdict()
        fields.pop("usage", None)  # what evicts is counted, not learned
        return (outputs, *(field for field in fields.values() if field.requires_grad))

    fields = [field for floating, field in zip(real, state, strict=True) if floating]
    inputs = [sequences(2, 3), *fields, *layer.parameters()]
    assert torch.autograd.gradcheck(outcome, [value.detach().requires_grad_() for value in inputs], fast_mode=True)


@EVERY
@pytest.mark.parametrize(("batch", "time"), [(0, 3), (2, 0)])
def test_nothing_in_nothing_out(name, batch, time):
    layer = layer_of(name)
    outputs, state = layer(torch.zeros(batch, time, 3, dtype=torch.float64), None, torch.zeros(batch, dtype=torch.long))
    assert outputs.shape == (batch, time, layer.output_size)
    assert all(len(field) == batch for field in state)


@EVERY
def test_what_does_not_fit_is_said(name):
    layer, x = layer_of(name), sequences()
    state = begun(layer, 4)
    for arguments, says in [
        ((x[..., :2],), r"x has shape \(4, 6, 2\); expected \(B, T, D\) with D = 3 features"),
        ((x, None, torch.tensor([1, 2, 3, 7])), r"lengths\[3\] is 7 but x has T = 6 time steps"),
        ((x, tuple(state)[1:]), f"state has {len(state) - 1} fields; expected {len(state)}: "),
        ((x[:3], state), rf"state\.{state._fields[0]} has shape \(4, .*\); expected \(3, "),
    ]:
        with pytest.raises(ValueError, match=says):
            layer(*arguments)
