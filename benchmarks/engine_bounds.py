"""What bounds the engine on this machine: arithmetic in a batch, the caches' bandwidth with a single row.

    python benchmarks/engine_bounds.py [--threads N]

For LSTMs: the rate of a whole forward pass in a batch of 32 rows beside that of torch's matrix product of the same sizes,
and the time of a step of a single row beside the recurrent weights that it has to read.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

import seqloom
from seqloom.app.machine import describe_machine, installed_versions
from seqloom.app.tables import markdown_table
from seqloom.engine.ragged import PackedRows
from seqloom.engine.runtime import cpu
from seqloom.engine.runtime.loaded import Inputs
from seqloom.engine.runtime.sequence import run_forward


def fastest(call: Callable[[], object], seconds: float = 1.0) -> float:
    """The shortest of many calls, in seconds: what the machine can do when nothing disturbs it."""
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return min(times)


def prepared(features: int, hidden: int, rows: PackedRows) -> tuple[cpu.Prepared, Inputs]:
    cell = seqloom.Recurrent("lstm", features, hidden).cells[0]
    return cpu.prepare(cell), cpu.gather(cpu.prepare(cell), [cell], torch.randn(rows.total, features), [])


def batch(hidden: int, threads: int) -> dict[str, str]:
    rows = PackedRows(100, 32)
    known, inputs = prepared(hidden, hidden, rows)
    products = 2 * rows.total * 4 * hidden * 2 * hidden
    ours = fastest(lambda: run_forward(known.operation, rows, inputs, directions=1, save=False, threads=threads))
    out = torch.empty(rows.total, 4 * hidden)
    torchs = fastest(lambda: torch.mm(inputs.x, inputs.weight.t(), out=out))
    return {
        "H": str(hidden),
        "forward pass, ms": f"{ours * 1e3:.2f}",
        "GFLOP/s": f"{products / ours / 1e9:.0f}",
        "torch.mm, GFLOP/s": f"{products / 2 / torchs / 1e9:.0f}",
    }


def single(hidden: int, threads: int) -> dict[str, str]:
    rows = PackedRows(1000, 1)
    known, inputs = prepared(16, hidden, rows)
    whole = fastest(lambda: run_forward(known.operation, rows, inputs, directions=1, save=False, threads=threads))
    before = fastest(lambda: torch.addmm(inputs.bias, inputs.x, inputs.weight.t()))
    step, weights = (whole - before) / rows.time, 4 * hidden * hidden * 4
    return {
        "H": str(hidden),
        "recurrent weights, KB": f"{weights // 1024:,}",
        "step, us": f"{step * 1e6:.2f}",
        "GB/s": f"{weights / step / 1e9:.0f}",
    }


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    threads = parser.parse_args().threads
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    machine, versions = describe_machine(), installed_versions(["torch"])
    print(f"{time.strftime('%Y-%m-%d')}; {machine}; {versions}; {threads} threads; seed 0\n")
    print("LSTM, I = H, B = 32, T = 100:\n")
    print(markdown_table([batch(hidden, threads) for hidden in (128, 256, 512)]))
    print("\nLSTM, a single row:\n")
    print(markdown_table([single(hidden, threads) for hidden in (64, 128, 256, 512)]))


if __name__ == "__main__":
    main()
