"""A cell of one's own: its formula, the battery of checks, and a training on the adding problem."""

import torch
from torch import nn

import seqloom
from seqloom.cells import Cell
from seqloom.engine.operations import sigmoid, tanh
from seqloom.synthetic.tasks import make_task


class LeakyGate(Cell):
    """A tanh network whose units forget at a rate that the input chooses."""

    def step(self, x, h):
        rate, candidate = self.affine(x, h, gates="rc")
        rate = sigmoid(rate)
        return (1 - rate) * h + rate * tanh(candidate)


seqloom.cells.check_cell(LeakyGate)  # gradients, padding, streams, every backend; silence means that it passed

torch.manual_seed(0)
random = torch.Generator().manual_seed(1)
task = make_task("adding", length=20)  # the sum of two marked numbers out of 20
layer, out = seqloom.Recurrent(LeakyGate, task.input_size, 32), nn.Linear(32, 1)
optimiser = torch.optim.Adam([*layer.parameters(), *out.parameters()], lr=0.01)

for update in range(401):
    batch = task.batch(64, random)
    outputs, _ = layer(batch.inputs, lengths=batch.lengths)
    loss = (out(outputs[:, -1]) - batch.targets).square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    if update % 100 == 0:
        print(f"update {update}: squared error {loss.item():.4f}; who remembers nothing has {task.chance:.4f}")
