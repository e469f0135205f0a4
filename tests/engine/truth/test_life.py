"""The life of a layer: it is copied, its weights change, many threads use it, it comes and goes."""

import copy
import ctypes
import gc
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.nn.utils import parametrize

from seqloom.layers.recurrent import Recurrent

from .small import CELLS, STACK, batch, close, gradients, layer_of, reference


@CELLS
@pytest.mark.parametrize("way", ["copy", "pickle", "state dict"])
def test_a_copy_of_a_layer_that_has_run_is_equal_and_independent(cell, way, backend):
    layer, x = layer_of(cell, backend, **STACK), batch()
    wanted = layer(x)[0].detach()
    if way == "copy":
        twin = copy.deepcopy(layer)
    elif way == "pickle":
        twin = pickle.loads(pickle.dumps(layer))
    else:
        twin = layer_of(cell, backend, **STACK)
        twin.load_state_dict(layer.state_dict())
    assert torch.equal(twin(x)[0], wanted)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.mul_(0.5)
    assert torch.equal(layer(x)[0], wanted)
    close([twin(x)[0]], [reference(twin)(x)[0]], 1e-6)


def _optimise(layer):
    layer(batch())[0].square().sum().backward()
    torch.optim.Adam(layer.parameters(), lr=0.1).step()


def _in_place(layer):
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1)


def _through_data(layer):
    for parameter in layer.parameters():
        parameter.data.add_(0.1)


def _through_numpy(layer):
    for parameter in layer.parameters():
        parameter.detach().numpy()[...] *= 0.5


def _load(layer):
    layer.load_state_dict({name: value * 0.5 for name, value in layer.state_dict().items()})


def _replace(layer):
    for cell in layer.cells:
        for name, parameter in list(cell.named_parameters()):
            setattr(cell, name, torch.nn.Parameter(parameter.detach() * 0.5))


@CELLS
@pytest.mark.parametrize("change", [_optimise, _in_place, _through_data, _through_numpy, _load, _replace])
@pytest.mark.parametrize("quiet", [False, True])
def test_weights_that_changed_between_two_calls_are_seen(cell, change, quiet, backend):
    layer, x = layer_of(cell, backend, **STACK), batch()
    with torch.set_grad_enabled(not quiet):
        before, _ = layer(x)
        layer(x)
        with torch.enable_grad():
            change(layer)
        after = layer(x)[0]
    assert not torch.allclose(after, before, atol=1e-3)
    close([after], [reference(layer)(x)[0]], 1e-6)


@CELLS
def test_parametrised_weights_act_and_learn(cell, backend):
    layer, x = layer_of(cell, backend), batch()

    class Halved(torch.nn.Module):
        def forward(self, weight):
            return 0.5 * weight

    name = next(name for name, declared in layer.cells[0].graph.declarations.items() if declared.role == "recurrent")
    before = layer(x)[0]
    parametrize.register_parametrization(layer.cells[0], name, Halved())
    found = gradients(layer, x)
    assert not torch.allclose(layer(x)[0], before, atol=1e-4)
    layer.backend = "reference"
    close(found, gradients(layer, x))


@CELLS
def test_parameters_that_are_handed_in_are_the_ones_that_act(cell, backend):
    layer, x = layer_of(cell, backend), batch()
    given = {name: (0.5 * value).detach().requires_grad_() for name, value in layer.named_parameters()}
    outputs, _ = torch.func.functional_call(layer, given, (x,))
    wanted, _ = torch.func.functional_call(reference(layer), given, (x,))
    close([outputs], [wanted], 1e-6)
    found, right = (torch.autograd.grad(out.sin().sum(), list(given.values())) for out in (outputs, wanted))
    close(found, right)


@CELLS
@pytest.mark.parametrize("what", ["outputs", "state", "weights", "input"])
def test_what_is_overwritten_after_the_forward_pass_spoils_no_gradient_silently(cell, what, backend):
    layer, x = layer_of(cell, backend), batch().requires_grad_()
    wanted = gradients(layer, x, None, lambda outputs, _: outputs.sum())
    values = x * 1.0
    outputs, final = layer(values)
    loss = outputs.sum()
    targets = {"outputs": outputs, "state": final[0], "input": values, "weights": next(layer.parameters())}
    with torch.no_grad():
        targets[what].mul_(3.0)
    try:
        found = torch.autograd.grad(loss, [x, *layer.parameters()])
    except RuntimeError as noticed:
        found, reason = wanted, str(noticed)
    else:
        reason = "modified by an inplace operation"
    assert "modified by an inplace operation" in reason
    close(found, wanted)


@CELLS
def test_eight_threads_share_a_layer(cell, backend):
    layer = layer_of(cell, backend, **STACK)
    tasks = [
        (batch(1 + k % 5, 1 + k % 9), None if k % 2 else torch.arange(1 + k % 5) % (1 + k % 9) + 1) for k in range(64)
    ]
    wanted = [(layer(x, None, n)[0].detach(), *gradients(layer, x, n)) for x, n in tasks]
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda task: (layer(task[0], None, task[1])[0].detach(), *gradients(layer, *task)), tasks)
        )
    for left, right in zip(found, wanted, strict=True):
        close(left, right, 1e-6)


def resident():
    """Bytes of memory that the process holds."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what the allocator merely has not given back is no leak
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def live_and_die(backend, number, sizes=(5, 9), cell="rnn"):
    layer = Recurrent(cell, *sizes, backend=backend)
    x = torch.ones(1 + number % 3, 1 + number % 5, sizes[0])
    layer(x)[0].sum().backward()
    with torch.no_grad():
        layer(x)


def grows(act, before, count):
    for number in range(before):
        act(number)
    start = resident()
    for number in range(before, before + count):
        act(number)
    return resident() - start


needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="there is no /proc/self/statm here")
counts_memory = pytest.mark.skipif(
    "libasan" in os.environ.get("LD_PRELOAD", ""),
    reason="AddressSanitizer keeps what is freed, to find who still uses it",
)
MEGABYTE = 2**20


@needs_proc
@counts_memory
@pytest.mark.parametrize(("count", "cell"), [(1000, "rnn"), pytest.param(10_000, "lstm", marks=pytest.mark.slow)])
def test_layers_that_come_and_go_leave_no_memory_behind(count, cell, compiled):
    # The allocator's pools take some 2,000 layers to reach the size that they then keep.
    assert grows(lambda number: live_and_die(compiled, number, cell=cell), count // 4, count) < 4 * MEGABYTE


@needs_proc
@counts_memory
@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_ever_new_shapes_leave_no_memory_behind(count, compiled):
    layer = layer_of("lstm", compiled)

    def act(number):
        x = torch.ones(1 + number % 29, 1 + number // 29 % 401, 5)
        lengths = torch.arange(len(x)) % x.shape[1] + 1
        layer(x, None, lengths)[0].sum().backward()

    for number in range(0, 29 * 20, 29):
        act(number)
    assert grows(act, 200, count) < 8 * MEGABYTE


@needs_proc
@counts_memory
@pytest.mark.parametrize("count", [250, pytest.param(2000, marks=pytest.mark.slow)])
def test_ever_new_sizes_leave_no_memory_behind(count, compiled):
    def act(number):
        live_and_die(compiled, number, (1 + number % 61, 1 + number))

    # Programs may be kept for a while, not all of them for ever; the kernels keep up to 16 MB of working memory.
    assert grows(act, 100, count) < (8 + 16) * MEGABYTE
