"""Jordan's network under teacher forcing."""

import torch

from seqloom.cells import Jordan
from seqloom.layers.recurrent import Recurrent


def test_forced_with_its_own_outputs_it_gives_what_it_gives_freely():
    torch.manual_seed(0)
    layer = Recurrent(Jordan(3, 5, output_size=2, decay=0.7), backend="reference").double()
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    free, _ = layer(x)
    torch.testing.assert_close(layer.cells[0].forced(x, free), free, atol=1e-12, rtol=0)


def test_forced_steps_do_not_depend_on_earlier_inputs():
    torch.manual_seed(0)
    cell = Jordan(3, 5, output_size=2).double()
    x = torch.randn(1, 6, 3, dtype=torch.float64, requires_grad=True)
    outputs = cell.forced(x, torch.randn(1, 6, 2, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(outputs[:, 4].sum(), x)
    assert gradient[:, 4].abs().sum() > 0
    assert gradient[:, :4].abs().sum() == 0
    assert gradient[:, 5:].abs().sum() == 0
