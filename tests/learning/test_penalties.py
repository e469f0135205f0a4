from typing import Any

import pytest
import torch
from torch import nn

from seqloom.errors import ConfigError
from seqloom.layers.recurrent import Recurrent
from seqloom.learning import add_orthogonality, orthogonality, shrink
from seqloom.training import TrainingConfig
from seqloom.training.optimiser import build_optimiser

from .sequences import Independent, layer_of


def test_shrinking_solves_the_l1_problem_of_a_step() -> None:
    """The proximal point ``argmin_v |v - w|^2 / 2 + a |v|``, by trying a fine grid of values."""
    weight = nn.Parameter(torch.tensor([[-2.0, -0.3, -0.1, 0.0, 0.2, 0.25, 1.5]], dtype=torch.float64))
    before, grid = weight.detach().clone(), torch.linspace(-2.5, 2.5, 50001, dtype=torch.float64)
    shrink([weight], 0.25)
    costs = (grid.unsqueeze(1) - before) ** 2 / 2 + 0.25 * grid.abs().unsqueeze(1)
    torch.testing.assert_close(weight.detach()[0], grid[costs.argmin(0)], atol=1e-4, rtol=0)
    assert (weight[0, 2:6] == 0).all(), "small weights are exactly zero"


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru", "gru_before"])
def test_orthogonality_is_of_each_gate_by_itself(cell: str) -> None:
    layer = layer_of(cell, 2)
    total = 0.0
    for part in layer.cells:
        for name, declared in part.graph.declarations.items():
            if declared.role == "recurrent":
                for u in part.get_parameter(name).detach().split(5):
                    gram = [[float(u[:, i] @ u[:, j]) - (i == j) for j in range(5)] for i in range(5)]
                    total += sum(value**2 for row in gram for value in row)
    assert float(orthogonality(layer).detach()) == pytest.approx(total, rel=1e-12)


def test_its_gradient_is_added_to_that_of_the_loss_and_reaches_recurrent_matrices_only() -> None:
    """``d|U'U - I|^2 / dU = 4 U (U'U - I)``."""
    layer = layer_of("rnn")
    u = layer.cells[0].get_parameter("weight_h")
    u.grad = torch.ones_like(u)
    add_orthogonality(layer, 0.1)
    value = u.detach()
    torch.testing.assert_close(u.grad, 1 + 0.4 * value @ (value.T @ value - torch.eye(5, dtype=torch.float64)))
    assert layer.cells[0].get_parameter("weight_x").grad is None


def test_a_projection_is_no_square_matrix_and_nothing_square_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no"):
        orthogonality(Recurrent("lstmp", 3, 8))
    for module in (layer_of(Independent), nn.Linear(3, 3)):
        with pytest.raises(ConfigError, match="square recurrent matrices"):
            build_optimiser(module, TrainingConfig(orthogonality=1.0))


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.ModuleDict({"layer": Recurrent("gru", 3, 4), "norm": nn.LayerNorm(4), "out": nn.Linear(4, 2)})


def after_a_step(**settings: Any) -> dict[str, torch.Tensor]:
    """All weights after one update whose gradient is 1 everywhere."""
    module = model()
    optimiser = build_optimiser(module, TrainingConfig(**settings))
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.add_penalties()
    optimiser.clip(0.0)
    optimiser.step(0.1)
    return {name: parameter.detach() for name, parameter in module.named_parameters()}


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd", "adagrad"])
@pytest.mark.parametrize("penalty", ["weight_decay", "l1"])
def test_biases_and_gains_are_never_penalised_and_matrices_always(optimiser: str, penalty: str) -> None:
    plain, penalised = after_a_step(optimiser=optimiser), after_a_step(optimiser=optimiser, **{penalty: 0.5})
    for name, value in plain.items():
        # The first step of Adam and Adagrad has the size of the rate whatever the gradient's, so L2 shows later only.
        if value.dim() < 2 or penalty == "l1" or optimiser in ("adamw", "sgd"):
            assert torch.equal(value, penalised[name]) == (value.dim() < 2), name


def test_decay_in_the_gradient_and_decay_beside_it_differ_under_adam() -> None:
    before = {name: parameter.detach() for name, parameter in model().named_parameters()}
    plain = after_a_step(optimiser="adamw")
    decoupled = after_a_step(optimiser="adamw", weight_decay=0.5)
    in_gradient = after_a_step(optimiser="adam", weight_decay=0.5)
    in_sgd = after_a_step(optimiser="sgd", weight_decay=0.5)
    for name, value in before.items():
        if value.dim() > 1:
            torch.testing.assert_close(decoupled[name], plain[name] - 0.1 * 0.5 * value, atol=1e-6, rtol=0)
            # Adam divides the gradient by its own size: what an L2 penalty adds is lost in the first step.
            torch.testing.assert_close(in_gradient[name], value - 0.1 * (1 + 0.5 * value).sign(), atol=1e-5, rtol=0)
            torch.testing.assert_close(in_sgd[name], value - 0.1 * (1 + 0.5 * value), atol=1e-6, rtol=0)


def test_values_are_clipped_before_the_norm_and_the_norm_before_is_told() -> None:
    module = nn.Linear(2, 1, bias=False)
    optimiser = build_optimiser(module, TrainingConfig())
    module.weight.grad = torch.tensor([[30.0, 0.4]])
    assert optimiser.clip(1.0, 0.5) == pytest.approx(30.00267, abs=1e-4)
    cut = torch.tensor([[0.5, 0.4]])
    torch.testing.assert_close(module.weight.grad, cut / max(1.0, float(cut.norm())))
    module.weight.grad = torch.tensor([[float("inf"), 3.0]])
    assert optimiser.clip(1.0, 0.5) == float("inf")
    assert module.weight.grad.tolist() == [[float("inf"), 3.0]], "the step is skipped, nothing is hidden"
