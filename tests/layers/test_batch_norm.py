"""Step-wise recurrent batch normalisation against its formulas, and what may never enter the statistics."""

import pytest
import torch

from seqloom.errors import ConfigError
from seqloom.layers.batch_norm import BatchNormLSTM

LENGTHS = torch.tensor([4, 6, 2, 0, 6])


def layer_of(steps=8, **options):
    torch.manual_seed(1)
    layer = BatchNormLSTM(3, 4, steps=steps, **options).double()
    for parameter in layer.parameters():
        torch.nn.init.uniform_(parameter, -0.7, 0.7)
    return layer


def sequences(batch=5, time=6, seed=2):
    torch.manual_seed(seed)
    return torch.randn(batch, time, 3, dtype=torch.float64)


def trained(steps=8):
    """A layer whose running averages have seen a few batches."""
    layer = layer_of(steps)
    for seed in range(3):
        layer(sequences(seed=seed), None, LENGTHS)
    return layer.eval()


def normalised(values, gain):
    return gain * (values - values.mean(0)) / (values.var(0, correction=0) + 1e-5).sqrt()


def naive(layer, x, lengths):
    """Training, one step after the other over the rows that have it; also the batch statistics of each step."""
    outputs, statistics = torch.zeros(*x.shape[:2], 4, dtype=torch.float64), []
    h, c = (torch.zeros(len(x), 4, dtype=torch.float64) for _ in range(2))
    for t in range(x.shape[1]):
        rows = [b for b in range(len(x)) if lengths[b] > t]
        of_x, of_h = x[rows, t] @ layer.weight_x.T, h[rows] @ layer.weight_h.T
        total = normalised(of_x, layer.norm_x.gain) + normalised(of_h, layer.norm_h.gain) + layer.bias
        i, f, g, o = total.chunk(4, -1)
        memory = f.sigmoid() * c[rows] + i.sigmoid() * g.tanh()
        output = o.sigmoid() * (normalised(memory, layer.norm_c.gain) + layer.norm_c.shift).tanh()
        h, c, outputs = h.clone(), c.clone(), outputs.clone()
        h[rows], c[rows], outputs[rows, t] = output, memory, output
        statistics.append((of_x, of_h, memory))
    return outputs, h, c, statistics


def test_training_equals_the_formulas_with_gradients():
    layer, x = layer_of(), sequences().requires_grad_()
    found, state = layer(x, None, LENGTHS)
    wanted, h, c, _ = naive(layer, x, LENGTHS)
    torch.testing.assert_close((found, state.h[:, 0], state.c[:, 0]), (wanted, h, c), atol=1e-12, rtol=0)
    leaves = [x, *layer.parameters()]
    gradients = [
        torch.autograd.grad((outputs.sin().sum() + c.sum()), leaves) for outputs, c in ((found, state.c), (wanted, c))
    ]
    torch.testing.assert_close(*gradients, atol=1e-11, rtol=0)


def test_the_running_averages_are_those_of_the_valid_rows_of_each_step():
    layer, x = layer_of(), sequences()
    layer(x, None, LENGTHS)
    *_, statistics = naive(layer, x, LENGTHS)
    for t, values in enumerate(statistics):
        for norm, rows in zip((layer.norm_x, layer.norm_h, layer.norm_c), values, strict=True):
            torch.testing.assert_close(norm.mean[t], 0.1 * rows.mean(0))
            torch.testing.assert_close(norm.variance[t], 0.9 + 0.1 * rows.var(0))
    assert layer.norm_c.seen == 6
    assert not layer.norm_c.mean[6:].any()


@pytest.mark.parametrize("training", [True, False])
def test_padding_changes_no_output_no_average_and_gets_no_gradient(training):
    layers = [trained().train(training) for _ in range(2)]
    padding = (torch.arange(6) >= LENGTHS[:, None])[..., None]
    inputs = [sequences().masked_fill(padding, value).requires_grad_() for value in (0.0, 1e3)]
    found = [layer(x, None, LENGTHS) for layer, x in zip(layers, inputs, strict=True)]
    assert torch.equal(found[0][0], found[1][0])
    assert not found[0][0][padding.expand(-1, -1, 4)].any()
    for first, second in zip(layers[0].buffers(), layers[1].buffers(), strict=True):
        assert torch.equal(first, second)
    gradient = torch.autograd.grad(found[1][0].sum(), inputs[1])[0]
    assert not gradient[padding.expand_as(gradient)].any()


def test_evaluation_is_the_same_for_a_row_alone_and_changes_no_average():
    layer, x = trained(), sequences()
    averages = [buffer.clone() for buffer in layer.buffers()]
    outputs, state = layer(x, None, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, end = layer(x[row : row + 1, :length])
        torch.testing.assert_close(outputs[row, :length], alone[0], atol=1e-14, rtol=0)
        torch.testing.assert_close([field[row] for field in state], [field[0] for field in end], atol=1e-14, rtol=0)
    assert all(torch.equal(old, new) for old, new in zip(averages, layer.buffers(), strict=True))


@pytest.mark.parametrize("training", [True, False])
def test_chunks_and_steps_equal_the_whole_and_leave_the_same_averages(training):
    x = sequences()
    whole = trained().train(training)
    wanted, final = whole(x)
    for cut in range(7):
        layer = trained().train(training)
        first, state = layer(x[:, :cut])
        second, state = layer(x[:, cut:], state)
        torch.testing.assert_close(torch.cat([first, second], 1), wanted, atol=1e-13, rtol=0)
        torch.testing.assert_close(tuple(state), tuple(final), atol=1e-13, rtol=0)
        torch.testing.assert_close(list(layer.buffers()), list(whole.buffers()))
    layer, state = trained().train(training), None
    for t in range(6):
        output, state = layer.step(x[:, t], state)
        torch.testing.assert_close(output, wanted[:, t], atol=1e-13, rtol=0)


def test_rows_at_different_steps_may_share_a_batch_in_evaluation_only():
    layer, x = trained(), sequences()
    _, state = layer(x[:, :3], None, torch.tensor([3, 1, 0, 2, 3]))
    outputs, _ = layer(x[:, 3:], state)
    alone, _ = layer(x[1:2, 3:], state.select(torch.tensor([1])))
    torch.testing.assert_close(outputs[1], alone[0], atol=1e-14, rtol=0)
    with pytest.raises(ValueError, match="go from 0 to 3; in training all rows of a batch must be at the same step"):
        layer.train()(x[:, 3:], state)


def test_later_steps_take_the_statistics_of_the_last_known_one():
    x = sequences(time=12)
    for steps, known in ((4, 3), (8, 5)):  # 8: training has seen six steps only
        layer = trained(steps)
        with torch.no_grad():
            for norm in (layer.norm_x, layer.norm_h, layer.norm_c):
                norm.mean[:known], norm.variance[:known] = norm.mean[known], norm.variance[known]
                norm.mean[known + 1 :] = float("nan")
            wanted, _ = layer(x)
            for norm in (layer.norm_x, layer.norm_h, layer.norm_c):
                norm.mean[:known] = float("nan")
            _, state = layer(x[:, :0])
            state = state._replace(t=state.t + known)
            found, _ = layer(x, state)
        assert torch.equal(found, wanted)
        assert bool(found.isfinite().all())


def test_a_single_row_is_trained_by_the_running_averages():
    layer, x = trained(), sequences(1)
    wanted, _ = layer(x)
    found, _ = layer.train()(x)
    torch.testing.assert_close(found, wanted, atol=0, rtol=0)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_those_of_finite_differences(training):
    layer = trained().train(training)
    names = [name for name, _ in layer.named_parameters()]
    lengths = torch.tensor([3, 2, 3])

    def outcome(x, *parameters):
        outputs, state = torch.func.functional_call(
            layer, dict(zip(names, parameters, strict=True)), (x, None, lengths)
        )
        return outputs, state.c

    inputs = [sequences(3, 3), *layer.parameters()]
    assert torch.autograd.gradcheck(outcome, [value.detach().requires_grad_() for value in inputs])


def test_a_new_layer_begins_with_gains_of_a_tenth_and_has_the_size_of_the_formula():
    layer = BatchNormLSTM(3, 4, steps=5)
    for norm in (layer.norm_x, layer.norm_h, layer.norm_c):
        assert torch.equal(norm.gain, torch.full_like(norm.gain, 0.1))
    assert sum(parameter.numel() for parameter in layer.parameters()) == 4 * 4 * (3 + 4 + 1) + 10 * 4
    with pytest.raises(ConfigError, match="steps is 0; expected an integer of at least 1"):
        BatchNormLSTM(3, 4, steps=0)


@pytest.mark.parametrize(("batch", "time"), [(0, 3), (2, 0)])
def test_nothing_in_nothing_out(batch, time):
    outputs, state = layer_of()(
        torch.zeros(batch, time, 3, dtype=torch.float64), None, torch.zeros(batch, dtype=torch.long)
    )
    assert outputs.shape == (batch, time, 4)
    assert state.c.shape == (batch, 1, 4)
