"""The neural Turing machine against its formulas, slot by slot, and by hand-set heads."""

import pytest
import torch
from torch.nn import functional as F

from seqloom.cells import Cell
from seqloom.engine.operations import tanh
from seqloom.errors import ConfigError
from seqloom.layers.memory import NeuralTuringMachine, Tape


def machine_of(**sizes):
    torch.manual_seed(1)
    machine = NeuralTuringMachine("lstm", 3, 4, tape=Tape(**{"slots": 5, "width": 3, **sizes})).double()
    for parameter in machine.parameters():
        torch.nn.init.uniform_(parameter, -1.0, 1.0)
    return machine


def naive_weights(tape, memory, before, emitted):
    """One head of one row, by the formulas of the paper."""
    key, (strength, gate, power), offsets = (
        emitted[: tape.width],
        emitted[tape.width : tape.width + 3],
        emitted[tape.width + 3 :],
    )
    cosines = torch.stack([key @ slot / ((key @ key + 1e-6) * (slot @ slot + 1e-6)).sqrt() for slot in memory])
    content = (F.softplus(strength) * cosines).softmax(0)
    mixed = gate.sigmoid() * content + (1 - gate.sigmoid()) * before
    moved = sum(
        s * mixed.roll(offset) for s, offset in zip(offsets.softmax(0), range(-tape.reach, tape.reach + 1), strict=True)
    )
    raised = moved ** (1 + F.softplus(power))
    return raised / raised.sum()


@pytest.mark.parametrize(("read_heads", "write_heads", "reach"), [(1, 1, 1), (2, 3, 2), (3, 1, 0)])
def test_the_machine_equals_its_formulas(read_heads, write_heads, reach):
    machine = machine_of(read_heads=read_heads, write_heads=write_heads, reach=reach)
    tape, x = machine.tape, torch.randn(1, 6, 3, dtype=torch.float64)
    memory = torch.full((5, 3), 1e-6, dtype=torch.float64)
    weights = torch.zeros(read_heads + write_heads, 5, dtype=torch.float64)
    weights[:, 0] = 1.0
    reads, own, outputs = torch.zeros(read_heads * 3, dtype=torch.float64), None, []
    for t in range(6):
        h, own = machine.controller.step(torch.cat([x[0, t], reads])[None], own)
        emitted = machine.addresses(h[0]).view(read_heads + write_heads, -1)
        writings = machine.writings(h[0]).view(write_heads, 2, 3)
        writing = [naive_weights(tape, memory, weights[n], emitted[n]) for n in range(read_heads, len(emitted))]
        for w, (erase, _) in zip(writing, writings, strict=True):
            memory = memory * (1 - w[:, None] * erase.sigmoid())
        for w, (_, add) in zip(writing, writings, strict=True):
            memory = memory + w[:, None] * add
        reading = [naive_weights(tape, memory, weights[n], emitted[n]) for n in range(read_heads)]
        weights = torch.stack([*reading, *writing])
        reads = torch.cat([w @ memory for w in reading])
        outputs.append(torch.cat([h[0], reads]))
    found, state = machine(x)
    torch.testing.assert_close(found[0], torch.stack(outputs), atol=1e-12, rtol=0)
    torch.testing.assert_close(state.memory[0], memory, atol=1e-12, rtol=0)
    torch.testing.assert_close(torch.cat([state.read_weights[0], state.write_weights[0]]), weights, atol=1e-12, rtol=0)


def test_heads_that_walk_write_a_tape_that_heads_that_walk_read():
    machine = machine_of(slots=6)
    width = machine.tape.width
    with torch.no_grad():
        for parameter in machine.addresses.parameters():
            parameter.zero_()
        emitted = machine.addresses.bias.view(2, -1)
        emitted[:, width + 1] = -1000.0  # gates closed: by place alone
        emitted[:, width + 5] = 1000.0  # one slot on
        machine.writings.weight.zero_()
        machine.writings.bias.copy_(torch.tensor([1000.0] * 3 + [1.0, 2.0, 3.0]))  # erase all, add 1 2 3
    outputs, state = machine(torch.randn(2, 4, 3, dtype=torch.float64))
    written = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(state.memory[:, 1:5], written.expand(2, 4, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(
        state.memory[:, [0, 5]], torch.full((2, 2, 3), 1e-6, dtype=torch.float64), atol=1e-6, rtol=0
    )
    torch.testing.assert_close(outputs[..., 4:], written.expand(2, 4, 3), atol=1e-6, rtol=0)
    assert state.write_weights[0, 0].argmax() == 4


def test_a_long_run_on_strong_inputs_stays_finite_with_its_gradients():
    torch.manual_seed(0)
    machine = NeuralTuringMachine("lstm", 3, 4, tape=Tape(slots=8, width=4, read_heads=2))
    for parameter in machine.parameters():
        torch.nn.init.uniform_(parameter, -5.0, 5.0)
    outputs, _ = machine(torch.randn(2, 100, 3) * 10)
    outputs.square().mean().backward()
    assert bool(outputs.isfinite().all())
    assert all(bool(parameter.grad.isfinite().all()) for parameter in machine.parameters())


def test_wrong_sizes_and_names_are_refused():
    with pytest.raises(ConfigError, match="reach is 2 but a memory of 4 slots has no 5"):
        Tape(slots=4, reach=2)

    class Named(Cell):
        state = ("h", "memory")

        def step(self, x, h, memory):
            h = tanh(self.affine(x, h))
            return h, memory + h

    with pytest.raises(ConfigError, match="the cell has a state 'memory', a name of the machine's own"):
        NeuralTuringMachine(Named, 3, 4)
