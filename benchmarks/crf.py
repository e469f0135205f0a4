"""The linear-chain CRF against the plain implementation: log-sum-exp step by step, differentiated by autograd.

Both run interleaved in one process on the same batch, forward and backward together; the table gives medians and the
median of the ratios of neighbouring runs. Lengths are uniform between T / 2 and T.

    python benchmarks/crf.py [--rows 64] [--repeats 15] [--threads 1] [--clock wall|cpu]
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from seqloom.decoding import viterbi, viterbi_k_best
from seqloom.losses import LinearChainCRF


class PlainCRF(nn.Module):
    """What one writes first: float32, a mask at every step, autograd over time."""

    def __init__(self, tags: int) -> None:
        super().__init__()
        self.transitions = nn.Parameter(torch.empty(tags, tags).uniform_(-0.1, 0.1))
        self.start = nn.Parameter(torch.empty(tags).uniform_(-0.1, 0.1))
        self.end = nn.Parameter(torch.empty(tags).uniform_(-0.1, 0.1))

    def forward(self, emissions: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
        rows = torch.arange(len(targets))
        alpha = self.start + emissions[:, 0]
        score = self.start[targets[:, 0]] + emissions[rows, 0, targets[:, 0]]
        for step in range(1, emissions.shape[1]):
            inside = step < lengths
            arrived = torch.logsumexp(alpha[:, :, None] + self.transitions, dim=1) + emissions[:, step]
            alpha = torch.where(inside[:, None], arrived, alpha)
            before, after = targets[:, step - 1], targets[:, step]
            score = score + (self.transitions[before, after] + emissions[rows, step, after]) * inside
        last = targets.gather(1, lengths[:, None] - 1)[:, 0]
        return torch.logsumexp(alpha + self.end, dim=1) - score - self.end[last]


def elapsed(call: Callable[[], object], clock: Callable[[], float]) -> float:
    """Milliseconds of one call."""
    begin = clock()
    call()
    return (clock() - begin) * 1e3


def compare_training(rows: int, time_steps: int, tags: int, repeats: int, clock: Callable[[], float]) -> str:
    """One line of the table of losses, after a check that both give the same loss and gradient."""
    ours, plain = LinearChainCRF(tags), PlainCRF(tags)
    plain.load_state_dict(ours.state_dict())
    emissions = torch.randn(rows, time_steps, tags, requires_grad=True)
    targets = torch.randint(0, tags, (rows, time_steps))
    lengths = torch.randint(time_steps // 2, time_steps + 1, (rows,))

    def train(model: nn.Module) -> Tensor:
        return torch.autograd.grad(model(emissions, targets, lengths).mean(), (emissions, *model.parameters()))[0]

    torch.testing.assert_close(train(ours), train(plain), rtol=1e-3, atol=1e-5)
    pairs = [(elapsed(lambda: train(ours), clock), elapsed(lambda: train(plain), clock)) for _ in range(repeats)]
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(other / own for own, other in pairs)
    return f"| {tags} | {time_steps} | {mine:.2f} | {theirs:.2f} | {ratio:.1f} |"


def measure_decoding(rows: int, time_steps: int, tags: int, repeats: int, clock: Callable[[], float]) -> str:
    """One line of the table of decoders."""
    emissions = torch.randn(rows, time_steps, tags)
    chain = emissions, torch.randn(tags, tags), torch.randn(tags), torch.randn(tags)
    lengths = torch.randint(time_steps // 2, time_steps + 1, (rows,))
    viterbi(*chain, lengths)
    best = statistics.median(elapsed(lambda: viterbi(*chain, lengths), clock) for _ in range(repeats))
    ten = statistics.median(elapsed(lambda: viterbi_k_best(*chain, lengths, k=10), clock) for _ in range(repeats))
    return f"| {rows} | {time_steps} | {tags} | {best:.2f} | {ten:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=64, help="sequences in the batch that is trained on")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: the thread's own time")
    options = parser.parse_args()
    if options.clock == "cpu" and options.threads != 1:
        parser.error("--clock cpu counts one thread only; use it with --threads 1")
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    clock = time.perf_counter if options.clock == "wall" else time.thread_time

    print(f"`python {' '.join(sys.argv)}`, torch {torch.__version__}, {options.threads} thread(s)\n")
    print(f"Loss and gradient, B = {options.rows}, float32, milliseconds:\n")
    print("| K | T | seqloom | autograd | ratio |\n|--:|--:|--:|--:|--:|")
    for tags in (4, 20, 50):
        for time_steps in (40, 100):
            print(compare_training(options.rows, time_steps, tags, options.repeats, clock), flush=True)
    print("\nDecoding, milliseconds:\n")
    print("| B | T | K | Viterbi | 10 best |\n|--:|--:|--:|--:|--:|")
    for rows, time_steps, tags in ((256, 60, 4), (64, 100, 20), (64, 100, 50)):
        print(measure_decoding(rows, time_steps, tags, options.repeats, clock), flush=True)


if __name__ == "__main__":
    main()
