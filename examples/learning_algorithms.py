"""The gradient of one loss by four algorithms: two are exact, one is cheap, one is right on average."""

import torch

import seqloom
from seqloom import learning

torch.manual_seed(0)
layer = seqloom.Recurrent("gru", input_size=3, hidden_size=8).double()
x, target = torch.randn(4, 20, 3, dtype=torch.float64), torch.randn(4, 20, 8, dtype=torch.float64)


def loss(output: torch.Tensor, t: int) -> torch.Tensor:
    """(B, H) of one step to (B,)."""
    return (output - target[:, t]).square().sum(-1)


def flat(found: learning.Gradients) -> torch.Tensor:
    return torch.cat([gradient.flatten() for gradient in found.gradients.values()])


exact = flat(learning.bptt(layer, x, loss))
others = {
    "rtrl: exact, forward in time": learning.rtrl(layer, x, loss),
    "truncated_bptt: the last 5 steps": learning.truncated_bptt(layer, x, loss, k1=1, k2=5),
    "snap1: a unit's effect on itself": learning.snap1(layer, x, loss),
    "uoro: unbiased, noisy": learning.uoro(layer, x, loss),
}
for name, found in others.items():
    cosine = torch.cosine_similarity(exact, flat(found), dim=0).item()
    error = ((flat(found) - exact).norm() / exact.norm()).item()
    print(f"{name:34} cosine with bptt {cosine:7.4f}, relative error {error:.1e}")
