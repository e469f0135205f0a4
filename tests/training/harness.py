"""A toy task, and a process that trains it while being killed, interrupted or doubled.

Run as a script, it imports torch and Fabric once and forks a child per attempt, since starting either anew costs seconds.
"""

import argparse
import dataclasses
import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from seqloom.layers.embedding import SparseEmbedding
from seqloom.training.checkpoint import read_checkpoint
from seqloom.training.config import TrainingConfig
from seqloom.training.loop import train

CONFIG = TrainingConfig(
    epochs=3,
    optimiser="adam",
    learning_rate=0.05,
    schedule="halve_on_plateau",
    plateau_patience=0.5,
    warmup_steps=4,
    clip_norm=1.0,
    evaluate_every=0.5,
    monitor="accuracy",
    mode="max",
    log_every=3,
    checkpoint_seconds=0.0,
    tensorboard=False,
    threads=1,
)


class ToyTask:
    """Which of two classes a bag of ids is of: an embedding with sparse gradients, dropout, a linear layer."""

    def __init__(self, *, dropout: float = 0.3, sentences: int = 26, batch: int = 4, step_seconds: float = 0.0) -> None:
        torch.manual_seed(11)
        table = SparseEmbedding(40, 6)
        self.module = nn.ModuleDict({"table": table, "drop": nn.Dropout(dropout), "out": nn.Linear(6, 2)})
        self.ids = torch.randint(1, 40, (sentences, 5))
        self.classes = (self.ids.sum(1) > 100).long()
        self.batch_size, self.step_seconds = batch, step_seconds

    def plan(self, epoch: int) -> list[Tensor]:
        order = torch.randperm(len(self.ids), generator=torch.Generator().manual_seed(epoch))
        return list(order.split(self.batch_size))

    def split(self, description: Tensor, rank: int, world: int) -> Tensor | None:
        share = description[rank::world]
        return share if len(share) else None

    def batch(self, description: Tensor) -> tuple[Tensor, Tensor]:
        time.sleep(self.step_seconds)
        # Draws from python's and numpy's generators would show if a resumption forgot them.
        ids = self.ids[description].clone()
        if self.module["drop"].p:
            ids[0, random.randrange(5)] = 0
        return ids, self.classes[description]

    def scores(self, ids: Tensor) -> Tensor:
        return self.module["out"](self.module["drop"](self.module["table"](ids).sum(1)))

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(self.scores(batch[0]), batch[1])

    def weight(self, batch: tuple[Tensor, Tensor]) -> float:
        return len(batch[0])

    def size(self, batch: tuple[Tensor, Tensor]) -> int:
        return batch[0].numel()

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        self.module.eval()
        random.random(), torch.rand(3)  # the loop must undo what an evaluation draws
        scores = self.scores(self.ids)
        accuracy = (scores.argmax(1) == self.classes).double().mean().item()
        return {"accuracy": accuracy, "likelihood": -nn.functional.cross_entropy(scores, self.classes).item()}

    def save_model(self, directory: Path) -> None:
        time.sleep(self.step_seconds)
        save_file({name: t.detach() for name, t in self.module.named_parameters()}, directory / "weights.safetensors")
        (directory / "card.md").write_text("a toy", encoding="utf-8")


def quiet_console() -> Any:
    from rich.console import Console

    return Console(file=open(os.devnull, "w"))


def in_child(work: Callable[[], None]) -> int:
    """The process id of a child that does the work and exits with its status."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def wait(child: int) -> int:
    """Exit status of a child, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def slow_writing(seconds: float) -> None:
    """Make every fsync slow, so that random kills also land inside the writing of a checkpoint or a model."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        time.sleep(seconds)
        real(descriptor)

    os.fsync = fsync


def killed(run: Path, kills: int) -> dict[str, Any]:
    """Train to the end although the process is killed at random moments; how it ended and what each kill left behind."""
    generator = random.Random(7)
    run.mkdir()  # as the application does, for its configuration
    leftovers, steps = [], []
    for attempt in range(kills + 1):
        if attempt == kills:
            child = in_child(lambda: train(ToyTask(), CONFIG, run, resume=True, console=quiet_console()))
            return {"status": wait(child), "leftovers": leftovers, "steps": steps}
        child = in_child(lambda new=attempt == 0: slow_training(run, resume=not new))
        time.sleep(generator.uniform(0.1, 0.45))
        os.kill(child, signal.SIGKILL)
        assert wait(child) == -signal.SIGKILL, "the run was over before the last kill"
        leftovers.append([p.name for p in run.rglob("*") if p.suffix == ".partial" or p.name.startswith(".model")])
        last = run / "checkpoints" / "last.safetensors"
        steps.append(read_checkpoint(last)[1]["state"]["step"] if last.exists() else None)
    raise AssertionError("unreachable")


def slow_training(run: Path, *, resume: bool) -> None:
    """A run most of whose time goes into writing checkpoints and models, so that kills land there too."""
    slow_writing(0.01)
    train(ToyTask(step_seconds=0.1), CONFIG, run, resume=resume, console=quiet_console())


def interrupted(run: Path, number: int) -> dict[str, Any]:
    """Send one signal while training; the status, and the status of a resumption."""
    child = in_child(lambda: train(ToyTask(step_seconds=0.02), CONFIG, run, console=quiet_console()))
    while not (run / "checkpoints" / "last.safetensors").exists():
        time.sleep(0.01)
    time.sleep(0.1)
    os.kill(child, number)
    status = wait(child)
    resumed = wait(in_child(lambda: train(ToyTask(), CONFIG, run, resume=True, console=quiet_console())))
    return {"status": status, "resumed": resumed}


def several(run: Path, world: int, *, step_seconds: float = 0.0, resume: bool = False) -> list[int]:
    """Train in several processes, started as torchrun starts them; their process ids."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def work(rank: int) -> None:
        os.environ.update(
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE=str(world),
            LOCAL_WORLD_SIZE=str(world),
            GROUP_RANK="0",
            MASTER_ADDR="127.0.0.1",
            MASTER_PORT=str(port),
            TORCHELASTIC_RUN_ID="test",
        )
        # 25 sentences in batches of 4: the last batch has one sentence, so that one share is empty.
        config = dataclasses.replace(CONFIG, epochs=2, log_every=1)
        task = ToyTask(dropout=0.0, sentences=25, step_seconds=step_seconds)
        train(task, config, run, resume=resume, console=quiet_console())

    return [in_child(lambda r=rank: work(r)) for rank in range(world)]


def several_resumed(run: Path, world: int) -> dict[str, Any]:
    """Send a signal to the last of several processes, and resume the run in as many."""
    children = several(run, world, step_seconds=0.05)
    while not (run / "checkpoints" / "last.safetensors").exists():
        time.sleep(0.01)
    time.sleep(0.1)
    os.kill(children[-1], signal.SIGINT)
    stopped = [wait(child) for child in children]
    return {"stopped": stopped, "statuses": [wait(child) for child in several(run, world, resume=True)]}


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    root = parser.parse_args().directory
    # In this process, so that everything is imported before the first fork.
    train(ToyTask(), CONFIG, root / "whole", console=quiet_console())
    report = {
        "killed": killed(root / "killed", kills=10),
        "sigint": interrupted(root / "sigint", signal.SIGINT),
        "sigterm": interrupted(root / "sigterm", signal.SIGTERM),
        "two": {"statuses": [wait(child) for child in several(root / "two", 2)]},
        "three": {"statuses": [wait(child) for child in several(root / "three", 3)]},
        "three resumed": several_resumed(root / "three resumed", 3),
    }
    print(json.dumps(report))
