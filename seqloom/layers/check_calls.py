"""The battery's checks of calls of other kinds: mapped, from several threads, in 16 bits, of no step, without memory."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from seqloom.layers.check_subject import HIDDEN, INPUT, Subject, batch, require, require_near
from seqloom.layers.recurrent import Recurrent

__all__ = [
    "check_gradient_memory",
    "check_mapped",
    "check_memory_later",
    "check_nothing",
    "check_sixteen_bits",
    "check_threads",
]

_THREADS = 4


def check_memory_later(subject: Subject) -> None:
    """A layer that was built without memory and has its weights from a file is that layer: nothing else was lost."""
    layer = subject.layer()
    with torch.device("meta"):
        other = Recurrent(subject.cell(), backend="reference")
    other = other.double().to_empty(device="cpu")
    other.load_state_dict(layer.state_dict())
    x, lengths = batch()
    require_near(subject, other(x, lengths=lengths)[0], layer(x, lengths=lengths)[0], "a layer whose memory came later")


def check_mapped(subject: Subject) -> None:
    """``torch.vmap`` over batches is a loop over them; forward-mode derivatives are those of the way back."""
    layer = subject.layer(None).float()
    if layer.first_cell.graph.untraceable:  # it may look at its numbers, which no map can
        return
    x = torch.randn(2, 2, 6, INPUT)
    wanted = torch.stack([layer(each)[0] for each in x])
    require_near(subject, torch.vmap(lambda each: layer(each)[0])(x), wanted, "vmap and a loop", 1e-5)
    tangent, weights = torch.randn_like(x[0]), torch.randn_like(wanted[0])
    forward: Tensor = torch.func.jvp(lambda each: layer(each)[0], (x[0],), (tangent,))[1]
    backward = torch.func.grad(lambda each: (layer(each)[0] * weights).sum())(x[0])
    require_near(
        subject,
        (forward * weights).sum(),
        (backward * tangent).sum(),
        "forward-mode and reverse-mode derivatives",
        1e-3,
    )


def check_threads(subject: Subject) -> None:
    """Calls from several threads, with weights that act for one call, leave nothing behind in the layer."""
    layer = Recurrent(subject.cell(), weight_noise=0.1, zoneout=0.1)
    x = torch.randn(2, 6, INPUT)

    def call(number: int) -> None:
        with torch.no_grad():
            layer(x)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(call, range(2 * _THREADS)))
    alone = copy.deepcopy(layer).eval()
    require_near(subject, layer.eval()(x)[0], alone(x)[0], "a layer that several threads have called and its copy")
    same = _gradients(layer, x) == _gradients(alone, x)
    require(subject, same, "gradients are missing in a layer that several threads have called")


def _gradients(layer: Recurrent, x: Tensor) -> list[str]:
    """Names of the parameters that have gradients."""
    outputs = layer(x)[0]
    if not outputs.requires_grad:
        return []
    parameters = dict(layer.named_parameters())
    found = torch.autograd.grad(outputs.sum(), list(parameters.values()), allow_unused=True)
    return [name for name, gradient in zip(parameters, found, strict=True) if gradient is not None]


def check_sixteen_bits(subject: Subject) -> None:
    """In bfloat16 and in half precision a cell trains and streams, and all that it returns is of that type."""
    for kind in (torch.bfloat16, torch.float16):
        layer = Recurrent(subject.cell()).to(kind)
        x = torch.randn(2, 6, INPUT).to(kind)
        outputs, final = layer(x)
        for name, value in (("outputs", outputs), *zip(final._fields, final, strict=True)):
            require(subject, value.dtype == kind, f"{name} of a layer of {kind}: {value.dtype}")
        if outputs.requires_grad:
            outputs.float().sum().backward()
        step = layer.eval().stream(2).step(x[:, 0])
        require(subject, step.dtype == kind, f"a stream of a layer of {kind} gives {step.dtype}")


def check_nothing(subject: Subject) -> None:
    """Where no row has a step, all gradients are there, and zero."""
    for time, lengths in ((0, None), (3, [0, 0])):
        layer = Recurrent(subject.cell())
        outputs, final = layer(torch.randn(2, time, INPUT), lengths=lengths)
        require(subject, outputs.shape == (2, time, layer.output_size), f"outputs of no step: {tuple(outputs.shape)}")
        parameters = list(layer.parameters())
        if not parameters:
            continue
        require(subject, outputs.requires_grad, "outputs of no step have no gradients")
        (outputs.sum() + sum(field.sum() for field in final)).backward()
        missing = [name for name, value in layer.named_parameters() if value.grad is None or bool(value.grad.any())]
        require(subject, not missing, f"gradients of no step are not zero: {', '.join(missing)}")


def check_gradient_memory(subject: Subject) -> None:
    """Every gradient has memory of its own: people change gradients in place."""
    layer = Recurrent(subject.cell())
    outputs, _ = layer(torch.randn(2, 6, INPUT))
    if not outputs.requires_grad:
        return
    found = torch.autograd.grad(outputs.sum(), list(layer.parameters()), allow_unused=True)
    given = [gradient for gradient in found if gradient is not None]
    before = [gradient.clone() for gradient in given]
    torch._foreach_mul_(given, 0.5)
    for gradient, old in zip(given, before, strict=True):
        require(subject, torch.equal(gradient, 0.5 * old), f"gradients of {HIDDEN} units share memory")
