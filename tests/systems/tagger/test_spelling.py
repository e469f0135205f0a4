"""Spellings: vectors of tokens from their characters, against torch's convolution and a stepped cell, word by word."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from seqloom.errors import ConfigError
from seqloom.systems.tagger.config import TaggerModelConfig
from seqloom.systems.tagger.encoding import Spelling
from seqloom.systems.tagger.spelling import SpellingConvolution, SpellingRecurrence, build_spelling

LENGTHS = [4, 1, 7, 0, 2]


def _encoder(kind, **model):
    torch.manual_seed(0)
    config = TaggerModelConfig(features={"characters": 6}, spelling=kind, spelling_embedding=5, **model)
    return build_spelling(20, config).double()


def _spelling(extra=0):
    generator = torch.Generator().manual_seed(1)
    ids = torch.zeros(len(LENGTHS), max(LENGTHS) + extra, dtype=torch.long)
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = torch.randint(1, 20, (length,), generator=generator)
    return Spelling(ids, torch.tensor(LENGTHS), torch.zeros(1, 1, dtype=torch.long))


@pytest.mark.parametrize("kind", ["lstm", "cnn"])
def test_padding_never_changes_the_vector_of_a_token(kind):
    encoder, spelling = _encoder(kind), _spelling()
    together, wider = encoder(spelling), encoder(_spelling(extra=9))
    torch.testing.assert_close(wider, together)
    for row, length in enumerate(LENGTHS):
        alone = Spelling(spelling.ids[row : row + 1, :length], spelling.lengths[row : row + 1], spelling.index)
        torch.testing.assert_close(encoder(alone)[0], together[row])


@pytest.mark.parametrize("kind", ["lstm", "cnn"])
def test_padding_gets_no_gradient_and_an_empty_token_no_nan(kind):
    encoder = _encoder(kind)
    encoder(_spelling(extra=3)).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in encoder.parameters())
    assert encoder.embedding.weight.grad[0].abs().sum() == 0
    assert encoder(_spelling())[LENGTHS.index(0)].abs().sum() == 0


@pytest.mark.parametrize("width", [1, 3, 5])
def test_the_convolution_is_torchs_with_the_maximum_over_the_tokens_own_characters(width):
    encoder, spelling = _encoder("cnn", spelling_width=width), _spelling()
    assert isinstance(encoder, SpellingConvolution)
    weight = encoder.filters.weight.view(6, width, 5).transpose(1, 2)
    for row, length in enumerate(LENGTHS):
        if length:
            embedded = encoder.embedding.weight[spelling.ids[row, :length]].T[None]
            scores = F.conv1d(embedded, weight, encoder.filters.bias, padding=width // 2)[0]
            torch.testing.assert_close(encoder(spelling)[row], torch.tanh(scores).max(1).values)


def test_the_recurrence_is_a_cell_stepped_over_each_token_alone():
    encoder, spelling = _encoder("lstm"), _spelling()
    assert isinstance(encoder, SpellingRecurrence)
    forward, backward = encoder.recurrent.cells
    for row, length in enumerate(LENGTHS):
        if length:
            embedded = encoder.embedding.weight[spelling.ids[row, :length]][None]
            for cell, steps, part in ((forward, embedded, slice(3)), (backward, embedded.flip(1), slice(3, None))):
                outputs = _stepped(cell, steps)
                torch.testing.assert_close(encoder(spelling)[row, part], outputs[0, -1])


def _stepped(cell, steps):
    """A cell run by its own step, one character after the other."""
    states = [steps.new_zeros(len(steps), size) for size in cell.state_sizes]
    outputs = []
    for step in range(steps.shape[1]):
        states = cell.step(steps[:, step], *states)
        outputs.append(states[0])
    return torch.stack(outputs, 1)


def test_an_even_window_is_refused():
    with pytest.raises(ConfigError, match="spelling_width is 4, expected an odd number"):
        _encoder("cnn", spelling_width=4)


@pytest.mark.parametrize("kind", ["lstm", "cnn"])
def test_dropout_of_characters_acts_in_training_alone(kind):
    encoder = _encoder(kind, spelling_dropout=0.5)
    spelling = _spelling()
    assert not torch.equal(encoder(spelling), encoder(spelling))
    encoder.eval()
    assert torch.equal(encoder(spelling), encoder(spelling))
    plain = _encoder(kind).eval()
    nn.Module.load_state_dict(plain, encoder.state_dict())
    torch.testing.assert_close(plain(spelling), encoder(spelling))
