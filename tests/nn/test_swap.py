"""accelerate and restore: the same objects and parameters, other classes; and a report of what was left, and why."""

import copy
import io
import re
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import seqloom
import seqloom.nn
from seqloom.errors import ConfigError


class Own(nn.LSTM):
    """A layer with a forward of its own."""

    def forward(self, x, hx=None):
        return super().forward(2 * x, hx)


class Model(nn.Module):
    """Everything that a person's model may hold."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 3)
        self.layers = nn.ModuleList([nn.LSTM(3, 4, bidirectional=True), nn.GRU(8, 4), nn.RNN(4, 4)])
        self.again = self.layers[1]
        self.cell = nn.GRUCell(4, 4)
        self.own = Own(4, 4)

    def forward(self, words):
        x = self.embedding(words)
        for layer in self.layers:
            x, _ = layer(x)
        x, _ = self.own(x)
        return self.cell(x[-1])


@pytest.fixture
def words():
    return torch.randint(10, (5, 2))


def test_the_model_computes_the_same_with_the_same_objects(words):
    model = Model()
    wanted, modules, parameters = model(words), list(model.modules()), list(model.parameters())
    names, words_of_it = list(model.state_dict()), repr(model)
    assert seqloom.accelerate(model) is model
    assert list(map(id, model.modules())) == list(map(id, modules))
    assert list(map(id, model.parameters())) == list(map(id, parameters))
    assert (list(model.state_dict()), repr(model)) == (names, words_of_it)
    assert model.again is model.layers[1]
    assert [type(layer) for layer in model.layers] == [seqloom.nn.LSTM, seqloom.nn.GRU, seqloom.nn.RNN]
    torch.testing.assert_close(model(words), wanted)
    assert seqloom.nn.restore(model) is model
    assert [type(layer) for layer in model.layers] == [nn.LSTM, nn.GRU, nn.RNN]
    assert set(vars(model.layers[0])) == set(vars(nn.LSTM(3, 4)))
    torch.testing.assert_close(model(words), wanted)


def test_the_report_says_what_runs_and_what_not_and_why():
    model = Model()
    assert set(seqloom.nn.report(model).left) == {"layers.0", "layers.1", "layers.2", "cell", "own"}
    report = seqloom.nn.report(seqloom.accelerate(model))
    assert report.swapped == ("layers.0", "layers.1", "layers.2")
    assert set(report.left) == {"cell", "own"}
    assert "single step" in report.left["cell"]
    assert "subclass" in report.left["own"]
    assert "layers.0: LSTM runs on the engine" in str(report)
    assert type(model.own) is Own


def test_twice_is_once(words):
    model = seqloom.accelerate(seqloom.accelerate(Model()))
    assert len(seqloom.nn.report(model).swapped) == 3
    model(words)


def test_an_optimiser_built_before_goes_on(words):
    first = Model()
    second, losses = copy.deepcopy(first), []
    for model, change in ((first, lambda model: model), (second, seqloom.accelerate)):
        optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
        for step in range(6):
            if step == 3:
                change(model)
            optimiser.zero_grad()
            loss = model(words).square().sum()
            loss.backward()
            optimiser.step()
        losses.append(loss.detach())
    torch.testing.assert_close(losses[1], losses[0], atol=1e-5, rtol=1e-4)


def test_hooks_modes_and_flags_stay():
    layer, seen = nn.LSTM(3, 4), []
    layer.register_forward_hook(lambda module, given, result: seen.append(module))
    layer.register_full_backward_hook(lambda module, given, result: seen.append("back"))
    layer.weight_ih_l0.requires_grad_(False)
    layer.eval()
    seqloom.accelerate(layer)
    layer(torch.zeros(2, 1, 3, requires_grad=True))[0].sum().backward()
    assert seen == [layer, "back"]
    assert not layer.training
    assert layer.weight_ih_l0.grad is None
    assert layer.weight_hh_l0.grad is not None


def test_a_subclass_of_ours_counts_as_swapped_and_keeps_its_class():
    class Mine(seqloom.nn.GRU):
        pass

    model = seqloom.accelerate(nn.Sequential(Mine(3, 4)), backend="reference")
    assert type(model[0]) is Mine
    assert model[0].backend == "reference"
    assert seqloom.nn.report(model).swapped == ("0",)


def test_the_backend_is_chosen_and_unchosen():
    model = seqloom.accelerate(nn.GRU(3, 4), backend="derived")
    assert model.backend == "derived"
    assert copy.deepcopy(model).backend == "derived"
    assert seqloom.accelerate(model).backend == "derived"
    assert seqloom.accelerate(model, backend="auto").backend is None
    with pytest.raises(ConfigError, match="backend: 'vendr' is not a known backend"):
        seqloom.accelerate(model, backend="vendr")


def test_what_torch_has_replaced_is_left():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch has declared both old
        quantised = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.LSTM(3, 4)), {nn.LSTM})
        scripted = torch.jit.script(nn.Sequential(nn.GRU(3, 4)))
    parametrised = nn.utils.parametrizations.weight_norm(nn.GRU(3, 4), "weight_hh_l0")
    for model, reason in ((quantised, "quantised"), (scripted, "TorchScript"), (parametrised, "parametrised")):
        with pytest.warns(UserWarning, match="accelerate changed nothing"):
            seqloom.accelerate(model)
        (found,) = seqloom.nn.report(model).left.values()
        assert reason in found


def test_a_model_without_recurrent_modules_is_told_so():
    with pytest.warns(UserWarning, match="no recurrent module"):
        seqloom.accelerate(nn.Linear(2, 2))
    with pytest.raises(ConfigError, match=r"model is a list; expected a torch\.nn\.Module"):
        seqloom.accelerate([nn.GRU(2, 3)])


def test_saved_weights_and_whole_models_load(words):
    model = seqloom.accelerate(Model())
    wanted, file = model(words), io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    fresh = Model()
    fresh.load_state_dict(torch.load(file, weights_only=True))
    torch.testing.assert_close(fresh(words), wanted)
    file = io.BytesIO()
    torch.save(model.layers, file)
    file.seek(0)
    layers = torch.load(file, weights_only=False)
    assert [type(layer) for layer in layers] == [type(layer) for layer in model.layers]


def test_the_page_about_the_drop_in_shows_what_works():
    page = (Path(__file__).parents[2] / "docs/drop-in.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "drop-in.md", "exec"), {})
