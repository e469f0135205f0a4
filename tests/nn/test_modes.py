"""Calls that are not the engine's run torch's own forward: the same results, or the same refusal, as torch's layer."""

import warnings

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.utils.flop_counter import FlopCounterMode

import seqloom
import seqloom.nn
from seqloom.engine.runtime import backend as engine
from seqloom.errors import ConfigError

KINDS = ["RNN", "LSTM", "GRU"]


class Words(nn.Module):
    """A small model with a recurrent layer inside."""

    def __init__(self, recurrent):
        super().__init__()
        self.recurrent, self.head = recurrent, nn.Linear(4, 2)

    def forward(self, x):
        outputs, _ = self.recurrent(x)
        return self.head(outputs)


@pytest.fixture
def engine_calls(monkeypatch):
    """The calls that reach the engine."""
    calls, run = [], seqloom.nn.layers.run_layer

    def counted(*arguments, **options):
        calls.append(arguments)
        return run(*arguments, **options)

    monkeypatch.setattr(seqloom.nn.layers, "run_layer", counted)
    return calls


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", KINDS)
def test_lower_precision_is_torchs(twins, flat, engine_calls, kind, dtype):
    pair = [module.to(dtype) for module in twins(kind, 3, 4, num_layers=2)]
    x = torch.randn(5, 2, 3).to(dtype)
    torch.testing.assert_close(flat(pair[1](x)), flat(pair[0](x)), atol=0, rtol=0)
    assert not engine_calls
    pair[1].float()(x.float())
    assert len(engine_calls) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_is_torchs(twins, flat, engine_calls, kind):
    pair, x = twins(kind, 3, 4, dtype=torch.float32), torch.randn(5, 2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        found, wanted = flat(pair[1](x)), flat(pair[0](x))
    torch.testing.assert_close(found, wanted, atol=0, rtol=0)
    assert not engine_calls


@pytest.mark.parametrize("kind", KINDS)
def test_scripts_and_traces_hold_torchs_layer_with_the_same_parameters(twins, engine_calls, kind):
    _, ours = twins(kind, 3, 4, dtype=torch.float32)
    model, x = Words(ours), torch.randn(5, 2, 3)
    longer = torch.cat([x, x])
    wanted = model(longer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch.jit itself
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # torch's checks of shapes
        traced = torch.jit.trace(model, x)
        with pytest.warns(UserWarning, match=f"compiles torch's own {kind}"):
            scripted = torch.jit.script(model)
    for compiled in (traced, scripted):
        torch.testing.assert_close(compiled(longer), wanted)
        assert f"aten::{'rnn_tanh' if kind == 'RNN' else kind.lower()}" in str(compiled.inlined_graph)
        names = {name: value.data_ptr() for name, value in compiled.named_parameters()}
        assert names == {name: value.data_ptr() for name, value in model.named_parameters()}
    del engine_calls[:]
    torch.testing.assert_close(model(longer), wanted)
    assert not engine_calls  # as the warning says
    torch.testing.assert_close(seqloom.accelerate(model)(longer), wanted)
    assert engine_calls


@pytest.mark.parametrize("kind", KINDS)
def test_compiled_and_exported_models_give_the_same(twins, kind):
    _, ours = twins(kind, 3, 4, dtype=torch.float32)
    model, x = Words(ours).eval(), torch.randn(5, 2, 3)
    wanted = model(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.testing.assert_close(torch.compile(model, backend="eager")(x), wanted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about torch's list of flat weights
        exported = torch.export.export(model, (x,), strict=False)
    torch.testing.assert_close(exported.module()(x), wanted)
    assert not any("seqloom" in str(node.target) for node in exported.graph.nodes)


@pytest.mark.parametrize("kind", KINDS)
def test_functional_calls_use_the_parameters_that_are_passed(twins, flat, engine_calls, kind):
    pair, x = twins(kind, 3, 4, num_layers=2), torch.randn(5, 2, 3, dtype=torch.float64)
    other = {name: torch.randn_like(value, requires_grad=True) for name, value in pair[0].named_parameters()}
    gradients = []
    for module in pair:
        result = flat(torch.func.functional_call(module, other, (x,)))
        gradients.append([*result, *torch.autograd.grad(result[0].sum(), list(other.values()))])
    torch.testing.assert_close(gradients[1], gradients[0])
    assert engine_calls
    torch.testing.assert_close(flat(pair[1](x)), flat(pair[0](x)))


@pytest.mark.parametrize("kind", KINDS)
def test_transforms_and_forward_derivatives_are_torchs(twins, kind):
    found, x = [], torch.randn(5, 2, 3, dtype=torch.float64)
    for module in twins(kind, 3, 4):

        def loss(parameters, x, module=module):
            return torch.func.functional_call(module, parameters, (x,))[0].square().sum()

        parameters = {name: value.detach() for name, value in module.named_parameters()}
        found.append([*torch.func.grad(loss)(parameters, x).values()])
        with forward_ad.dual_level(), torch.no_grad():
            outputs, _ = module(forward_ad.make_dual(x, torch.ones_like(x)))
            found[-1].append(forward_ad.unpack_dual(outputs).tangent)
    torch.testing.assert_close(found[1], found[0])


def test_counted_floating_point_operations_are_torchs(twins):
    counts = []
    for module in twins("LSTM", 3, 4):
        with FlopCounterMode(display=False) as counter:
            module(torch.randn(5, 2, 3, dtype=torch.float64))
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_states_that_torch_takes_in_other_forms_are_taken(twins, flat, kind):
    pair, x = twins(kind, 3, 4), torch.randn(5, 2, 3, dtype=torch.float64)
    wide = torch.randn(1, 4, 8, dtype=torch.float64)
    field = wide[:, ::2, ::2]
    forms = [[field, field], (field, field)] if kind == "LSTM" else [field]
    for hx in forms:
        torch.testing.assert_close(flat(pair[1](x, hx)), flat(pair[0](x, hx)))


@pytest.mark.parametrize("kind", KINDS)
def test_states_and_weights_amiss_are_refused_as_torch_refuses_them(twins, kind):
    pair, x = twins(kind, 3, 4), torch.randn(5, 2, 3, dtype=torch.float64)
    state = torch.zeros(1, 2, 4, dtype=torch.float32)
    for hx in ((state, state) if kind == "LSTM" else state, "h"):
        words = []
        for module in pair:
            with pytest.raises(Exception) as refusal:  # noqa: PT011 - whatever torch raises
                module(x, hx)
            words.append((refusal.type, str(refusal.value)))
        assert words[0] == words[1]
    for module in pair:
        module.weight_hh_l0.data = torch.zeros(3, 3, dtype=torch.float64)
        with pytest.raises(RuntimeError):
            module(x)


def test_inference_mode_and_many_threads(twins, flat):
    from concurrent.futures import ThreadPoolExecutor

    _, ours = twins("GRU", 3, 4, num_layers=2, bidirectional=True)
    x = torch.randn(9, 2, 3, dtype=torch.float64)

    def recorded(_):
        outputs = ours(x)[0]
        return [outputs.detach(), *torch.autograd.grad(outputs.sum(), list(ours.parameters()))]

    def plain(_):
        with torch.inference_mode():
            return flat(ours(x))

    wanted = recorded(0), plain(0)
    with ThreadPoolExecutor(4) as threads:
        jobs = [threads.submit((recorded, plain)[k % 2], k) for k in range(40)]
        for k, job in enumerate(jobs):
            torch.testing.assert_close(job.result(), wanted[k % 2])


def test_a_layer_runs_on_the_backend_that_it_is_told(twins, flat, monkeypatch):
    torchs, ours = twins("LSTM", 3, 4, proj_size=2)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    for name in ("reference", "derived"):
        ours.backend, calls, run = name, [], engine.BACKENDS[name].run

        def counted(*arguments, calls=calls, run=run):
            calls.append(arguments)
            return run(*arguments)

        monkeypatch.setattr(engine.BACKENDS[name], "run", counted)
        torch.testing.assert_close(flat(ours(x)), flat(torchs(x)))
        assert len(calls) == 1
    ours.backend = "vendor"
    with pytest.raises(ConfigError, match="'vendor' cannot run this layer"):
        ours(x)
