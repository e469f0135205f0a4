import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from seqloom.errors import ConfigError
from seqloom.layers.recurrent import Recurrent
from seqloom.learning import bptt, rtrl, truncated_bptt, truncated_bptt_chunks
from seqloom.learning.transition import StepLoss

from .sequences import TIME, assert_equal, difference, inputs, layer_of, loss_of, random_state


class Counting(nn.Module):
    """A module that is no layer of ours: a counter in its state, a read-out behind its recurrence."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.GRUCell(3, 4), nn.Linear(4, 5)
        self.double()

    def step(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, count = state
        h = self.cell(x, h)
        return self.out(h) / (1 + count.unsqueeze(1)), (h, count + 1)

    def initial_state(self, batch: int) -> tuple[Tensor, Tensor]:
        return torch.zeros(batch, 4, dtype=torch.float64), torch.zeros(batch, dtype=torch.long)


def test_bptt_is_what_the_recursion_of_the_deltas_gives() -> None:
    """``delta_t = (1 - h_t^2) (dL_t/dh_t + U' delta_{t+1})``, by hand, for rows of different lengths."""
    layer, x, lengths = layer_of("rnn"), inputs(3), torch.tensor([20, 1, 7])
    loss = loss_of(5)
    found = bptt(layer, x.requires_grad_(), loss, lengths=lengths)
    w, u, b = (layer.cells[0].get_parameter(name).detach() for name in ("weight_x", "weight_h", "bias"))
    expected = {"weight_x": torch.zeros_like(w), "weight_h": torch.zeros_like(u), "bias": torch.zeros_like(b)}
    for row, length in enumerate(lengths.tolist()):
        h = [torch.zeros(5, dtype=torch.float64)]
        for t in range(length):
            h.append(torch.tanh(w @ x[row, t].detach() + u @ h[-1] + b))
        delta = torch.zeros(5, dtype=torch.float64)
        for t in reversed(range(length)):
            leaf = h[t + 1].clone().requires_grad_()
            (direct,) = torch.autograd.grad(loss(leaf.unsqueeze(0), t).sum(), leaf)
            delta = (1 - h[t + 1] ** 2) * (direct + u.T @ delta)
            expected["weight_x"] += torch.outer(delta, x[row, t].detach())
            expected["weight_h"] += torch.outer(delta, h[t])
            expected["bias"] += delta
            torch.testing.assert_close(found.inputs[row, t], w.T @ delta)
        assert (found.inputs[row, length:] == 0).all()
    for name, value in expected.items():
        torch.testing.assert_close(found.gradients[f"cells.0.{name}"], value)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_bptt_is_the_backward_pass_of_the_layer(bidirectional: bool) -> None:
    layer = layer_of("lstm", 2, bidirectional=bidirectional)
    x, state, lengths = inputs().requires_grad_(), None, torch.tensor([20, 9])
    loss = loss_of(layer.output_size)
    found = bptt(layer, x, loss, state, lengths)
    outputs, final = layer(x, state, lengths)
    valid = torch.arange(TIME) < lengths.unsqueeze(1)
    total = torch.stack([loss(outputs[:, t], t) * valid[:, t] for t in range(TIME)]).sum()
    total.backward()
    torch.testing.assert_close(found.loss, total.detach())
    torch.testing.assert_close(found.inputs, x.grad)
    for name, parameter in layer.named_parameters():
        torch.testing.assert_close(found.gradients[name], parameter.grad)
    for field, wanted in zip(found.state, final, strict=True):
        torch.testing.assert_close(field, wanted)
        assert not field.requires_grad


def windows(layer: Recurrent, x: Tensor, loss: StepLoss, k1: int, k2: int) -> dict[str, Tensor]:
    """Truncated gradients by running every window anew from a constant state: slow and obvious."""
    time = x.shape[1]
    totals = {name: torch.zeros_like(p) for name, p in layer.named_parameters()}
    for counted in range(0, time, k1):
        start, end = max(0, counted + k1 - k2), min(counted + k1, time)
        with torch.no_grad():
            state = layer(x[:, :start])[1]
        outputs, _ = layer(x[:, start:end], state)
        total = torch.stack([loss(outputs[:, t - start], t).sum() for t in range(counted, end)]).sum()
        for name, gradient in zip(totals, torch.autograd.grad(total, list(layer.parameters())), strict=True):
            totals[name] += gradient
    return totals


@settings(deadline=None, max_examples=30)
@given(time=st.integers(1, 13), k1=st.integers(1, 14), more=st.integers(0, 9), cell=st.sampled_from(["gru", "lstm"]))
def test_truncation_is_that_of_windows_run_by_themselves(time: int, k1: int, more: int, cell: str) -> None:
    layer, x, loss = layer_of(cell), inputs(time=time), loss_of(5)
    found = truncated_bptt(layer, x, loss, k1, k1 + more)
    for name, wanted in windows(layer, x, loss, k1, k1 + more).items():
        torch.testing.assert_close(found.gradients[name], wanted, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru", "gru_before", "lstmp"])
def test_truncation_behind_the_end_truncates_nothing(cell: str) -> None:
    layer, x, lengths = layer_of(cell, 2), inputs(), torch.tensor([20, 13])
    loss, state = loss_of(layer.output_size), random_state(layer)
    whole = bptt(layer, x, loss, state, lengths)
    for k1, k2 in ((TIME, TIME), (TIME + 5, TIME + 5), (5, TIME), (1, TIME), (3, TIME + 1)):
        assert_equal(truncated_bptt(layer, x, loss, k1, k2, state, lengths), whole)
    assert difference(truncated_bptt(layer, x, loss, 3, 4, state, lengths), whole) > 1e-3


@pytest.mark.parametrize(("k1", "k2"), [(1, 1), (1, 4), (4, 4), (3, 7), (5, 6)])
def test_no_loss_reaches_inputs_k2_steps_back(k1: int, k2: int) -> None:
    layer, time = layer_of("lstm"), 17
    x = inputs(time=time).requires_grad_()
    for at in range(time):
        found = truncated_bptt(layer, x, lambda output, t, at=at: output.sum(1) * (t == at), k1, k2).inputs
        reached = found.abs().amax((0, 2)) > 0
        assert not reached[: max(0, at - k2 + 1)].any()
        assert not reached[at + 1 :].any()
        assert reached[max(0, at - (k2 - k1)) : at + 1].all(), "every loss reaches at least k2 - k1 steps back"


def test_chunks_reproduce_the_forward_pass() -> None:
    layer, x, lengths = layer_of("gru", 2), inputs(3), torch.tensor([20, 0, 8])
    seen: list[Tensor] = []

    def loss(output: Tensor, t: int) -> Tensor:
        assert t == len(seen)
        seen.append(output.detach())
        return output.sum(1)

    *_, last = truncated_bptt_chunks(layer, x, loss, 3, 7, None, lengths)
    outputs, final = layer(x, lengths=lengths)
    torch.testing.assert_close(torch.stack(seen, 1), outputs, atol=1e-12, rtol=0)
    torch.testing.assert_close(last.state.h, final.h, atol=1e-12, rtol=0)


def test_updates_between_chunks_are_those_of_chunks_that_are_cut_by_hand() -> None:
    ours, theirs, x, loss = layer_of("lstm"), layer_of("lstm"), inputs(), loss_of(5)
    optimiser = torch.optim.SGD(ours.parameters(), 0.1, momentum=0.9)
    for chunk in truncated_bptt_chunks(ours, x, loss, k1=6):
        optimiser.zero_grad()
        chunk.add_to(ours)
        optimiser.step()
    optimiser, state = torch.optim.SGD(theirs.parameters(), 0.1, momentum=0.9), None
    for start in range(0, TIME, 6):
        outputs, state = theirs(x[:, start : start + 6], state)
        optimiser.zero_grad()
        torch.stack([loss(output, t).sum() for t, output in enumerate(outputs.unbind(1), start)]).sum().backward()
        optimiser.step()
        state = state.detach()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


def test_graphs_that_outlive_an_update_keep_the_weights_of_their_time() -> None:
    """Steps of one, back through two: the second by the chain rule at the weights of either step."""
    layer, x = layer_of("rnn"), inputs(1, 2)
    before = {name: p.detach().clone() for name, p in layer.named_parameters()}
    chunks = truncated_bptt_chunks(layer, x, lambda output, t: output.sum(), 1, 2)
    next(chunks)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3)
    second = next(chunks)
    leaves = [{n: v.clone().requires_grad_() for n, v in values.items()} for values in (before, _values(layer))]
    _, state = torch.func.functional_call(layer, leaves[0], (x[:, :1],))
    output, _ = torch.func.functional_call(layer, leaves[1], (x[:, 1:], state))
    gradients = [torch.autograd.grad(output.sum(), list(leaf.values()), retain_graph=True) for leaf in leaves]
    for name, *both in zip(before, *gradients, strict=True):
        torch.testing.assert_close(second.gradients[name], both[0] + both[1])


def _values(layer: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in layer.named_parameters()}


def test_modules_of_any_kind_are_differentiated() -> None:
    torch.manual_seed(4)
    module, x, lengths, loss = Counting(), inputs(3, 9), torch.tensor([9, 0, 4]), loss_of(5)
    found = bptt(module, x.requires_grad_(), loss, lengths=lengths)
    assert found.state[1].tolist() == [9, 0, 4]
    total = torch.zeros((), dtype=torch.float64)
    for row, length in enumerate(lengths.tolist()):
        state = module.initial_state(1)
        for t in range(length):
            output, state = module.step(x[row : row + 1, t], state)
            total = total + loss(output, t).sum()
    wanted = torch.autograd.grad(total, list(module.parameters()))
    for (name, _), gradient in zip(module.named_parameters(), wanted, strict=True):
        torch.testing.assert_close(found.gradients[name], gradient)
    for other in (truncated_bptt(module, x, loss, 3, 9, None, lengths), rtrl(module, x, loss, None, lengths)):
        assert_equal(other, found)


def test_padding_is_never_seen() -> None:
    layer, lengths, loss = layer_of("gru"), torch.tensor([20, 6]), loss_of(5)
    x = inputs()
    garbage = x.masked_fill((torch.arange(TIME) >= lengths.unsqueeze(1)).unsqueeze(2), 1e3)
    for algorithm in (bptt, rtrl):
        assert_equal(algorithm(layer, x, loss, None, lengths), algorithm(layer, garbage, loss, None, lengths), 0.0)


@pytest.mark.parametrize("algorithm", [bptt, rtrl])
def test_a_scalar_loss_is_refused_where_a_row_has_ended(algorithm: object) -> None:
    layer, x = layer_of("rnn"), inputs(2, 4)
    with pytest.raises(ValueError, match=r"scalar at step 3, where row 1 has ended; return one number per row, \(2,\)"):
        algorithm(layer, x, lambda output, t: output.sum(), None, torch.tensor([4, 3]))  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"shape \(2, 5\) at step 0; expected a scalar or one number per row, \(2,\)"):
        algorithm(layer, x, lambda output, t: output)  # type: ignore[operator]


def test_nothing_to_learn_is_no_error() -> None:
    layer = layer_of("rnn")
    for algorithm in (bptt, rtrl):
        for x, lengths in ((inputs(2, 0), None), (inputs(2, 3), torch.tensor([0, 0]))):
            found = algorithm(layer, x, lambda output, t: output.sum(1), None, lengths)
            assert float(found.loss) == 0.0
            assert all((gradient == 0).all() for gradient in found.gradients.values())
    layer.requires_grad_(False)
    assert bptt(layer, inputs(), lambda output, t: output.sum()).gradients == {}


def test_windows_shorter_than_their_steps_are_refused() -> None:
    with pytest.raises(ConfigError, match="k1 is 4 and k2 is 3; expected 1 <= k1 <= k2"):
        truncated_bptt_chunks(layer_of("rnn"), inputs(), lambda output, t: output.sum(), 4, 3)
