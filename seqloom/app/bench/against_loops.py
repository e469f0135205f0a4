"""A user's cell against the two ways to run one elsewhere: a loop in Python, and ``jax.lax.scan`` compiled."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqloom.app.bench.against_torch import chosen_backend, forward_side, training_side
from seqloom.app.bench.comparison import Contest, Shape, Side, Values, environment, optional
from seqloom.app.bench.user_cell import CoupledPeephole, jax_forward
from seqloom.layers.recurrent import Recurrent

__all__ = ["forward_against_scan", "training_against_loop", "training_against_scan", "user_layer", "user_training"]

_SETTLE = 0.01


def user_layer(shape: Shape, backend: str | None = None) -> Recurrent:
    """A layer of the user's cell, time first as the rivals have it."""
    return Recurrent(CoupledPeephole, shape.input, shape.hidden, batch_first=False, backend=backend)


def user_training(layer: Recurrent, x: Tensor, gradient: Tensor) -> Side:
    """A forward and a backward pass of a layer of one cell to all parameters and to x."""
    named = dict(layer.cells[0].named_parameters())
    names = ["x", *named]
    return training_side(
        lambda: layer(x)[0], [x, *named.values()], gradient, lambda gradients: dict(zip(names, gradients, strict=True))
    )


def training_against_loop(shape: Shape) -> Contest:
    """Training, to the loop over the steps in Python, differentiated by autograd."""
    layer, loop = user_layer(shape), user_layer(shape, "reference")
    loop.load_state_dict(layer.state_dict())
    x, gradient = _batch(shape).requires_grad_(), _gradient(shape)
    return Contest(
        user_training(layer, x, gradient),
        user_training(loop, x, gradient),
        backend=chosen_backend(layer, x, training=True),
    )


def forward_against_scan(shape: Shape) -> Contest:
    """Inference, to a scan compiled by JAX."""
    jax, layer, x = _jax(), user_layer(shape), _batch(shape)
    forward, parameters = jax.jit(jax_forward()), _arrays(jax, layer)
    values = _array(jax, x)

    def run() -> Any:
        return jax.block_until_ready(forward(parameters, values))

    return Contest(
        forward_side(lambda: layer(x)[0]),
        Side(run, lambda: {"outputs": np.asarray(run())}),
        backend=chosen_backend(layer, x, training=False),
        settle=_SETTLE,
    )


def training_against_scan(shape: Shape) -> Contest:
    """Training, to a scan and its gradient compiled by JAX."""
    jax, layer, x, gradient = _jax(), user_layer(shape), _batch(shape).requires_grad_(), _gradient(shape)
    forward, parameters = jax_forward(), _arrays(jax, layer)
    values, weights = _array(jax, x), _array(jax, gradient)

    def loss(parameters: Mapping[str, Any], values: Any, weights: Any) -> Any:
        return (forward(parameters, values) * weights).sum()

    gradients = jax.jit(jax.grad(loss, argnums=(0, 1)))

    def run() -> Any:
        return jax.block_until_ready(gradients(parameters, values, weights))

    def results() -> Values:
        of_parameters, of_x = run()
        named = {name: np.asarray(value) for name, value in of_parameters.items()}
        return {"outputs": np.asarray(jax.jit(forward)(parameters, values)), "x": np.asarray(of_x), **named}

    return Contest(
        user_training(layer, x, gradient),
        Side(run, results),
        backend=chosen_backend(layer, x, training=True),
        settle=_SETTLE,
    )


def _jax() -> Any:
    """JAX on this machine's processor, with as many threads as torch has, unless it was started before."""
    settings = {
        "NPROC": str(torch.get_num_threads()),  # what sizes its pool, once, when its client is made
        "JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu"),  # else it takes the memory of a GPU that it finds
    }
    with environment(settings):
        jax = optional("jax")
        jax.devices("cpu")
    return jax


def _array(jax: Any, value: Tensor) -> Any:
    return jax.device_put(value.detach().numpy(), jax.devices("cpu")[0])


def _arrays(jax: Any, layer: Recurrent) -> dict[str, Any]:
    return {name: _array(jax, value) for name, value in layer.cells[0].named_parameters()}


def _batch(shape: Shape) -> Tensor:
    return torch.randn(shape.time, shape.batch, shape.input)


def _gradient(shape: Shape) -> Tensor:
    return torch.randn(shape.time, shape.batch, shape.hidden)
