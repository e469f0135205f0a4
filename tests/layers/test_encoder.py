import math
import subprocess
import sys

import pytest
import torch

from seqloom import cells
from seqloom.errors import ConfigError
from seqloom.layers.encoder import IN_BLOCKS, EncoderConfig, build_encoder, count_parameters, parse_encoder
from seqloom.layers.recurrent import Recurrent


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
        encoder = build_encoder(EncoderConfig(cell=prefix + name, hidden_size=8, layers=2), 3)
        outputs, _ = encoder(x, lengths=torch.tensor([5, 2]))
        assert outputs.shape == (2, 5, encoder.output_size)
        assert (outputs[1, 2:] == 0).all()


def test_a_plain_encoder_is_the_layer_of_that_cell():
    torch.manual_seed(1)
    encoder = build_encoder(EncoderConfig(cell="lstm", hidden_size=4, layers=2), 3)
    torch.manual_seed(1)
    layer = Recurrent("lstm", 3, 4, layers=2)
    x = torch.randn(2, 6, 3)
    assert torch.equal(encoder(x)[0], layer(x)[0])
    assert count_parameters(encoder) == sum(parameter.numel() for parameter in layer.parameters())


@pytest.mark.parametrize("name", ["lstm", "lstm_peephole"])
def test_chrono_gates_keep_for_between_one_step_and_the_longest_wait(name):
    torch.manual_seed(1)
    encoder = build_encoder(EncoderConfig(cell=f"chrono_{name}", hidden_size=400), 3, longest=200)
    bias = dict(encoder.named_parameters())["cells.0.bias_ifgo"].detach()
    enter, keep, candidate, leave = bias.chunk(4)
    assert torch.equal(enter, -keep)
    assert candidate.abs().max() == leave.abs().max() == 0
    waits = keep.exp()  # of a gate sigmoid(b), 1 / (1 - sigmoid(b)) = 1 + exp(b)
    assert 1 <= waits.min() < 10
    assert 190 < waits.max() <= 199
    assert abs(waits.mean() - 100) < 4 * 199 / math.sqrt(12 * 400)


def test_the_gru_keeps_with_its_update_gate():
    encoder = build_encoder(EncoderConfig(cell="chrono_gru", hidden_size=50), 3, longest=100)
    reset, keep = dict(encoder.named_parameters())["cells.0.bias_rz"].detach().chunk(2)
    assert reset.abs().max() == 0
    assert keep.min() >= 0
    assert keep.max() > 3


@pytest.mark.parametrize("name", ["cifg", "gru_before", "dilated_gru"])
def test_no_chrono_encoder_begins_as_the_plain_one_does(name):
    plain, chrono = (
        build_encoder(EncoderConfig(cell=prefix + name, hidden_size=5, layers=2), 3, longest=100)
        for prefix in ("", "chrono_")
    )
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


def test_keys_say_what_a_name_can_say():
    for name, keys in (
        ("dilated_gru", {"cell": "gru", "arrangement": "dilated"}),
        ("plain_lru", {"cell": "lru", "arrangement": "plain"}),
        ("chrono_block_lstm", {"cell": "lstm", "arrangement": "block", "chrono": 50}),
    ):
        torch.manual_seed(1)
        named = build_encoder(EncoderConfig(cell=name, hidden_size=4), 3, longest=50)
        torch.manual_seed(1)
        spelled = build_encoder(EncoderConfig(hidden_size=4, **keys), 3)
        for (one, value), (other, same) in zip(named.named_parameters(), spelled.named_parameters(), strict=True):
            assert one == other
            assert torch.equal(value, same)


@pytest.mark.parametrize("arrangement", ["plain", "dilated", "block"])
def test_inputs_and_outputs_are_dropped_in_every_arrangement(arrangement):
    x = torch.ones(2, 40, 3)
    for name in ("dropout_input", "dropout_output"):
        config = EncoderConfig(hidden_size=8, layers=2, arrangement=arrangement, **{name: 0.5})
        encoder = build_encoder(config, 3)
        first, second = encoder(x)[0], encoder(x)[0]
        assert not torch.equal(first, second)
        if name == "dropout_output":
            assert 0.3 < (first == 0).float().mean() < 0.7
        encoder.eval()
        assert torch.equal(encoder(x)[0], encoder(x)[0])


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"arrangement": "dilated", "bidirectional": True}, "model.bidirectional is true, which plain and block"),
        ({"cell": "dilated_gru", "bidirectional": True}, "this one is dilated; set it to false"),
        ({"arrangement": "block", "zoneout": 0.1}, "model.zoneout is 0.1, which plain encoders can do"),
        ({"cell": "lru", "residual": True}, "or model.arrangement to plain"),
        ({"cell": "dilated_gru", "arrangement": "block"}, "is a dilated encoder, but model.arrangement is 'block'"),
        ({"cell": "rnn", "chrono": 30}, "rnn has no gates to begin with"),
        ({"cell": "chrono_gru"}, "the length of the sequences is not known; set model.chrono to it"),
        ({"hidden_size": 0}, "model.hidden_size is 0, expected at least 1"),
        ({"layers": -1}, "model.layers is -1, expected at least 0"),
    ],
)
def test_what_an_encoder_cannot_do_is_one_sentence(keys, sentence):
    with pytest.raises(ConfigError) as refused:
        build_encoder(EncoderConfig(**keys), 3)
    assert sentence in str(refused.value)


def test_what_the_command_line_reads_for_its_help_imports_no_torch():
    modules = "seqloom.layers.encoder_config, seqloom.systems.tagger.config, seqloom.systems.synthetic.config"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
