"""The recipe ``segment`` trained on two backends at once: the compiled engine and the vendors' kernels, in one process.

    SEQLOOM_DATA=FOLDER python benchmarks/segment_training.py [--steps 200] [--threads N] [--json F] [--markdown F]
    SEQLOOM_DATA=FOLDER python benchmarks/segment_training.py --train [--seeds 1 2 3] [--threads N]

Both models begin with the same weights and see the same batches under the same dropout. They take turns, a block of steps
each, the first of a turn alternating, so that the noise of the machine hits both alike. Of each turn the ratio of the two
times counts. ``--train`` goes on to the recipe's last epoch, keeps the weights that are best on the dev text, as
``seqloom train`` does, and scores both models on the test text. Other options are keys of the recipe, such as
``--data.train F --data.test F``, or ``--training.epochs 1``.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import accumulate
from os import environ
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine, installed_versions, publish, shown_command, without_folder
from segment_training_tables import summarise, to_markdown
from torch import Tensor, nn

import seqloom
from seqloom.app.configuration import configure
from seqloom.engine.runtime.backend import ENVIRONMENT
from seqloom.errors import ConfigError
from seqloom.scores.bootstrap import paired_bootstrap
from seqloom.systems.contract import Splits
from seqloom.systems.supervised import SupervisedTask
from seqloom.systems.tagger.segmentation import methods
from seqloom.systems.tagger.segmentation.config import SegmenterConfig
from seqloom.systems.tagger.segmentation.pieces import fold_width
from seqloom.systems.tagger.segmentation.score import SegmentationScore, score_segmentation
from seqloom.systems.tagger.segmentation.segmenter import Segmenter
from seqloom.systems.tagger.segmentation.system import SegmenterSystem
from seqloom.systems.train import network_task
from seqloom.training.optimiser import build_optimiser
from seqloom.training.processes import Processes
from seqloom.training.random_state import capture_random_state, restore_random_state, seed_everything
from seqloom.training.run_state import RunState
from seqloom.training.updates import Updates

CPU = torch.device("cpu")
FILES = {"train": "pku98_training.utf8.xz", "test": "pku_test_gold.utf8.xz"}
SAMPLES = 1000


@dataclass
class Contestant:
    """A model in training on one backend; ``random`` are the states of the generators that it continues from."""

    backend: str
    reason: str
    segmenter: Segmenter
    task: SupervisedTask
    steps: Updates
    random: dict[str, Tensor]
    dev: list[float] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    def block(self, count: int) -> dict[str, float]:
        """Seconds, tokens and mean loss of so many steps, under this model's own random numbers."""
        restore_random_state(self.random, CPU)
        begin = time.perf_counter()
        taken = [self.steps.take() for _ in range(count)]
        seconds = time.perf_counter() - begin
        self.random = capture_random_state(CPU)
        loss = sum(step.total for step in taken) / sum(step.weight for step in taken)
        return {"seconds": seconds, "tokens": sum(step.items for step in taken), "loss": loss}

    def judge(self) -> None:
        """Score the weights on the dev text, and keep them where they are the best so far."""
        config = self.steps.config
        self.dev.append(self.task.evaluate()[config.monitor])
        self.task.module.train()
        if self.steps.state.judge(self.dev[-1], self.steps.epochs_done, config):
            self.best = {name: value.clone() for name, value in self.task.module.state_dict().items()}


class Stopwatch:
    """Seconds spent in the recurrent layers of a module, forwards and backwards, while entered."""

    def __init__(self, module: nn.Module) -> None:
        self.seconds = 0.0
        self._layers = [part for part in module.modules() if isinstance(part, seqloom.Recurrent)]

    def __enter__(self) -> "Stopwatch":
        self._hooks: list[Any] = []
        for layer in self._layers:
            self._hooks += [
                layer.register_forward_pre_hook(self._start),
                layer.register_forward_hook(self._stop),
                layer.register_full_backward_pre_hook(self._start),
                layer.register_full_backward_hook(self._stop),
            ]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _start(self, *_: object) -> None:
        self.seconds -= time.perf_counter()

    def _stop(self, *_: object) -> None:
        self.seconds += time.perf_counter()


def parse_options(arguments: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """The options, checked, and the keys of the recipe."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,  # --training.epochs belongs to the recipe
    )
    add = parser.add_argument
    add("--steps", type=int, default=200, help="timed steps of each model; with --train all that are left")
    add("--block", type=int, default=20, help="steps of a turn")
    add("--warm-up", type=int, default=5, help="steps of each model, first of all, that are not timed")
    add("--profile", type=int, default=20, help="steps of each model after these that tell the recurrence's share")
    add("--train", action="store_true", help="complete the recipe's epochs, and score both models on the test text")
    add("--seeds", type=int, nargs="+", help="train anew with each (the recipe's own)")
    add("--threads", type=int, default=1, help="threads of torch")
    add("--json", type=Path, help="write all figures here")
    add("--markdown", type=Path, help="write what is printed here as well")
    options, keys = parser.parse_known_args(arguments)
    for name in ("steps", "block", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} is {getattr(options, name)}; expected 1 or more")
    for name in ("warm_up", "profile"):
        if getattr(options, name) < 0:
            parser.error(f"--{name.replace('_', '-')} is {getattr(options, name)}; expected 0 or more")
    return options, keys


def configuration(keys: Sequence[str]) -> SegmenterConfig:
    """The recipe with these keys put in; texts that are not named are those of the folder cws-pku.

    Raises:
        ConfigError: a key is wrong, a text is missing, or the environment names a backend for both models.
    """
    if environ.get(ENVIRONMENT):
        raise ConfigError(f"{ENVIRONMENT} names one backend for all layers; unset it to compare two")
    config: SegmenterConfig = configure("segment", keys)[1]
    if config.method not in methods.NETWORK_METHODS:
        raise ConfigError(f"--method is {config.method!r}; expected one with a network: blstm or blstm-crf")
    found: dict[str, Any] = {}
    for role, name in FILES.items():
        if getattr(config.data, role) is None:
            path = Path(environ.get("SEQLOOM_DATA", "")) / "cws-pku" / name
            if "SEQLOOM_DATA" not in environ or not path.is_file():
                where = f"{path} does not exist" if "SEQLOOM_DATA" in environ else "SEQLOOM_DATA is not set"
                raise ConfigError(
                    f"there is no {role} text: {where}; let SEQLOOM_DATA name the folder that holds cws-pku/{name}, or "
                    f"give --data.{role} FILE"
                )
            found[role] = str(path)
    return replace(config, data=replace(config.data, **found))


def build(config: SegmenterConfig, data: Splits[list[str]], backend: str) -> Contestant:
    """A model at the start of its training, as the training loop begins it."""
    segmenter, task = network_task(SegmenterSystem(), config, data, {})
    layers = [part for part in task.module.modules() if isinstance(part, seqloom.Recurrent)]
    for layer in layers:
        layer.backend = None if backend == "auto" else backend
    choice = seqloom.explain(layers[0]).choices[0]
    seed_everything(config.training.seed)
    task.module.train()
    steps = Updates(
        task, config.training, build_optimiser(task.module, config.training), Processes(config.training), RunState()
    )
    return Contestant(choice.backend, choice.reason, segmenter, task, steps, capture_random_state(CPU))


def schedule(sizes: Sequence[int], options: argparse.Namespace) -> Iterator[tuple[str, int, bool]]:
    """Kind and steps of each block, and whether an epoch ends with it; no block reaches into the next epoch.

    Args:
        sizes: batches of each epoch.
    """
    position, ends = 0, list(accumulate(sizes))
    timed = ends[-1] if options.train else options.steps
    for kind, wanted in (("warm-up", options.warm_up), ("profiled", options.profile), ("timed", timed)):
        size = options.block if kind == "timed" else wanted
        while wanted and position < ends[-1]:
            end = next(end for end in ends if end > position)
            steps = min(size, wanted, end - position)
            position, wanted = position + steps, wanted - steps
            yield kind, steps, position == end


def race(pair: Sequence[Contestant], options: argparse.Namespace, seed: int) -> list[dict[str, Any]]:
    """Both models through all blocks, by turns."""
    task, config = pair[0].task, pair[0].steps.config
    sizes = [len(task.plan(epoch)) for epoch in range(config.epochs)]
    blocks: list[dict[str, Any]] = []
    for number, (kind, steps, at_end) in enumerate(schedule(sizes, options)):
        block: dict[str, Any] = {"seed": seed, "kind": kind, "steps": steps}
        for contestant in pair if number % 2 else pair[::-1]:
            if kind == "profiled":
                with Stopwatch(contestant.task.module) as watch:
                    block[contestant.backend] = contestant.block(steps)
                block[contestant.backend]["recurrent_seconds"] = watch.seconds
            else:
                block[contestant.backend] = contestant.block(steps)
        block["step"] = pair[0].steps.state.step
        blocks.append(block)
        losses = ", ".join(f"{one.backend} {block[one.backend]['loss']:.3f}" for one in pair)
        print(f"seed {seed}, step {block['step']} of {sum(sizes)}: loss {losses}", file=sys.stderr)
        if options.train and at_end:
            for contestant in pair:
                contestant.judge()
    return blocks


def score_pair(pair: Sequence[Contestant], data: Splits[list[str]], seed: int) -> dict[str, Any]:
    """Scores of both models' best weights on the test text, and how sure the difference is."""
    raw = ["".join(words) for words in data.test]
    fold = fold_width if pair[0].segmenter.fold else str
    gold = [[fold(word) for word in words] for words in data.test]
    scores: list[SegmentationScore] = []
    for contestant in pair:
        contestant.task.module.load_state_dict(contestant.best)
        found = [[fold(word) for word in found.words] for found in contestant.segmenter.predict(raw)]
        scores.append(score_segmentation(gold, found, set(contestant.segmenter.words.base)))
    sure = paired_bootstrap("f1", scores[0].f1_ratios, scores[1].f1_ratios, samples=SAMPLES, seed=seed)
    between = {name: getattr(sure, name) for name in ("difference", "low", "high", "p_value")}
    by_backend = {one.backend: {"dev": one.dev, **score.to_dict()} for one, score in zip(pair, scores, strict=True)}
    return {"seed": seed, **by_backend, "first_against_second": between}


def measure(options: argparse.Namespace, keys: Sequence[str]) -> dict[str, Any]:
    """All figures, and everything that they depend on."""
    config = configuration(keys)
    data = SegmenterSystem().splits(config, {})
    seeds = options.seeds or [config.training.seed]
    blocks: list[dict[str, Any]] = []
    scores = []
    for seed in seeds:
        seeded = replace(config, training=replace(config.training, seed=seed, threads=options.threads))
        pair = [build(seeded, data, backend) for backend in ("auto", "vendor")]
        if pair[0].backend == pair[1].backend:
            raise ConfigError(f"both models run on {pair[0].backend!r} ({pair[0].reason}); there is nothing to compare")
        blocks += race(pair, options, seed)
        if options.train:
            scores.append(score_pair(pair, data, seed))
    names = [contestant.backend for contestant in pair]
    return {
        "command": shown_command(),
        "date": date.today().isoformat(),
        "machine": describe_machine(),
        "versions": installed_versions(("seqloom", "torch", "numpy")),
        "threads": options.threads,
        "seeds": seeds,
        "epochs": config.training.epochs,
        "steps_per_epoch": len(pair[0].task.plan(0)),
        "training_lines": len(data.train),
        "test_lines": len(data.test),
        "data": {role: {**made, "file": without_folder(made["file"])} for role, made in data.sources.items()},
        "backends": names,
        "reasons": [contestant.reason for contestant in pair],
        **summarise(blocks, names),
        "blocks": blocks,
        "scores": scores,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    options, keys = parse_options(arguments)
    torch.set_num_threads(options.threads)
    return publish(options, lambda: measure(options, keys), to_markdown)


if __name__ == "__main__":
    sys.exit(main())
