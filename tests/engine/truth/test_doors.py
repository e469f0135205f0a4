"""The doors through which torch reaches a layer: its modes, transforms, compiler, export, autocast, operators."""

import io
import shutil
import subprocess
import sys

import pytest
import torch

from seqloom.engine.runtime.backend import BACKENDS

from .small import CELLS, STACK, batch, close, gradients, layer_of, reference


@CELLS
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_recording_the_result_is_the_same_and_records_nothing(cell, mode, backend):
    layer, x, lengths = layer_of(cell, backend, **STACK), batch(), torch.tensor([7, 0, 3])
    wanted = layer(x, None, lengths)[0]
    with mode():
        outputs, final = layer(x, None, lengths)
    assert not outputs.requires_grad
    assert not final[0].requires_grad
    close([outputs.clone()], [wanted.detach()], 1e-6)
    close(gradients(layer, x), gradients(reference(layer), x))  # and training goes on as if nothing had been


@CELLS
def test_a_layer_without_wishes_records_nothing(cell, backend):
    layer = layer_of(cell, backend).requires_grad_(False)
    assert not layer(batch())[0].requires_grad
    assert layer(batch().requires_grad_())[0].requires_grad


@CELLS
@pytest.mark.parametrize("lengths", [None, torch.tensor([7, 0, 3])])
def test_two_ways_back_over_one_graph_give_the_same(cell, lengths, backend):
    layer, x = layer_of(cell, backend, **STACK), batch().requires_grad_()
    outputs, _ = layer(x, None, lengths)
    loss = outputs.sin().sum()
    leaves = [x, *layer.parameters()]
    first, second = (torch.autograd.grad(loss, leaves, retain_graph=True) for _ in range(2))
    for left, right in zip(first, second, strict=True):
        assert torch.equal(left, right)


def test_a_gradient_through_one_final_state_alone_is_right(backend):
    layer, x, lengths = layer_of("lstm", backend, **STACK), batch(), torch.tensor([7, 0, 3])
    for loss in (lambda _, final: final.c.sin().sum(), lambda _, final: final.h[2, 0, 1], lambda out, _: out[0, 3, 2]):
        close(gradients(layer, x, lengths, loss), gradients(reference(layer), x, lengths, loss))


@CELLS
def test_gradients_of_gradients_are_those_of_the_reference(cell, backend):
    if backend == "vendor":
        pytest.skip("torch's kernels have no gradients of gradients on every machine")
    layer, lengths = layer_of(cell, backend, **STACK), torch.tensor([7, 0, 3])

    def second(layer, dtype):
        layer, x = layer.to(dtype), batch().to(dtype).requires_grad_()
        outputs, final = layer(x, None, lengths)
        leaves = [x, *layer.parameters()]
        first = torch.autograd.grad(outputs.sin().sum() + final[0].cos().sum(), leaves, create_graph=True)
        return torch.autograd.grad(sum(gradient.square().sum() for gradient in first), leaves)

    wanted = second(reference(layer), torch.float64)
    close(second(layer, torch.float32), [gradient.float() for gradient in wanted], 1e-4)


@CELLS
def test_gradients_of_gradients_agree_with_finite_differences(cell):
    layer, x = layer_of(cell).double(), batch(2, 3).double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: layer(x, None, torch.tensor([3, 2]))[0], (x,))


@CELLS
def test_function_transforms_see_through_a_layer(cell):
    layer, x = layer_of(cell), batch()
    (wanted,) = torch.autograd.grad(layer(leaf := x.clone().requires_grad_())[0].sin().sum(), leaf)
    close([torch.func.grad(lambda x: layer(x)[0].sin().sum())(x)], [wanted])
    many = torch.stack([x, 2 * x, -x])
    close([torch.func.vmap(lambda x: layer(x)[0])(many)], [torch.stack([layer(x)[0] for x in many])], 1e-6)
    _, tangent = torch.func.jvp(lambda x: layer(x)[0], (x,), (torch.ones_like(x),))
    step = 1e-2
    close([tangent], [(layer(x + step)[0] - layer(x - step)[0]) / (2 * step)], 1e-2)


@pytest.fixture(scope="module")
def autocast_survives():
    """Fails the test where a layer under autocast ends the process, instead of the whole run."""
    program = (
        "import torch, seqloom\n"
        "layer = seqloom.Recurrent('lstm', 5, 9, layers=2, bidirectional=True)\n"
        "with torch.autocast('cpu', dtype=torch.bfloat16):\n"
        "    [layer(torch.ones(3, 7, 5))[0].sum().backward() for _ in range(5)]\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    if done.returncode:
        pytest.fail(f"a layer under autocast ends the process with status {done.returncode}: {done.stderr[-300:]}")


def test_autocast_leaves_the_compiled_recurrence_in_single_precision(compiled, autocast_survives):
    layer, x, lengths = layer_of("lstm", compiled, **STACK), batch(), torch.tensor([7, 0, 3])
    wanted, slopes = layer(x, None, lengths)[0], gradients(layer, x, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, final = layer(x, None, lengths)
        found = gradients(layer, x, lengths)
    assert {outputs.dtype, final.h.dtype, final.c.dtype, *(gradient.dtype for gradient in found)} == {torch.float32}
    close([outputs], [wanted], 2e-2)  # two bits fewer than bfloat16 has, for two layers
    close(found, slopes, 5e-2)


def test_shorter_inputs_are_widened_under_autocast_and_get_gradients_of_their_own_type(compiled, autocast_survives):
    layer, x = layer_of("lstm", compiled), batch()
    short = x.bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs, _ = layer(short)
        outputs.sum().backward()
    assert outputs.dtype == torch.float32
    assert short.grad.dtype == torch.bfloat16
    close([outputs], [layer(short.detach().float())[0]], 2e-2)


class Tagger(torch.nn.Module):
    """A model with a layer inside."""

    def __init__(self, cell, backend, **options):
        super().__init__()
        self.recurrent, self.head = layer_of(cell, backend, **options), torch.nn.LazyLinear(4)

    def forward(self, x, lengths=None):
        outputs, state = self.recurrent(x, None, lengths)
        return self.head(outputs.relu()) + state[0].sum()


def tagger(cell, backend, **options):
    model = Tagger(cell, backend, **options)
    model(batch())
    return model


@CELLS
@pytest.mark.parametrize("kind", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_model_compiles_as_one_graph(cell, kind, compiled):
    if kind == "inductor" and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        pytest.skip("torch.compile needs a C++ compiler here")
    torch._dynamo.reset()
    model = tagger(cell, compiled, **STACK)
    quick = torch.compile(model, fullgraph=True, backend=kind)
    for x in (batch(), batch(2, 5), batch(4, 9)):
        found, wanted = quick(x), model(x)
        close([found], [wanted], 1e-5)
        close(*([*torch.autograd.grad(out.sin().sum(), list(model.parameters()))] for out in (found, wanted)))
    with torch.no_grad():
        close([quick(batch())], [model(batch())], 1e-5)


@CELLS
def test_a_model_is_exported_and_read_back(cell, compiled):
    model, x = tagger(cell, compiled, **STACK).eval(), batch()
    with torch.no_grad():
        program = torch.export.export(model, (x,))
    assert any("seqloom" in str(node.target) for node in program.graph.nodes), "the layer is one operator in the graph"
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    with torch.no_grad():
        close([torch.export.load(file).module()(x), program.module()(x)], [model(x)] * 2, 1e-6)


class _Calls(torch.utils._python_dispatch.TorchDispatchMode):
    """The calls of seqloom's operators, by name."""

    def __init__(self):
        super().__init__()
        self.found = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.namespace == "seqloom":
            self.found.setdefault(function.name(), []).append((function, args))
        return function(*args, **(kwargs or {}))


def _leaves(value, wants):
    """The same arguments with tensors of their own, wanting gradients where they can."""
    if isinstance(value, list | tuple):
        return type(value)(_leaves(part, wants) for part in value)
    if not isinstance(value, torch.Tensor):
        return value
    return value.detach().clone().requires_grad_(wants and value.is_floating_point())


def _record_calls(layer, lengths):
    """The operators' calls in training and without recording; eager layers go past the dispatcher, compiled ones not."""
    calls = _Calls()

    def watched(graph, _):
        def run(*arguments):
            with calls:
                return graph(*arguments)

        return run

    torch._dynamo.reset()
    quick = torch.compile(layer, backend=watched)
    loss = quick(batch(), None, lengths)[0].sum()
    with calls:
        loss.backward()
    with torch.no_grad():
        quick(batch(), None, lengths)
    return calls.found


def test_every_operator_keeps_torchs_contract(compiled):
    known = {name.split(".")[0] for name in torch._C._dispatch_get_all_op_names() if name.startswith("seqloom::")}
    for cell, both, lengths in (("lstm", True, torch.tensor([7, 0, 3])), ("gru_before", False, None)):
        found = _record_calls(layer_of(cell, compiled, bidirectional=both), lengths)
        assert {name.split(".")[0] for name in found} == known, "an operator is not covered by this test"
        for name, calls in found.items():
            for function, arguments in calls:
                saves = arguments[-1] is True and "backward" not in name
                torch.library.opcheck(function, _leaves(arguments, wants=saves))


def test_the_compiled_backend_is_what_auto_takes_for_every_cell(compiled):
    assert next(iter(BACKENDS)) == compiled
