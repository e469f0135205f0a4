"""Diagnosing whole models: what is found in them, that nothing in them changes, and what is said about it."""

import json
import math

import pytest
import torch
from torch import nn

from seqloom import Recurrent
from seqloom.errors import ConfigError
from seqloom.learning.diagnosis import DiagnosisConfig, diagnose

LENGTHS = torch.tensor([11, 4, 0, 7])


class Model(nn.Module):
    """An embedding, a stack of two directions, and a layer that only exists."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.table = nn.Embedding(9, 5)
        self.encoder = Recurrent("lstm", 5, 4, layers=2, bidirectional=True, dropout=0.5)
        self.spare = Recurrent("gru", 2, 2)
        self.out = nn.Linear(8, 2)

    def forward(self, ids, lengths):
        outputs, _ = self.encoder(self.table(ids), lengths=lengths)
        return self.out(outputs)


@pytest.fixture
def model():
    return Model()


IDS = torch.randint(0, 9, (4, 11), generator=torch.Generator().manual_seed(1))


def diagnosed(model, ids=IDS, **more):
    config = DiagnosisConfig(jacobian_rows=1, jacobian_steps=3)
    return diagnose(model, ids, LENGTHS, loss=lambda scores: scores.square().mean(), config=config, **more)


def test_every_layer_and_direction_of_a_model_is_found_by_its_name(model):
    found = diagnosed(model)
    assert [each.name for each in found.recurrences] == [
        "encoder.1.forward", "encoder.1.backward", "encoder.2.forward", "encoder.2.backward",
    ]  # fmt: skip
    assert found.unseen == ("spare",)
    assert all(each.from_loss and (each.rows, each.steps) == (3, 11) for each in found.recurrences)
    numbers = found.main_numbers()
    assert numbers["encoder.1.forward/forget_mean"] == pytest.approx(found.recurrences[0].carries[0].mean)
    assert "no sequence passed through spare; it was not examined" in str(found)


def test_ratios_are_those_of_the_gradients_that_training_takes(model):
    found = diagnosed(model)
    model.eval()
    model(IDS, LENGTHS).square().mean().backward()
    expected = {
        name: float(value.grad.norm() / value.detach().norm())
        for name, value in model.named_parameters()
        if value.grad is not None
    }
    assert {each.name: each.ratio for each in found.parameters} == pytest.approx(expected, rel=1e-5)
    assert found.loss == pytest.approx(float(model(IDS, LENGTHS).square().mean().detach()))


def test_nothing_changes(model):
    model.train()
    model.spare.eval()
    model(IDS, LENGTHS).sum().backward()
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    weights = [p.detach().clone() for p in model.parameters()]
    modes = [part.training for part in model.modules()]
    generator = torch.get_rng_state()
    first, again = diagnosed(model), diagnosed(model)
    assert first.to_dict() == again.to_dict()
    assert torch.equal(torch.get_rng_state(), generator)
    assert [part.training for part in model.modules()] == modes
    for before, parameter in zip(weights, model.parameters(), strict=True):
        assert torch.equal(before, parameter)
    for before, parameter in zip(gradients, model.parameters(), strict=True):
        assert (before is None and parameter.grad is None) or torch.equal(before, parameter.grad)
    assert not any(part._forward_hooks for part in model.modules())


def test_padding_never_changes_a_diagnosis(model):
    other = IDS.clone()
    for row, length in enumerate(LENGTHS.tolist()):
        other[row, length:] = 8 - other[row, length:]

    def loss(scores):
        real = torch.arange(11) < LENGTHS[:, None]
        return scores[real].square().mean()

    found = [diagnose(model, ids, LENGTHS, loss=loss).to_dict() for ids in (IDS, other)]
    assert found[0]["recurrences"] == found[1]["recurrences"]


def test_time_first_is_the_same(model):
    layer = Recurrent("gru", 3, 4, layers=2)
    other = Recurrent("gru", 3, 4, layers=2, batch_first=False)
    other.load_state_dict(layer.state_dict())
    x = torch.randn(4, 11, 3)
    found = diagnose(layer, x, lengths=LENGTHS, loss=lambda r: r[0].square().sum())
    same = diagnose(other, x.transpose(0, 1), lengths=LENGTHS, loss=lambda r: r[0].square().sum())
    for one, two in zip(found.recurrences, same.recurrences, strict=True):
        assert two.main_numbers() == pytest.approx(one.main_numbers(), rel=1e-4)


def test_a_loss_that_looks_elsewhere_leaves_the_last_output_as_the_probe():
    layer = Recurrent("rnn", 3, 4)
    (first,) = diagnose(layer, torch.randn(2, 6, 3), loss=lambda r: r[0][:, 0].sum()).recurrences
    assert not first.from_loss
    assert first.gradient.loss_norms[0] > 0
    assert first.gradient.loss_norms[1:] == (0.0,) * 5
    (none,) = diagnose(layer, torch.randn(2, 6, 3)).recurrences
    assert none.gradient.loss_norms is None


def test_a_diagnosis_is_strict_json_with_null_for_what_is_infinite(model):
    layer = Recurrent("rnn", 3, 4)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.zero_()
    found = diagnose(layer, torch.randn(2, 6, 3), config=DiagnosisConfig(exponents=9)).to_dict()
    text = json.loads(json.dumps(found, allow_nan=False))
    assert text["recurrences"][0]["lyapunov"] == [None] * 4
    assert text["recurrences"][0]["gradient"]["slope"] is None


def test_words_say_what_follows_and_no_more():
    layer = Recurrent("rnn", 3, 4).double()
    orthogonal = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)).double())[0]
    with torch.no_grad():
        layer.cells[0].parameter("weight_h").copy_(0.5 * orthogonal)
        layer.cells[0].parameter("bias").zero_()
    x = torch.zeros(3, 40, 3).double()  # the step is then linear
    vanishing = str(diagnose(layer, x))
    assert "halves every 1 steps" in vanishing
    assert "gradients can only shrink" in vanishing
    assert "clipping does not help here" in vanishing
    assert "what lies more than about 7 steps back hardly changes the gradient" in vanishing
    with torch.no_grad():
        layer.cells[0].parameter("weight_h").mul_(3.0)
    exploding = str(diagnose(layer, x))
    assert "doubles every 1.71 steps" in exploding
    assert "lets gradients grow; it does not make them grow" in exploding
    assert "training.clip_norm" in exploding


def test_an_overflow_is_said_first():
    layer = Recurrent("rnn_relu", 1, 2)
    with torch.no_grad():
        layer.cells[0].parameter("weight_h").copy_(1e6 * torch.eye(2))
        layer.cells[0].parameter("weight_x").fill_(1.0)
    found = diagnose(layer, torch.ones(1, 12, 1))
    assert not math.isfinite(found.recurrences[0].largest_state)
    assert "The state overflows" in str(found)
    json.dumps(found.to_dict(), allow_nan=False)


def test_what_cannot_be_examined_is_said():
    with pytest.raises(ConfigError, match=r"Linear holds no seqloom.Recurrent layer"):
        diagnose(nn.Linear(2, 2), torch.zeros(1, 2))

    class Idle(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = Recurrent("rnn", 2, 2)

        def forward(self, x):
            return x.sum()

    with pytest.raises(ConfigError, match="no sequence passed through part"):
        diagnose(Idle(), torch.zeros(1, 3, 2))
    with pytest.raises(ConfigError, match="rows is 0, expected at least 1"):
        DiagnosisConfig(rows=0)
