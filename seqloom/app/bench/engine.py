"""The rows of ``seqloom bench engine``: the engine in every regime that it is for, each against its strongest rival."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from seqloom.app.bench import against_loops, against_onnx, against_torch, processes, streaming
from seqloom.app.bench.comparison import Comparison, Contest, Shape

__all__ = ["COMPARISONS"]

_TAGGER = Shape(batch=150, time=40, input=192, hidden=128)


def _single(hidden: int) -> Shape:
    """One sequence, as in live use."""
    return Shape(batch=1, time=200, input=hidden, hidden=hidden)


def _batch(hidden: int, fill: float = 1.0) -> Shape:
    return Shape(batch=32, time=100, input=hidden, hidden=hidden, fill=fill)


def _forward() -> Iterator[Comparison]:
    def row(cell: str, shape: Shape, study: float, target: float) -> Comparison:
        name = f"forward-b{shape.batch}-{cell}-{shape.hidden}"
        build = partial(against_torch.forward, cell=cell)
        return Comparison(name, f"{cell.upper()} forward", "torch.nn", shape, study, target, build)

    yield row("lstm", _single(128), 2.2, 3.0)
    yield row("lstm", _single(256), 1.7, 2.3)
    yield row("lstm", _single(512), 1.45, 1.8)
    yield row("gru", _single(256), 5.5, 7.0)
    yield row("rnn", _single(256), 4.2, 6.0)
    for cell, study, target in (("lstm", 1.7, 2.3), ("gru", 2.0, 2.7)):
        build = partial(against_onnx.forward, cell=cell)
        description = f"{cell.upper()} forward"
        yield Comparison(f"onnx-b1-{cell}-256", description, "ONNX Runtime", _single(256), study, target, build)
    yield row("lstm", _batch(256), 1.0, 1.25)
    yield row("gru", _batch(256), 2.6, 3.3)
    yield row("rnn", _batch(256), 2.3, 3.5)


def _training() -> Iterator[Comparison]:
    def row(cell: str, shape: Shape, study: float, target: float) -> Comparison:
        name = f"training-b{shape.batch}-{cell}-{shape.hidden}"
        build = partial(against_torch.training, cell=cell)
        return Comparison(name, f"{cell.upper()} training", "torch.nn", shape, study, target, build)

    yield row("lstm", _single(256), 1.85, 2.5)
    yield row("gru", _single(256), 12.0, 18.0)
    yield row("rnn", _single(256), 10.5, 15.0)
    yield row("lstm", _batch(256), 1.22, 1.45)
    yield row("gru", _batch(256), 2.5, 3.2)
    yield row("rnn", _batch(256), 2.15, 3.0)
    for cell, study, target in (("lstm", 4.0, 6.0), ("gru", 3.3, 5.0)):
        build = partial(against_torch.training_on_lengths, cell=cell)
        description, shape = f"{cell.upper()} training on lengths", _batch(256, fill=0.5)
        yield Comparison(f"lengths-{cell}-256", description, "torch.nn, packed", shape, study, target, build)


def _tagger() -> Iterator[Comparison]:
    what, build = "LSTM training, 2 layers, bidirectional", against_torch.training_tagger
    yield Comparison("tagger-padded", what, "torch.nn", _TAGGER, None, 2.5, build)
    ragged = Shape(_TAGGER.batch, _TAGGER.time, _TAGGER.input, _TAGGER.hidden, fill=0.6)
    yield Comparison("tagger-lengths", f"{what}, on lengths", "torch.nn, padded", ragged, None, 4.0, build)


def _user() -> Iterator[Comparison]:
    def row(
        name: str,
        what: str,
        rival: str,
        shape: Shape,
        study: float | None,
        target: float,
        build: Callable[[Shape], Contest],
    ) -> Comparison:
        return Comparison(name, f"a user's cell, {what}", rival, shape, study, target, build)

    scan, loop = "jax.lax.scan, jitted", "the eager loop"
    yield row("user-b1", "training", loop, _single(256), 12.0, 15.0, against_loops.training_against_loop)
    yield row("user-b32", "training", loop, _batch(256), 4.2, 5.0, against_loops.training_against_loop)
    for hidden in (64, 128):  # the smaller, the more of the loop's time is not arithmetic
        yield row(
            f"user-b32-{hidden}", "training", loop, _batch(hidden), None, 5.0, against_loops.training_against_loop
        )
    yield row("jax-forward", "forward", scan, _batch(256), 3.5, 4.5, against_loops.forward_against_scan)
    yield row("jax-training", "training", scan, _batch(256), 2.3, 3.0, against_loops.training_against_scan)
    compiled = "the same, compiled"
    for name, shape in (("b1", _single(256)), ("b32", _batch(256))):
        for what, build in (("forward", processes.uncompiled_forward), ("training", processes.uncompiled_training)):
            title = f"{what} without a compiler"
            yield row(f"uncompiled-{what}-{name}", title, compiled, shape, None, 0.92, build)


def _streaming() -> Iterator[Comparison]:
    cell, onnx = streaming.against_cell, streaming.against_onnx
    for hidden, study, target in ((64, 33.0, 40.0), (128, 14.0, 20.0)):
        yield Comparison(
            f"stream-{hidden}", "LSTM, a step of a stream", "torch.nn.LSTMCell", _step(hidden), study, target, cell
        )
    for hidden, study, target in ((64, 13.0, 16.0), (128, 6.0, 9.0)):
        yield Comparison(
            f"stream-onnx-{hidden}", "LSTM, a step of a stream", "ONNX Runtime", _step(hidden), study, target, onnx
        )


def _step(hidden: int) -> Shape:
    return Shape(batch=1, time=1, input=hidden, hidden=hidden)


def _compressed() -> Iterator[Comparison]:
    for hidden, study, target in ((128, 3.9, 6.0), (256, 2.5, 4.5), (512, 4.9, 7.0)):
        build = partial(against_torch.forward_in_8_bits, cell="lstm")
        description = "LSTM forward, int8 weights"
        yield Comparison(
            f"int8-b1-lstm-{hidden}", description, "torch.nn, float32", _single(hidden), study, target, build
        )


COMPARISONS: tuple[Comparison, ...] = (*_forward(), *_training(), *_tagger(), *_user(), *_streaming(), *_compressed())
"""In the order of the table. Shapes and targets are those of the engine's specification; ``study`` is what its
feasibility study reached (0.69 to 0.89 for a cell without a compiler)."""
