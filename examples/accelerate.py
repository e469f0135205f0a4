"""A model that exists, on seqloom's engine: its torch.nn.LSTM is swapped in place, with the same parameters and results."""

import copy
import time

import torch

import seqloom


class Tagger(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(1000, 64)
        self.lstm = torch.nn.LSTM(64, 128, bidirectional=True, batch_first=True)
        self.out = torch.nn.Linear(256, 10)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        return self.out(self.lstm(self.embed(words))[0])


torch.manual_seed(0)
before = Tagger()
after = seqloom.accelerate(copy.deepcopy(before))
print(seqloom.nn.report(after))

words = torch.randint(1000, (8, 60))
print(f"largest difference {(after(words) - before(words)).abs().max().item():.1e}")
times: dict[Tagger, list[float]] = {before: [], after: []}
for _ in range(15):
    for model in times:  # by turns, since the speed of a machine changes
        started = time.perf_counter()
        model(words).square().mean().backward()
        times[model].append(1000 * (time.perf_counter() - started))
print(f"forward and backward: torch {min(times[before]):.1f} ms, seqloom {min(times[after]):.1f} ms")
