"""A classifier of ink beside the same network in plain PyTorch with packed sequences, and the cost of a live step.

    SEQLOOM_DATA=FOLDER python benchmarks/classifier_speed.py [--rounds 9] [--layers 2] [--hidden 64]

UNIPEN's digits in batches of 64 of like length, features made before. The two begin with the same weights, which is checked by
their losses, and take turns; of each round the ratio of the times counts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from datetime import date
from os import environ
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine, markdown_table
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seqloom.data.batching import batches
from seqloom.data.ink.config import InkReading, PenConfig
from seqloom.data.ink.features import PenFeatures
from seqloom.data.ink.reading import read_ink
from seqloom.data.labelled import flattened
from seqloom.layers.exchange import to_torch
from seqloom.systems.classifier.answers import Classes
from seqloom.systems.classifier.config import ClassifierModelConfig
from seqloom.systems.classifier.ink.system import InkClassifier, InkInputs


class Plain(nn.Module):
    """A BLSTM, the mean over its real steps, a linear map: as one writes it in PyTorch."""

    def __init__(self, size: int, hidden: int, layers: int, classes: int):
        super().__init__()
        self.rnn = nn.LSTM(size, hidden, layers, batch_first=True, bidirectional=True)
        self.scores = nn.Linear(2 * hidden, classes)

    def forward(self, batch: Any) -> Tensor:
        packed = pack_padded_sequence(batch.inputs, batch.lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        mean = outputs.sum(1) / batch.lengths.unsqueeze(-1)
        return nn.functional.cross_entropy(self.scores(mean), batch.targets)


def with_weights_of(network: Any, plain: Plain) -> Plain:
    """The plain network with the weights of ours; ours has one bias where PyTorch has two."""
    state = to_torch(network.encoder).state_dict()
    plain.rnn.load_state_dict(state)
    plain.scores.load_state_dict(network.head.scores.state_dict())
    return plain


def train(network: nn.Module, optimiser: Any, work: list[Any]) -> float:
    """Seconds of a step for each batch."""
    begun = time.perf_counter()
    for batch in work:
        optimiser.zero_grad()
        network(batch).backward()
        optimiser.step()
    return time.perf_counter() - begun


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--hidden", type=int, default=64)
    options = parser.parse_args()
    data = read_ink(str(Path(environ["SEQLOOM_DATA"]) / "unipen_chars" / "digits.npz"), InkReading(), "train")
    examples, channels = list(data.examples), data.facts["channels"]
    features = PenFeatures(PenConfig(position=True, curvature=True, delta=0.06), channels)
    features.fit(*flattened(examples))
    answer = Classes.fit(examples)
    config = ClassifierModelConfig(hidden_size=options.hidden, layers=options.layers, dropout_scores=0.0)
    torch.manual_seed(1)
    model = InkClassifier(config, InkInputs(PenConfig(), features, 3, {"channels": channels}), answer, {})
    corpus = model.inputs.corpus(examples, answer)
    plan = batches(corpus.lengths, sentences=64, seed=1)[: options.batches]
    work = [corpus.batch(indices) for indices in plan]
    plain = with_weights_of(model.network, Plain(features.output_size, options.hidden, options.layers, answer.size))
    ours, theirs = float(model.network.eval()(work[0]).detach()), float(plain.eval()(work[0]).detach())
    assert abs(ours - theirs) < 1e-4, (ours, theirs)
    sides = {"seqloom": model.network.train(), "plain PyTorch, packed": plain.train()}
    optimisers = {name: torch.optim.Adam(network.parameters(), lr=1e-4) for name, network in sides.items()}
    for name, network in sides.items():
        train(network, optimisers[name], work[:3])
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for round_ in range(options.rounds):
        for name in list(sides) if round_ % 2 else list(sides)[::-1]:
            taken[name].append(train(sides[name], optimisers[name], work))
    count = sum(len(batch.lengths) for batch in work)
    ratios = [other / own for own, other in zip(*taken.values(), strict=True)]
    rows = [
        {"network": name, "sequences/s": f"{count / statistics.median(times):,.0f}"} for name, times in taken.items()
    ]
    print(f"{describe_machine()}; {torch.get_num_threads()} threads; {date.today()}")
    print(f"{options.layers} layers of {options.hidden}; mean length {corpus.lengths.mean():.1f}\n")
    print(markdown_table(rows, left=["network"]))
    print(f"\nratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"torch.mm of (2816, 128) and (128, 512): {product_speed():.0f} thousand million operations a second")
    live_step(features.output_size)


def product_speed(rows: int = 2816, inner: int = 128, columns: int = 512) -> float:
    """Multiplications and additions of a matrix product in a nanosecond: what no network of products can exceed."""
    left, right = torch.randn(rows, inner), torch.randn(inner, columns)
    times = []
    for _ in range(50):
        begun = time.perf_counter()
        torch.mm(left, right)
        times.append(time.perf_counter() - begun)
    return 2 * rows * inner * columns / statistics.median(times) / 1e9


def live_step(size: int) -> None:
    """The time of one step of a stream, and of a million steps, with the memory before and after."""
    import resource

    from seqloom.data.series.config import SensorFeaturesConfig
    from seqloom.data.series.features import SensorFeatures
    from seqloom.systems.classifier.inputs import VectorInputs
    from seqloom.systems.classifier.series.system import SeriesClassifier

    names = [str(index) for index in range(size)]
    sensors = SensorFeatures(SensorFeaturesConfig(), names)
    config = ClassifierModelConfig(hidden_size=64, bidirectional=False)
    inputs = VectorInputs(SensorFeaturesConfig(), sensors, size, {})
    model = SeriesClassifier(config, inputs, _ten(), {})
    model.network.eval()
    stream, steps = model.stream(), np.random.default_rng(0).standard_normal((1000, size)).astype(np.float32)
    stream.push(steps)
    times = []
    for step in steps[:500]:
        begun = time.perf_counter()
        stream.push(step)
        times.append(time.perf_counter() - begun)
    print(f"\na step of a stream, LSTM 64, one at a time: {1e6 * statistics.median(times):.0f} us")
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    for _ in range(1000):
        stream.push(steps)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"a million steps in chunks of 1,000: {time.perf_counter() - begun:.1f} s, peak memory {before // 1024} MiB before and "
        f"{after // 1024} MiB after"
    )


def _ten() -> Classes:
    from seqloom.data.vocabulary import TagVocabulary

    return Classes(TagVocabulary([str(index) for index in range(10)], [1] * 10))


if __name__ == "__main__":
    main()
