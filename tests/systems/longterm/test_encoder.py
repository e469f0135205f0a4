import math

import pytest
import torch

from seqloom import cells
from seqloom.errors import ConfigError
from seqloom.layers.recurrent import Recurrent
from seqloom.systems.longterm.encoder import IN_BLOCKS, build_encoder, count_parameters, parse_encoder


def test_a_name_is_a_cell_with_what_is_said_before_it():
    parsed = {
        name: parse_encoder(name) for name in ("gru", "dilated_gru", "block_gru", "plain_lru", "lru", "chrono_lstm")
    }
    found = {name: (one.cell, one.arrangement, one.chrono) for name, one in parsed.items()}
    assert found == {
        "gru": ("gru", "plain", False),
        "dilated_gru": ("gru", "dilated", False),
        "block_gru": ("gru", "block", False),
        "plain_lru": ("lru", "plain", False),
        "lru": ("lru", "block", False),
        "chrono_lstm": ("lstm", "plain", True),
    }


def test_all_cells_that_stand_in_blocks_by_themselves_are_registered():
    assert set(cells.names()) >= IN_BLOCKS


@pytest.mark.parametrize("name", cells.names())
def test_every_cell_encodes_in_every_arrangement(name):
    x = torch.randn(2, 5, 3)
    for prefix in ("", "plain_", "dilated_", "block_"):
        encoder = build_encoder(prefix + name, 3, 8, layers=2)
        outputs, _ = encoder(x, lengths=torch.tensor([5, 2]))
        assert outputs.shape == (2, 5, encoder.output_size)
        assert (outputs[1, 2:] == 0).all()


def test_a_plain_encoder_is_the_layer_of_that_cell():
    torch.manual_seed(1)
    encoder = build_encoder("lstm", 3, 4, layers=2)
    torch.manual_seed(1)
    layer = Recurrent("lstm", 3, 4, layers=2)
    x = torch.randn(2, 6, 3)
    assert torch.equal(encoder(x)[0], layer(x)[0])
    assert count_parameters(encoder) == sum(parameter.numel() for parameter in layer.parameters())


@pytest.mark.parametrize("name", ["lstm", "lstm_peephole"])
def test_chrono_gates_keep_for_between_one_step_and_the_longest_wait(name):
    torch.manual_seed(1)
    encoder = build_encoder(f"chrono_{name}", 3, 400, longest=200)
    bias = dict(encoder.named_parameters())["cells.0.bias_ifgo"].detach()
    enter, keep, candidate, leave = bias.chunk(4)
    assert torch.equal(enter, -keep)
    assert candidate.abs().max() == leave.abs().max() == 0
    waits = keep.exp()  # of a gate sigmoid(b), 1 / (1 - sigmoid(b)) = 1 + exp(b)
    assert 1 <= waits.min() < 10
    assert 190 < waits.max() <= 199
    assert abs(waits.mean() - 100) < 4 * 199 / math.sqrt(12 * 400)


def test_the_gru_keeps_with_its_update_gate():
    encoder = build_encoder("chrono_gru", 3, 50, longest=100)
    reset, keep = dict(encoder.named_parameters())["cells.0.bias_rz"].detach().chunk(2)
    assert reset.abs().max() == 0
    assert keep.min() >= 0
    assert keep.max() > 3


@pytest.mark.parametrize("name", ["cifg", "gru_before", "dilated_gru"])
def test_no_chrono_encoder_begins_as_the_plain_one_does(name):
    plain, chrono = (build_encoder(prefix + name, 3, 5, layers=2, longest=100) for prefix in ("", "chrono_"))
    changed = {
        key.rpartition(".")[2]
        for (key, one), (_, other) in zip(plain.named_parameters(), chrono.named_parameters(), strict=True)
        if key.rpartition(".")[2].startswith("bias") and not torch.equal(one, other)
    }
    assert changed == {"bias_fgo" if name == "cifg" else "bias_rz"}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("lstmm", "did you mean 'lstm'?"),
        ("dilated_gruu", "did you mean 'gru'?"),
        ("chrono_rnn", "rnn has no gates to begin with"),
    ],
)
def test_an_unknown_encoder_is_refused_with_the_nearest_cell(name, sentence):
    with pytest.raises(ConfigError) as refused:
        parse_encoder(name)
    assert sentence in str(refused.value)
