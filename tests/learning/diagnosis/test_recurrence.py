"""What is examined is what the layer does: its states are replayed whatever surrounds the cells."""

import pytest
import torch

from seqloom import Recurrent
from seqloom.learning.diagnosis import recurrences

LENGTHS = torch.tensor([5, 9, 0, 2])
OPTIONS = [
    {},
    {"layers": 2, "bidirectional": True},
    {"layers": 3, "bidirectional": True, "merge": "mean", "residual": True, "dropout": 0.5},
    {"layers": 2, "zoneout": {"h": 0.1, "c": 0.4}, "dropout_state": 0.3, "dropout_input": 0.3},
    {"layers": 2, "highway": True},
    {"batch_norm": "sequence"},
    {"weight_drop": 0.5, "batch_first": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_last_states_are_those_that_the_layer_returns(options):
    torch.manual_seed(0)
    layer = Recurrent("lstm", 4, 4, **options).double()
    x = torch.randn(4, 9, 4).double()
    x = x if layer.batch_first else x.transpose(0, 1)
    before = layer.initial_state(4)._make(torch.randn_like(field) for field in layer.initial_state(4))
    if "batch_norm" in options:
        layer(x, lengths=LENGTHS)  # in training: the statistics leave their beginning
    layer.eval()
    with torch.no_grad():
        _, state = layer(x, state=before, lengths=LENGTHS)
    layer.train()
    found = recurrences(layer, x, LENGTHS, before)
    assert layer.training
    assert len(found) == len(layer.cells)
    order = [1, 0, 3]  # the longest first, the empty one not at all
    for position, recurrence in enumerate(found):
        assert recurrence.lengths.tolist() == [9, 5, 2]
        for field, expected in zip(recurrence.states, state, strict=True):
            torch.testing.assert_close(field[:, -1], expected[order, position], rtol=1e-10, atol=1e-12)


def test_the_longest_rows_are_kept_where_there_are_more_than_are_wanted():
    (found,) = recurrences(Recurrent("rnn", 2, 3), torch.randn(4, 9, 2), LENGTHS, rows=2)
    assert found.lengths.tolist() == [9, 5]
    assert found.name == "layer.1"
