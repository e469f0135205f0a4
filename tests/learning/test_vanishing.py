from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from seqloom.cells import Cell
from seqloom.engine.operations import tanh
from seqloom.errors import ConfigError
from seqloom.layers.recurrent import Recurrent
from seqloom.learning import bptt, initialise_orthogonal, vanishing_penalty

from .sequences import HIDDEN, Independent, Peephole, inputs, layer_of, loss_of

Form = Literal["paper", "released"]
TIME = 8
FORMS: list[Form] = ["paper", "released"]


class Linear(Cell):
    """A linear recurrence."""

    def step(self, x: Any, h: Any) -> Any:
        return self.affine(x, h)


class Carrying(Cell):
    """A gated average that reads the input of the step before, which its state carries."""

    state = ("h", "last")

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return self.hidden_size, self.input_size

    def step(self, x: Any, h: Any, last: Any) -> Any:
        return tanh(self.affine(x, h, last)), x * 1.0


def elman_omega(u: Tensor, errors: list[Tensor], states: list[Tensor], form: Form) -> Tensor:
    """The penalty of a single row as a function of U alone, errors and states being given numbers."""
    total, active = torch.zeros((), dtype=torch.float64), 0
    for error, h in zip(errors, states, strict=True):
        returned = (error * (1 - h**2)) @ u
        if form == "paper":
            total = total + (returned.norm() / error.norm() - 1) ** 2
        elif float(error @ error) >= 1e-20:
            total, active = total + (returned @ returned / (error @ error) - 1) ** 2, active + 1
    return total if form == "paper" else total / active


def errors_of(layer: Recurrent, x: Tensor, loss: Any) -> tuple[list[Tensor], list[Tensor]]:
    """``dL/dh_t`` and h_t of an Elman network and one row, by a loop and autograd."""
    w, u, b = (layer.cells[0].get_parameter(n).detach() for n in ("weight_x", "weight_h", "bias"))
    h, states, total = torch.zeros(HIDDEN, dtype=torch.float64), [], 0.0
    for t in range(x.shape[1]):
        h = torch.tanh(w @ x[0, t] + u @ h + b) + torch.zeros_like(h).requires_grad_()
        states.append(h)
        total = total + loss(h.unsqueeze(0), t).sum()
    return list(torch.autograd.grad(total, states)), [state.detach() for state in states]


@pytest.mark.parametrize("form", FORMS)
def test_of_an_elman_network_it_is_the_closed_form(form: Form) -> None:
    layer, x, loss = layer_of("rnn"), inputs(1, TIME), loss_of(HIDDEN)
    found = vanishing_penalty(layer, x, loss, form=form)
    errors, states = errors_of(layer, x, loss)
    u = layer.cells[0].get_parameter("weight_h").detach().requires_grad_()
    wanted = elman_omega(u, errors, states, form)
    torch.testing.assert_close(found, wanted)
    found.backward()
    torch.testing.assert_close(layer.cells[0].get_parameter("weight_h").grad, torch.autograd.grad(wanted, u)[0])
    # And by finite differences with e and h held fast, which shares nothing with autograd.
    with torch.no_grad():
        numeric, step = torch.zeros_like(u), 1e-6
        for i in range(HIDDEN):
            for j in range(HIDDEN):
                nudge = torch.zeros_like(u)
                nudge[i, j] = step
                both = [elman_omega(u + sign * nudge, errors, states, form) for sign in (1, -1)]
                numeric[i, j] = (both[0] - both[1]) / (2 * step)
    torch.testing.assert_close(layer.cells[0].get_parameter("weight_h").grad, numeric, atol=1e-7, rtol=1e-6)


def test_of_a_memory_cell_gates_are_held_and_the_matrix_in_the_jacobian_moves() -> None:
    """The Jacobian of an LSTM written out at fixed gates, whose finite differences with respect to U are taken."""
    layer, x, loss = layer_of("lstm"), inputs(1, TIME), loss_of(HIDDEN)
    vanishing_penalty(layer, x, loss).backward()
    found = layer.cells[0].get_parameter("weight_ifgo_h")
    weights = {name: p.detach() for name, p in layer.cells[0].named_parameters()}
    h = c = torch.zeros(HIDDEN, dtype=torch.float64)
    steps, total = [], torch.zeros((), dtype=torch.float64)
    for t in range(TIME):
        nudges = [torch.zeros(HIDDEN, dtype=torch.float64).requires_grad_() for _ in "hc"]
        before, a = c, weights["weight_ifgo_x"] @ x[0, t] + weights["weight_ifgo_h"] @ h + weights["bias_ifgo"]
        i, f, o = (a.view(4, -1)[k].sigmoid() for k in (0, 1, 3))
        g = a.view(4, -1)[2].tanh()
        c = f * c + i * g
        h, tanh_c, c = o * c.tanh() + nudges[0], c.tanh(), c + nudges[1]
        total = total + loss(h.unsqueeze(0), t).sum()
        steps.append((nudges, [v.detach() for v in (i, f, g, o, before, tanh_c)]))
    flat = [nudge for nudges, _ in steps for nudge in nudges]
    errors = torch.autograd.grad(total, flat, materialize_grads=True)  # nothing reads the last c

    def omega(u: Tensor) -> Tensor:
        ui, uf, ug, uo = u.view(4, HIDDEN, HIDDEN)
        result = torch.zeros((), dtype=torch.float64)
        for t, (_, (i, f, g, o, before, tanh_c)) in enumerate(steps):
            eh, ec = errors[2 * t], errors[2 * t + 1]
            into = ec + eh * o * (1 - tanh_c**2)  # the error of c within the step
            back = (into * before * f * (1 - f)) @ uf + (into * g * i * (1 - i)) @ ui
            back = back + (into * i * (1 - g**2)) @ ug + (eh * tanh_c * o * (1 - o)) @ uo
            returned, error = torch.cat([back, into * f]), torch.cat([eh, ec])
            result = result + (returned.norm() / error.norm() - 1) ** 2
        return result

    u = found.detach().clone()
    torch.testing.assert_close(vanishing_penalty(layer, x, loss).detach(), omega(u))
    for i, j in ((0, 0), (6, 3), (11, 4), (19, 1)):
        nudge = torch.zeros_like(u)
        nudge[i, j] = 1e-6
        numeric = (omega(u + nudge) - omega(u - nudge)) / 2e-6
        torch.testing.assert_close(found.grad[i, j], numeric, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_orthogonal_matrices_and_linear_units_have_none(form: Form) -> None:
    layer = layer_of(Linear, 2)
    initialise_orthogonal(layer)
    found = vanishing_penalty(layer, inputs(3, TIME), loss_of(HIDDEN), form=form)
    assert float(found.detach()) < 1e-24


@pytest.mark.parametrize("cell", ["rnn", "gru", "gru_before", "lstmp", Peephole, Carrying])
def test_only_recurrent_matrices_get_a_gradient(cell: Any) -> None:
    layer = layer_of(cell)
    vanishing_penalty(layer, inputs(2, TIME), loss_of(layer.output_size)).backward()
    declared = layer.cells[0].graph.declarations
    for name, parameter in layer.cells[0].named_parameters():
        assert (parameter.grad is not None) == (declared[name].role == "recurrent"), name


@pytest.mark.parametrize("form", FORMS)
def test_rows_are_a_mean_and_ended_rows_have_no_steps(form: Form) -> None:
    layer, x, loss = layer_of("gru"), inputs(3, TIME), loss_of(HIDDEN)
    lengths = torch.tensor([8, 0, 5])
    together = vanishing_penalty(layer, x, loss, None, lengths, form=form)
    alone = [vanishing_penalty(layer, x[r : r + 1, :n], loss, form=form) for r, n in ((0, 8), (2, 5))]
    wanted = (alone[0] + alone[1]) / 3 if form == "paper" else (8 * alone[0] + 5 * alone[1]) / 13
    torch.testing.assert_close(together, wanted)
    (gradient,) = torch.autograd.grad(together, layer.cells[0].get_parameter("weight_rz_h"))
    assert gradient.isfinite().all()


@pytest.mark.parametrize("form", FORMS)
def test_steps_without_an_error_have_no_term(form: Form) -> None:
    layer, x = layer_of("rnn_relu"), inputs(1, TIME)
    early = vanishing_penalty(layer, x, lambda output, t: output.sum(1) * (t == 2), form=form)
    torch.testing.assert_close(early, vanishing_penalty(layer, x[:, :3], lambda o, t: o.sum(1) * (t == 2), form=form))
    nn.init.constant_(layer.cells[0].get_parameter("bias"), -9.0)  # all units off: errors die at once
    dead = vanishing_penalty(layer, x, lambda output, t: output.sum(1), form=form)
    dead.backward()
    assert float(dead.detach()) == (TIME if form == "paper" else 1.0)
    assert (layer.cells[0].get_parameter("weight_h").grad == 0).all()


def test_what_it_measures_leaves_the_layer_as_it_was() -> None:
    layer, x, loss = layer_of("lstm", backend="derived"), inputs(2, TIME), loss_of(HIDDEN)
    before = bptt(layer, x, loss)
    vanishing_penalty(layer, x, loss)
    assert layer.backend == "derived"
    assert "step" not in vars(layer.cells[0])
    after = bptt(layer, x, loss)
    assert all(torch.equal(after.gradients[name], value) for name, value in before.gradients.items())


def test_what_it_cannot_act_on_is_refused() -> None:
    x, loss = inputs(), loss_of(HIDDEN)
    with pytest.raises(ConfigError, match="no recurrent matrix"):
        vanishing_penalty(layer_of(Independent), x, loss)
    with pytest.raises(ConfigError, match="without noise"):
        vanishing_penalty(layer_of("rnn", zoneout=0.1), x, loss)
    with pytest.raises(ConfigError, match="form is 'code'; expected 'paper' or 'released'"):
        vanishing_penalty(layer_of("rnn"), x, loss, form="code")  # type: ignore[arg-type]
