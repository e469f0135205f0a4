"""Attention over the own history against a loop that keeps every output in a list."""

import pytest
import torch

from seqloom import cells
from seqloom.errors import ConfigError
from seqloom.layers.memory import AttentiveRecurrent, HistoryAttention


def layer_of(cell="gru", **options):
    torch.manual_seed(1)
    layer = AttentiveRecurrent(cell, 3, 4, **options).double()
    for parameter in layer.parameters():
        torch.nn.init.uniform_(parameter, -0.8, 0.8)
    return layer


def sequence(time=7):
    torch.manual_seed(2)
    return torch.randn(1, time, 3, dtype=torch.float64)


def score(attention, query, entry):
    if attention.score == "dot":
        return query @ entry / 2.0
    if attention.score == "general":
        return (attention.of_query.weight @ query) @ entry
    total = attention.of_query(query) + attention.of_history.weight @ entry
    return attention.direction.weight[0] @ total.tanh()


@pytest.mark.parametrize("kind", ["additive", "dot", "general"])
@pytest.mark.parametrize("window", [None, 1, 3, 20])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_each_step_attends_to_the_outputs_before_it(cell, window, kind):
    layer, x = layer_of(cell, window=window, score=kind), sequence()
    own, seen, outputs = None, [], []
    for t in range(x.shape[1]):
        entries = seen[-window:] if window else seen
        context = torch.zeros(4, dtype=torch.float64)
        if entries:
            scores = torch.stack([score(layer.attention, seen[-1], entry) for entry in entries])
            context = sum(weight * entry for weight, entry in zip(scores.softmax(0), entries, strict=True))
        output, own = layer.recurrent.step(torch.cat([x[0, t], context])[None], own)
        seen.append(output[0])
        outputs.append(output[0])
    found, state = layer(x)
    torch.testing.assert_close(found[0], torch.stack(outputs), atol=1e-13, rtol=0)
    kept = torch.stack(outputs)[-(window or 7) :]
    torch.testing.assert_close(state.history[0, -len(kept) :], kept, atol=1e-13, rtol=0)
    assert not state.history[0, : -len(kept)].any()
    assert state.steps.item() == 7


def test_no_output_depends_on_a_later_input():
    layer, x = layer_of(), sequence().requires_grad_()
    outputs, _ = layer(x)
    for t in range(7):
        gradient = torch.autograd.grad(outputs[0, t].sum(), x, retain_graph=True)[0][0]
        assert not gradient[t + 1 :].any()
        assert bool(gradient[t].any())


def test_an_entry_beyond_the_window_acts_through_the_state_alone():
    layer, x = layer_of("rnn", window=2), sequence()
    with torch.no_grad():
        layer.recurrent.cells[0].weight_h.zero_()  # what is left is the attention
    state = layer(x[:, :5])[1]
    changed = state._replace(history=state.history.clone())
    changed.history[:, 0] += 1.0
    first, later = (layer(x[:, 5:], begun)[0] for begun in (state, changed))
    assert not torch.allclose(first[:, 0], later[:, 0])
    state = layer(x)[1]
    assert torch.equal(state.history, layer(x)[0][:, -2:])


def test_the_weights_sum_to_one_and_equal_entries_share_them():
    attention = HistoryAttention(4).double()
    query, entry = torch.randn(2, 4, dtype=torch.float64), torch.randn(2, 1, 4, dtype=torch.float64)
    valid = torch.tensor([[True, True, False], [True, True, True]])
    context, weights = attention(query, entry.expand(-1, 3, -1), valid)
    torch.testing.assert_close(weights, valid.double() / valid.sum(1, keepdim=True))
    torch.testing.assert_close(context, entry[:, 0])


def test_an_instance_is_a_pattern():
    layer = AttentiveRecurrent(cells.LSTM(3, 4), window=2)
    assert (layer.input_size, layer.output_size, layer.recurrent.cells[0].input_size) == (3, 4, 7)
    with pytest.raises(ConfigError, match="window is 0; expected an integer of at least 1"):
        AttentiveRecurrent("gru", 3, 4, window=0)
    with pytest.raises(ConfigError, match="score is 'cosine'; expected 'additive', 'dot' or 'general'"):
        AttentiveRecurrent("gru", 3, 4, score="cosine")
