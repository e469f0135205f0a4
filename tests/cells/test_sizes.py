"""How many parameters a cell has: its paper's formula, and the counts that papers print for whole networks."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

import seqloom
from seqloom import cells

SIZES = [(3, 4), (5, 5), (2, 7), (7, 8), (4, 12), (1, 1), (12, 16)]


def heads(m: int) -> int:
    """How many where nobody says."""
    return 4 if m % 4 == 0 else 1


def feedback(n: int, m: int) -> int:
    """Of two layers: a matrix and a gate from each layer's old state to each; a gate reads below, and both states."""
    return 4 * m * m + 2 * (n + 2 * m) + 2 * (m + 2 * m)


FORMULAS: dict[str, Callable[[int, int], int]] = {
    "additive": lambda n, m: m * (n + m + 1),
    "antisymmetric": lambda n, m: m * (n + m + 1),
    "cifg": lambda n, m: 3 * m * (n + m + 1),
    "clockwork": lambda n, m: m * (n + m + 1),
    "deep_transition": lambda n, m: m * (n + m + 1) + m * (m + 1),
    "deep_transition_shortcut": lambda n, m: m * (n + m + 1) + m * (2 * m + 1),
    "gated_feedback_gru": lambda n, m: 3 * m * n + 2 * m * m + 3 * m + 3 * m * m + 2 * m * m + 3 * m + feedback(n, m),
    "gated_feedback_lstm": lambda n, m: 4 * m * n + 3 * m * m + 4 * m + 4 * m * m + 3 * m * m + 4 * m + feedback(n, m),
    "gated_feedback_rnn": lambda n, m: m * (n + 1) + m * (m + 1) + feedback(n, m),
    "gru": lambda n, m: 3 * m * (n + m) + 4 * m,
    "gru_before": lambda n, m: 3 * m * (n + m + 1),
    "indrnn": lambda n, m: m * (n + 2),
    "irnn": lambda n, m: m * (n + m + 1),
    "jordan": lambda n, m: m * (n + m + 1) + m * (m + 1),
    "lru": lambda n, m: 2 * m + m + 2 * m * n + 2 * m * m + m * n,
    "lstm": lambda n, m: 4 * m * (n + m + 1),
    "lstm_1997": lambda n, m: 3 * m * (n + m + 1),
    "lstm_layer_norm": lambda n, m: 4 * m * (n + m) + 4 * m + 8 * m + 2 * m,
    "lstm_layer_norm_per_gate": lambda n, m: 4 * m * (n + m) + 4 * m + 8 * m + 2 * m,
    "lstm_multiplicative": lambda n, m: m * n + m * m + 4 * m * (n + m + 1),
    "lstm_peephole": lambda n, m: 4 * m * (n + m + 1) + 3 * m,
    "lstmp": lambda n, m: 4 * m * (n + max(1, m // 2) + 1) + max(1, m // 2) * m,
    "mgu": lambda n, m: 2 * m * (n + m + 1),
    "mingru": lambda n, m: 2 * m * (n + 1),
    "minlstm": lambda n, m: 3 * m * (n + 1),
    "mlstm": lambda n, m: 3 * m * n + m * (n + 1) + 2 * heads(m) * (n + 1),
    "mut1": lambda n, m: 3 * m * n + 2 * m * m + 3 * m,
    "mut2": lambda n, m: 3 * m * n + 3 * m * m + 3 * m,
    "mut3": lambda n, m: 3 * m * n + 3 * m * m + 3 * m,
    "qrnn": lambda n, m: 3 * m * (2 * n + 1),
    "recurrent_highway": lambda n, m: 2 * m * n + 2 * 2 * m * m + 2 * 2 * m,
    "rg_lru": lambda n, m: m * n + 2 * (m * m // heads(m) + m) + m,
    "rnn": lambda n, m: m * (n + m + 1),
    "rnn_relu": lambda n, m: m * (n + m + 1),
    "rnn_sigmoid": lambda n, m: m * (n + m + 1),
    "scrn": lambda n, m: max(1, m // 2) * (n + m) + m * (n + m + 1),
    "slstm": lambda n, m: 4 * m * n + 4 * m * m // heads(m) + 4 * m,
    "sru": lambda n, m: 4 * m * n + 2 * m + 2 * m,
}
"""By name, of the input size n and the hidden size m, with biases and the default arguments."""


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", cells.names())
def test_a_cell_has_as_many_parameters_as_its_paper_says(name):
    for n, m in SIZES:
        assert count(cells.get(name)(n, m)) == FORMULAS[name](n, m), (n, m)


@pytest.mark.parametrize("name", cells.names())
def test_a_cell_has_as_many_parameters_as_it_says_of_itself(name):
    size = cells.get(name).size
    assert size is not None
    for n, m in SIZES:
        for bias in (True, False):
            assert count(cells.get(name)(n, m, bias=bias)) == size.count(n, m, bias=bias), (n, m, bias)


@pytest.mark.parametrize(
    ("name", "options", "formula"),
    [
        ("cifg", {"peepholes": True}, lambda n, m: 3 * m * (n + m + 1) + 2 * m),
        ("jordan", {"output_size": 3}, lambda n, m: m * (n + 3 + 1) + 3 * (m + 1)),
        ("lstmp", {"projection_size": 2, "peepholes": True}, lambda n, m: 4 * m * (n + 2 + 1) + 2 * m + 3 * m),
        ("qrnn", {"window": 3, "pooling": "f"}, lambda n, m: 2 * m * (3 * n + 1)),
        ("qrnn", {"window": 2, "pooling": "ifo"}, lambda n, m: 4 * m * (2 * n + 1)),
        ("recurrent_highway", {"depth": 5}, lambda n, m: 2 * m * n + 2 * 5 * m * m + 2 * 5 * m),
    ],
)
def test_further_arguments_change_the_size_as_the_papers_say(name, options, formula):
    for n, m in SIZES[:5]:
        assert count(cells.get(name)(n, m, **options)) == formula(n, m)


def test_sizes_as_printed_need_as_many_features_as_units():
    for m in (4, 5, 8):
        assert count(cells.get("lru")(m, m, literal=True)) == 2 * m + m + 2 * m * m + 2 * m * m + m
        assert count(cells.get("mut1")(m, m, literal=True)) == 2 * m * m + 2 * m * m + 3 * m  # without W_h
        assert count(cells.get("mut2")(m, m, literal=True)) == 2 * m * m + 3 * m * m + 3 * m  # without W_r
        for layers in (2, 3):
            cell = cells.get("gated_feedback_rnn")(m, m, layers=layers)
            assert count(cell) == layers * (m * m + layers * m * m + m) + layers**2 * (m + layers * m)


@pytest.mark.parametrize(("groups", "units"), [(1, 3), (2, 3), (4, 2)])
def test_as_many_weights_of_a_clockwork_network_act_as_its_paper_counts(groups, units):
    cell = cells.get("clockwork")(5, groups * units, periods=[2**k for k in range(groups)])
    for parameter in cell.parameters():
        nn.init.ones_(parameter)
    connected = sum(int((cell.parameter(name) != 0).sum()) for name in ("weight_x", "weight_h", "bias"))
    assert connected == groups * units * 5 + units**2 * groups * (groups + 1) // 2 + groups * units


@pytest.mark.parametrize(
    ("features", "units", "levels", "outputs", "published"),
    [
        (26, 100, 1, 62, 114_662),  # Graves et al. 2006, 61 phones and blank
        (26, 100, 1, 61, 114_461),  # the hybrid's, without
        (123, 250, 1, 62, 780_562),  # Graves, Mohamed & Hinton 2013
        (123, 622, 1, 62, 3_793_018),
        (123, 250, 2, 62, 2_284_062),
        (123, 250, 3, 62, 3_787_562),
        (123, 250, 5, 62, 6_794_562),
        (120, 320, 4, 73, 8_563_913),  # Miao, Gowayyed & Metze 2015
        (25, 100, 1, 81, 117_681),  # Graves et al. 2009, online
        (9, 100, 1, 82, 105_082),  # offline
    ],
)
def test_bidirectional_networks_with_peepholes_have_the_published_sizes(features, units, levels, outputs, published):
    layer = seqloom.Recurrent("lstm_peephole", features, units, layers=levels, bidirectional=True)
    network = nn.Sequential(layer, nn.Linear(layer.output_size, outputs))
    assert count(network) == published


@pytest.mark.parametrize(
    ("name", "units", "bidirectional", "published"),
    [("lstm_peephole", 421, False, 3_786_957), ("rnn", 500, True, 3_688_062)],
)
def test_the_networks_that_deep_bidirectional_lstms_were_compared_with_have_their_sizes(
    name, units, bidirectional, published
):
    layer = seqloom.Recurrent(name, 123, units, layers=3, bidirectional=bidirectional)
    assert count(nn.Sequential(layer, nn.Linear(layer.output_size, 62))) == published


def test_the_projected_network_for_speech_has_the_published_size():
    cell = cells.get("lstmp")(40, 800, projection_size=512, peepholes=True)
    layer = seqloom.Recurrent(cell, layers=2)
    assert count(nn.Sequential(layer, nn.Linear(layer.output_size, 14_247))) == 13_182_311
    assert layer(torch.zeros(1, 2, 40))[0].shape == (1, 2, 512)
