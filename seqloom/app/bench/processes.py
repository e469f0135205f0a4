"""The user's cell with and without a compiler: each in a process of its own, which take turns.

What the compiler made for a cell stays in its process, so the two ways cannot be had in one. A process waits, asleep, while
the other one works, and reads its own clock.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from seqloom.app.bench.against_loops import user_layer, user_training
from seqloom.app.bench.against_torch import chosen_backend, forward_side
from seqloom.app.bench.comparison import Contest, NotAvailableError, Shape, Side, Values
from seqloom.app.bench.timing import timer

__all__ = ["COMPILE", "uncompiled_forward", "uncompiled_training"]

COMPILE = "SEQLOOM_COMPILE"
"""The environment variable of the compiled engine: 0 for never, ``wait`` for before the first step."""

_CACHE = "SEQLOOM_CACHE"
_COMPILER = "seqloom.engine.codegen.compiler"
_SETTLE = 0.01


def uncompiled_forward(shape: Shape) -> Contest:
    """Inference without a compiler, to the same with one."""
    return _contest(shape, training=False)


def uncompiled_training(shape: Shape) -> Contest:
    """Training without a compiler, to the same with one."""
    return _contest(shape, training=True)


def _contest(shape: Shape, *, training: bool) -> Contest:
    if importlib.util.find_spec(_COMPILER) is None:
        raise NotAvailableError("nothing compiles cells in this version")
    backend = chosen_backend(user_layer(shape), torch.zeros(shape.time, shape.batch, shape.input), training=training)
    seed = int(torch.randint(2**31, ()))
    with ExitStack() as stack:
        # An empty cache shows whether anything is compiled at all, which no rows of this table should have to guess.
        cache = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = {COMPILE: "wait", _CACHE: str(cache)}
        compiled = stack.enter_context(_Child(shape, training, seed, settings))
        compiled.seconds(1)
        if not any(cache.iterdir()):
            raise NotAvailableError(f"nothing was compiled for the cell: the backend '{backend}' runs it as it is")
        machine = stack.enter_context(_Child(shape, training, seed, {COMPILE: "0"}))
        # From here on whoever has the contest ends them.
        close = stack.pop_all().close
    ours, rival = (Side(partial(child.seconds, 1), child.values, child.seconds) for child in (machine, compiled))
    return Contest(ours, rival, backend, settle=_SETTLE, close=close)


class _Child:
    """A process with the user's layer, the same weights and data in each that has the same seed."""

    def __init__(self, shape: Shape, training: bool, seed: int, settings: Mapping[str, str]) -> None:
        work = {"shape": asdict(shape), "training": training, "seed": seed, "threads": torch.get_num_threads()}
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, json.dumps(work)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **settings},
        )

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]

    def seconds(self, runs: int) -> float:
        """Its own clock around so many runs."""
        return float(self._ask({"runs": runs}))

    def values(self) -> Values:
        """Its results; outputs and gradients, or the outputs alone."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "values.npz")
            self._ask({"values": str(path)})
            with np.load(path, allow_pickle=False) as archive:
                return dict(archive)

    def _ask(self, question: dict[str, Any]) -> Any:
        question_pipe, answer_pipe = self._process.stdin, self._process.stdout
        assert question_pipe is not None
        assert answer_pipe is not None
        print(json.dumps(question), file=question_pipe, flush=True)
        answer = answer_pipe.readline()
        if not answer:
            raise RuntimeError(f"the process of the user's cell ended with status {self._process.wait()}")
        return json.loads(answer)


def _side(work: dict[str, Any]) -> Side:
    torch.set_num_threads(work["threads"])
    torch.manual_seed(work["seed"])
    shape = Shape(**work["shape"])
    layer, x = user_layer(shape), torch.randn(shape.time, shape.batch, shape.input)
    if not work["training"]:
        return forward_side(lambda: layer(x)[0])
    return user_training(layer, x.requires_grad_(), torch.randn(shape.time, shape.batch, shape.hidden))


def _serve(side: Side, questions: IO[str], answer: Callable[[str], object]) -> None:
    seconds = timer(side.run)
    for line in questions:
        question = json.loads(line)
        if "runs" in question:
            answer(json.dumps(seconds(question["runs"])))
        else:
            arrays: dict[str, Any] = {name: torch.as_tensor(value).detach() for name, value in side.values().items()}
            np.savez(question["values"], **arrays)
            answer("null")


if __name__ == "__main__":
    _serve(_side(json.loads(sys.argv[1])), sys.stdin, partial(print, flush=True))
