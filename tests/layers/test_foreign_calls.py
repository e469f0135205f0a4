"""Calls that are recorded, transformed, shared by threads or fed with unusual tensors give the numbers of plain calls."""

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm
from torch.testing._internal.logging_tensor import LoggingTensor
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils.flop_counter import FlopCounterMode

import seqloom
from seqloom.cells import Cell, registry
from seqloom.engine.graph import StepError
from seqloom.engine.operations import sigmoid, tanh, where


class _Outputs(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


@pytest.mark.parametrize("cell", ["gru", "mgu"])
@pytest.mark.filterwarnings("ignore")
def test_a_trace_gives_what_the_layer_gives(cell):
    model, x = _Outputs(seqloom.Recurrent(cell, 4, 6)).eval(), torch.randn(2, 8, 4)
    torch.testing.assert_close(torch.jit.trace(model, x)(x), model(x))
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.trace(model, x)(x), model(x))
        torch.testing.assert_close(make_fx(model)(x)(x), model(x))
        small = _Outputs(seqloom.quantize(model.layer))
        torch.testing.assert_close(make_fx(small)(x)(x), small(x), atol=1e-3, rtol=0)


@pytest.mark.parametrize("cell", ["gru", "mgu"])
def test_a_layer_is_mapped_over_batches_and_over_its_parameters(cell):
    layer, x = seqloom.Recurrent(cell, 4, 6, layers=2, bidirectional=True), torch.randn(3, 2, 9, 4)
    wanted = torch.stack([layer(each)[0] for each in x])
    torch.testing.assert_close(torch.vmap(lambda each: layer(each)[0])(x), wanted)
    small = seqloom.quantize(layer)
    torch.testing.assert_close(torch.vmap(lambda each: small(each)[0])(x), wanted, atol=0.05, rtol=0)
    many = {name: torch.stack([value, 0.5 * value]) for name, value in layer.named_parameters()}
    found = torch.vmap(lambda parameters: torch.func.functional_call(layer, parameters, (x[0],))[0])(many)
    halved = {name: value[1] for name, value in many.items()}
    torch.testing.assert_close(found[1], torch.func.functional_call(layer, halved, (x[0],))[0])


@pytest.mark.parametrize("kind", [LoggingTensor, lambda x: TwoTensor(x, x)], ids=["logging", "two"])
def test_tensors_that_wrap_others_are_computed_with(kind):
    model, x = _Outputs(seqloom.Recurrent("gru", 4, 6)).eval(), torch.randn(2, 9, 4)
    with torch.no_grad():
        found = model(kind(x))
        found = getattr(found, "elem", getattr(found, "a", found))
        torch.testing.assert_close(found, model(x))


def test_a_mode_that_counts_operations_changes_nothing():
    model, x = _Outputs(seqloom.Recurrent("lstm", 4, 6)).eval(), torch.randn(2, 9, 4)
    with torch.no_grad():
        wanted = model(x)
        with FlopCounterMode(display=False):
            torch.testing.assert_close(model(x), wanted)


OPTIONS = (
    {}, {"layers": 2, "bidirectional": True}, {"layers": 2, "residual": True}, {"layers": 2, "highway": True},
    {"layers": 2, "variational": True, "dropout": 0.3}, {"zoneout": 0.1}, {"batch_norm": "sequence"}, {"weight_drop": 0.2},
    {"weight_noise": 0.1}, {"dropout_state": 0.2}, {"dropout_input": 0.2}, {"dropout_output": 0.2}, {"batch_first": False},
)  # fmt: skip


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("cell", ["lstm", "slstm"])
def test_a_call_with_other_parameters_is_that_of_a_layer_that_has_them(cell, options, training):
    layer, x = seqloom.Recurrent(cell, 6, 6, **options).train(training), torch.randn(3, 7, 6)
    other = copy.deepcopy(layer)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.3)
    values = {**dict(layer.named_buffers()), **{name: value.detach() for name, value in other.named_parameters()}}
    values = {name: value.clone() for name, value in values.items()}
    torch.manual_seed(3)
    found = torch.func.functional_call(layer, values, (x,))[0]
    torch.manual_seed(3)
    torch.testing.assert_close(found, other(x)[0])


def test_a_step_may_keep_a_state_that_is_the_same_for_all_rows():
    class Fixed(Cell):
        state = ("h", "c")

        def step(self, x, h, c):
            return tanh(self.affine(x, h) + c), self.vector("c0")

    x = torch.randn(5, 6, 3)
    for backend in ("cpu", "reference"):
        assert seqloom.Recurrent(Fixed, 3, 4, backend=backend)(x)[1].c.shape == (5, 1, 4)


def test_a_copy_of_a_cell_that_is_acting_does_not_act():
    layer = seqloom.Recurrent("rnn", 4, 6)
    with layer.cells[0].replaced_parameters({"weight_h": torch.zeros(6, 6)}):
        copies = copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))
    for other in copies:
        assert torch.equal(other.cells[0].parameter("weight_h"), layer.cells[0].weight_h)


@pytest.mark.parametrize("cell", ["lstm", "mgu"])
def test_one_graph_serves_all_lengths_and_batch_sizes(cell):
    layer, graphs = seqloom.Recurrent(cell, 4, 6, layers=2).eval(), []

    def backend(module, examples):
        graphs.append(module)
        return module.forward

    quick = torch.compile(layer, fullgraph=True, dynamic=True, backend=backend)
    with torch.no_grad():
        for batch, steps in ((2, 9), (3, 11), (5, 40), (17, 8), (32, 100), (2, 6)):
            x = torch.randn(batch, steps, 4)
            torch.testing.assert_close(quick(x)[0], layer(x)[0])
    assert len(graphs) == 1


def test_an_exported_layer_is_read_in_another_process(tmp_path):
    layer, x = seqloom.Recurrent("lstm", 4, 6).eval(), torch.randn(3, 9, 4)
    torch.export.save(torch.export.export(layer, (x,)), tmp_path / "layer.pt2")
    torch.save((x, layer(x)[0].detach()), tmp_path / "right.pt")
    script = (
        "import sys, torch, seqloom.layers.state, seqloom.engine.runtime.torch_library\n"
        "layer = torch.export.load(sys.argv[1] + '/layer.pt2').module()\n"
        "x, right = torch.load(sys.argv[1] + '/right.pt')\n"
        "torch.testing.assert_close(layer(x)[0], right)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, timeout=120)


def test_fake_tensors_get_shapes():
    with FakeTensorMode():
        assert seqloom.Recurrent("gru", 4, 6)(torch.empty(2, 8, 4))[0].shape == (2, 8, 6)


def test_forward_mode_derivatives_pass_through_long_sequences():
    layer, x, tangent = seqloom.Recurrent("gru", 3, 4), torch.randn(1, 8, 3), torch.randn(1, 8, 3)
    with forward_ad.dual_level():
        found = forward_ad.unpack_dual(layer(forward_ad.make_dual(x, tangent))[0]).tangent
    torch.testing.assert_close(found, torch.func.jvp(lambda value: layer(value)[0], (x,), (tangent,))[1])


@pytest.mark.parametrize("axis", [0, 1])
def test_export_keeps_batch_and_time_dynamic(axis):
    layer = seqloom.Recurrent("gru", 4, 6).eval()
    shapes = ({axis: torch.export.Dim("n", min=2, max=50)},)
    exported = torch.export.export(layer, (torch.randn(3, 9, 4),), dynamic_shapes=shapes).module()
    x = torch.randn(20 if axis == 0 else 3, 9 if axis == 0 else 4, 4)
    torch.testing.assert_close(exported(x)[0], layer(x)[0])


@pytest.mark.parametrize(
    "options", [{"batch_norm": "sequence"}, {"weight_drop": 0.3}, {"weight_noise": 0.1}, {"zoneout": 0.1}], ids=str
)
def test_threads_leave_nothing_behind_in_a_layer(options):
    layer, x = seqloom.Recurrent("slstm", 8, 8, **options), torch.randn(2, 9, 8)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: torch.no_grad()(layer)(x)[0], range(24)))
    assert not any(cell._acting for cell in layer.cells)
    layer(x)[0].sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())


@pytest.mark.parametrize("name", registry.names())
def test_a_layer_that_begins_without_memory_has_its_constants(name):
    x, layer = torch.randn(2, 7, 8), seqloom.Recurrent(name, 8, 8)
    with torch.device("meta"):
        other = seqloom.Recurrent(name, 8, 8)
    other.to_empty(device="cpu").load_state_dict(layer.state_dict())
    assert torch.equal(other(x)[0], layer(x)[0])


@pytest.mark.parametrize("name", registry.names())
def test_gradients_of_parameters_have_memory_of_their_own(name):
    layer = seqloom.Recurrent(name, 8, 8)
    outputs, _ = layer(torch.randn(2, 7, 8))
    found = torch.autograd.grad(outputs.sum(), list(layer.parameters()), allow_unused=True)
    kept = [(gradient, gradient.clone()) for gradient in found if gradient is not None]
    for gradient, before in kept:
        gradient.mul_(0.5)
        assert torch.equal(gradient, before * 0.5)
        gradient.copy_(before)
    torch._foreach_mul_([gradient for gradient, _ in kept], 0.5)
    assert all(torch.equal(gradient, before * 0.5) for gradient, before in kept)


def test_a_bias_may_be_a_column_of_a_matrix():
    layer, x = seqloom.Recurrent("lstm", 5, 8), torch.randn(20, 7, 5)
    layer.cells[0].bias_ifgo = nn.Parameter(torch.randn(32, 2)[:, 0])
    with torch.no_grad():
        found, live = layer(x)[0], layer.stream(20).push(x)
        layer.backend = "reference"
        torch.testing.assert_close(found, layer(x)[0])
        torch.testing.assert_close(live, layer(x)[0])


def test_saved_tensors_may_come_back_with_gaps():
    layer, x = seqloom.Recurrent("lstm", 32, 16), torch.randn(20, 5, 32)

    def unpack(tensor):
        wide = tensor.new_zeros(*tensor.shape[:-1], 2 * tensor.shape[-1])
        wide[..., ::2] = tensor
        return wide[..., ::2]

    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, unpack):
        outputs = layer(x)[0]
    found = torch.autograd.grad(outputs.sum(), list(layer.parameters()))
    wanted = torch.autograd.grad(layer(x)[0].sum(), list(layer.parameters()))
    for gradient, right in zip(found, wanted, strict=True):
        torch.testing.assert_close(gradient, right)


def test_a_tensor_that_is_negated_when_it_is_read_is_read_so():
    layer, x = seqloom.Recurrent("gru", 3, 4), torch.randn(20, 8, 3, dtype=torch.complex64).conj().imag
    torch.testing.assert_close(layer(x)[0], layer(x.clone())[0])
    stream, other = layer.stream(), layer.stream()
    assert torch.equal(stream.step(x[0, 0]), other.step(x[0, 0].clone()))
    assert torch.equal(stream.push(x[0]), other.push(x[0].clone()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", registry.names())
@pytest.mark.filterwarnings("ignore")
def test_every_cell_trains_and_streams_in_sixteen_bits(name, dtype):
    layer = seqloom.Recurrent(name, 8, 8).to(dtype)
    outputs, final = layer(torch.randn(2, 6, 8).to(dtype))
    outputs.float().sum().backward()
    assert outputs.dtype == dtype
    assert all(field.dtype == dtype for field in final)
    stream = layer.eval().stream()
    for given in (torch.randn(1, 8), torch.randn(1, 8).to(dtype)):
        assert stream.step(given).dtype == given.dtype


@pytest.mark.parametrize(
    "norm",
    [
        spectral_norm, weight_norm, parametrizations.weight_norm, parametrizations.spectral_norm, parametrizations.orthogonal,
        lambda m, n: prune.l1_unstructured(m, n, 0.3), lambda m, n: prune.ln_structured(m, n, 0.5, n=2, dim=0),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_what_makes_weights_before_a_call_acts_and_trains(norm):
    layer, x = seqloom.Recurrent("rnn", 5, 6), torch.randn(4, 8, 5)
    norm(layer.cells[0], "weight_h")
    stored = [
        value for name, value in layer.named_parameters() if name.endswith(("_orig", "_v", "original0", "original"))
    ]
    for _ in range(2):
        layer(x)[0].sum().backward()
    assert stored
    assert all(value.grad is not None for value in stored)
    before = layer(x)[0]
    with torch.no_grad():
        stored[0].normal_(std=3.0)
    layer.eval()
    wanted = layer(x)[0].detach()
    assert not torch.equal(wanted, before)
    torch.testing.assert_close(layer.stream(4).push(x), wanted)
    torch.testing.assert_close(layer.step(x[:, 0])[0], wanted[:, 0])
    torch.testing.assert_close(seqloom.quantize(layer, "bf16")(x)[0][:, 0], wanted[:, 0], atol=0.1, rtol=0)
    with pytest.raises(seqloom.errors.ConfigError, match="register it on the layer"):
        layer.cells[0].register_forward_hook(print)


@pytest.mark.parametrize(("x", "lengths"), [((2, 8, 4), [0, 0]), ((2, 0, 4), None), ((0, 8, 4), None)])
def test_what_no_step_has_made_has_gradients_of_zero(x, lengths):
    layer = seqloom.Recurrent("gru", 4, 6)
    outputs, state = layer(torch.randn(x), lengths=lengths)
    (outputs.sum() + state.h.sum()).backward()
    assert all(bool((parameter.grad == 0).all()) for parameter in layer.parameters())


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, torch.float64])
@pytest.mark.parametrize("steps", [2, 8])
def test_numbers_that_would_be_narrowed_are_refused(dtype, steps):
    with pytest.raises(ValueError, match="x is torch"):
        seqloom.Recurrent("gru", 4, 6)(torch.ones(2, steps, 4).to(dtype))


def test_streams_branch_and_are_copied_and_pickled():
    first, x = seqloom.Recurrent("gru", 3, 4).stream(), torch.randn(6, 3)
    first.push(x[:3])
    others = [first.branch(), copy.copy(first), copy.deepcopy(first), pickle.loads(pickle.dumps(first))]
    wanted = first.push(x[3:])
    for other in others:
        assert torch.equal(other.push(x[3:]), wanted)


class Signs(Cell):
    def step(self, x, h):
        y = sigmoid(self.affine(x, h))
        return y + where(1.0 / (y * 0.0) > 0, y, 0.0) + where(1.0 / (y * -0.0) > 0, y, 0.0)


class Equal(Cell):
    def step(self, x, h):
        return tanh(self.affine(x, h)) + 0.5 * (x == 0.0)


@pytest.mark.parametrize("cell", [Signs, Equal])
@pytest.mark.filterwarnings("ignore")
def test_steps_that_a_trace_might_take_otherwise_are_taken_as_on_tensors(cell):
    layer, x = seqloom.Recurrent(cell, 4, 4), torch.zeros(1, 8, 4)
    found = layer(x)[0]
    layer.backend = "reference"
    torch.testing.assert_close(found, layer(x)[0])


def test_a_step_that_overwrites_its_state_is_refused():
    class Adds(Cell):
        def step(self, x, h):
            h += self.affine(x, h)
            return tanh(h)

    with pytest.raises(StepError, match="overwrites a state in place"):
        Adds(3, 4)


_FIRST_CALLS = {
    "meta": "with torch.device('meta'): seqloom.Recurrent('gru', 3, 4)",
    "inference": "with torch.inference_mode(): seqloom.Recurrent('gru', 3, 4)(torch.zeros(2, 9, 3))",
    "no_grad": "with torch.no_grad(): seqloom.Recurrent('gru', 3, 4)(torch.zeros(2, 9, 3))",
    "fake": "with FakeTensorMode(): seqloom.Recurrent('gru', 3, 4)",
    "double": "torch.set_default_dtype(torch.float64); seqloom.Recurrent('gru', 3, 4); torch.set_default_dtype(torch.float32)",
}


@pytest.mark.parametrize("first", _FIRST_CALLS)
def test_a_layer_trains_whatever_the_first_use_of_the_process_was(first):
    """What is imported at the first use must not keep what that moment makes of tensors."""
    script = f"""
import torch, seqloom
from torch._subclasses import FakeTensorMode
{_FIRST_CALLS[first]}
layer = seqloom.Recurrent("gru", 3, 4, bidirectional=True)
outputs, state = layer(torch.randn(2, 9, 3), lengths=torch.tensor([9, 4]))
outputs.sum().backward()
assert all(one.grad.isfinite().all() and one.grad.abs().sum() > 0 for one in layer.parameters())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
