"""The part of the standard battery that looks at what people run: float32, streams, saved weights, golden vectors."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from seqloom.cells import registry
from seqloom.cells.golden import GOLDEN, golden_cell, golden_input
from seqloom.layers.check_subject import (
    INPUT,
    Subject,
    batch,
    gradients,
    random_state,
    require,
    require_close,
    require_near,
)
from seqloom.layers.recurrent import Recurrent

__all__ = ["check_compiled", "check_golden", "check_state_dict", "check_stream"]


def check_state_dict(subject: Subject) -> None:
    """A second layer that loads the state dictionary, which holds tensors only, gives the same bits."""
    layer, other = subject.layer(), subject.layer()
    kept = {name: value.clone() for name, value in layer.state_dict().items()}
    other.load_state_dict(kept)
    x, lengths = batch()
    outputs, wanted = other(x, lengths=lengths)[0], layer(x, lengths=lengths)[0]
    require(subject, torch.equal(outputs, wanted), "a layer that loaded the state dictionary gives other outputs")


def check_stream(subject: Subject) -> None:
    """A stream, fed step by step and in chunks, gives what the layer gives at once, in float32."""
    layer = subject.layer(backend=None).float().eval()
    x = torch.randn(2, 7, INPUT)
    state = random_state(layer, 2)
    with torch.no_grad():
        wanted, final = layer(x, state)
    stream = layer.stream(batch=2, state=state)
    pieces = [
        stream.push(x[:, :3]),
        stream.step(x[:, 3].clone()).unsqueeze(1),
        stream.push(x[:, 4:4]),
        stream.push(x[:, 4:]),
    ]
    require_close(subject, torch.cat(pieces, 1), wanted, "outputs of a stream and of the layer")
    for name, value, expected in zip(final._fields, stream.state, final, strict=True):
        require_close(subject, value, expected, f"final {name} of a stream and of the layer")


def check_compiled(subject: Subject) -> None:
    """In float32 the backend that people get is about as near to float64 as the plain loop: outputs, states, gradients."""
    for lengths in ((9, 2, 0, 6), (3,) * 20):  # from sixteen rows on the kernels multiply in another order
        _compare_compiled(subject, lengths)


def _compare_compiled(subject: Subject, steps: tuple[int, ...]) -> None:
    exact, (x, lengths) = subject.layer(bidirectional=True), batch(steps)
    layer = copy.deepcopy(exact).float()
    state = random_state(exact, len(lengths))

    def outcome(layer: Recurrent, backend: str | None) -> dict[str, Tensor]:
        layer.backend = backend
        dtype = layer.sample.dtype
        given = x.to(dtype).requires_grad_()
        outputs, final = layer(given, [field.to(dtype) for field in state], lengths)
        values = {
            "outputs": outputs,
            **{f"final {name}": field for name, field in zip(final._fields, final, strict=True)},
        }
        leaves = {"x": given, **dict(layer.named_parameters())}
        loss = sum((value.sin().sum() for value in values.values()), outputs.new_zeros(()))
        found = gradients(loss, list(leaves.values()))
        return {**values, **{f"gradient of {name}": g for name, g in zip(leaves, found, strict=True)}}

    wanted, plain, compiled = outcome(exact, "reference"), outcome(layer, "reference"), outcome(layer, None)
    for what, value in compiled.items():
        error = float((plain[what] - wanted[what]).detach().abs().max()) if value.numel() else 0.0
        scale = max(1.0, float(wanted[what].detach().abs().max())) if value.numel() else 1.0
        require_near(subject, value.double(), wanted[what], f"{what} in float32", 8 * error + 3e-6 * scale)
    with torch.no_grad():
        outputs, _ = layer(x.float(), [field.float() for field in state], lengths)
    require_close(subject, outputs, compiled["outputs"], "outputs with and without gradients in float32")


def check_golden(subject: Subject) -> None:
    """A cell that has golden vectors gives them, to all their digits."""
    golden = GOLDEN.get(registry.name_of(subject.cell_class) or "")
    if golden is None:
        return
    _, final = Recurrent(golden_cell(subject.cell_class, golden), backend="reference")(golden_input())
    for name, values in golden.states.items():
        value = getattr(final, name).flatten()
        require_near(subject, value, torch.tensor(values, dtype=value.dtype), f"golden {name}", 5e-8)
