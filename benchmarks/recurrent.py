"""The recurrent layer against ``torch.nn`` on packed sequences: a tagger's shape, ragged lengths, training and inference.

    python benchmarks/recurrent.py [--hidden 128] [--batch 128] [--threads 1] [--rounds 9]

All contestants in turn, round after round, in one process; medians, and ratios to ``torch.nn`` (below 1 is faster).
"""

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import date

import torch
from machine import describe_machine, installed_versions, markdown_table
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import seqloom

PEERS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
BACKENDS = ("vendor", "derived", "reference", "auto")
Step = Callable[[], None]


def _packed(module: nn.Module, x: Tensor, lengths: Tensor) -> Tensor:
    packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
    outputs, _ = pad_packed_sequence(module(packed)[0], batch_first=True, total_length=x.shape[1])
    return outputs


def contestants(cell: str, x: Tensor, lengths: Tensor, hidden: int, training: bool) -> dict[str, Step]:
    """Each way to run the layer once: forward and backward, or forward alone."""
    peer = PEERS[cell](x.shape[2], hidden, batch_first=True, bidirectional=True)
    layers = {name: seqloom.Recurrent(cell, x.shape[2], hidden, bidirectional=True, backend=name) for name in BACKENDS}
    runs: dict[str, Callable[[], Tensor]] = {"torch.nn, packed": lambda: _packed(peer, x, lengths)}
    runs |= {name: lambda layer=layer: layer(x, lengths=lengths)[0] for name, layer in layers.items()}

    def train(run: Callable[[], Tensor]) -> None:
        run().square().mean().backward()

    def infer(run: Callable[[], Tensor]) -> None:
        with torch.inference_mode():
            run()

    return {name: (lambda run=run: train(run) if training else infer(run)) for name, run in runs.items()}


def medians(steps: dict[str, Step], rounds: int) -> dict[str, float]:
    """Seconds of each contestant, interleaved, after a round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            begin = time.perf_counter()
            step()
            if number:
                seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    for name, default in (("hidden", 128), ("batch", 128), ("time", 40), ("input", 192), ("threads", 1), ("rounds", 9)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--fill", type=float, default=0.7, help="mean length over the longest")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    x = torch.randn(options.batch, options.time, options.input)
    shortest = max(1, round((2 * options.fill - 1) * options.time))
    lengths = torch.randint(shortest, options.time + 1, (options.batch,))
    lengths[0] = options.time
    rows = []
    for cell in PEERS:
        for training in (True, False):
            found = medians(contestants(cell, x, lengths, options.hidden, training), options.rounds)
            peer = found.pop("torch.nn, packed")
            ratios = {name: f"{seconds / peer:.2f}" for name, seconds in found.items()}
            task = "training" if training else "inference"
            rows.append({"cell": cell, "": task, "torch.nn, ms": f"{1000 * peer:.1f}", **ratios})
    machine, versions = describe_machine()["processor"], installed_versions(["torch"])
    print(f"{date.today()}; {machine}; {versions}; {vars(options)}\n")
    print(markdown_table(rows))


if __name__ == "__main__":
    main()
