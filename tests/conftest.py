"""A small artificial language: words of invented syllables with typical openings and endings, no third-party text."""

import importlib.util
import multiprocessing
import random
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

collect_ignore = ["app/pulse_kind.py", "systems/csv_classifier.py"]
"""Files that tests import as a person's own; who looks for doctests must not import them before."""

OPENINGS = "甲乙丙丁戊己庚辛"
MIDDLES = "子丑寅卯辰巳"
ENDINGS = "金木水火土日月"
SINGLES = "的了在和"
PRELOADED = [
    "lightning_fabric",
    "seqloom.app.main",
    "seqloom.training.loop",
    "seqloom.systems.tagger.segmentation.system",
]
"""By the process of which commands are forked."""


def _lines(count: int, seed: int) -> list[list[str]]:
    chance = random.Random(seed)
    lines = []
    for _ in range(count):
        words = []
        for _ in range(chance.randint(2, 9)):
            if chance.random() < 0.3:
                words.append(chance.choice(SINGLES))
            else:
                middle = "".join(chance.choice(MIDDLES) for _ in range(chance.randint(0, 2)))
                words.append(chance.choice(OPENINGS) + middle + chance.choice(ENDINGS))
        lines.append([*words, "。"])
    return lines


@pytest.fixture(scope="session")
def segmented_lines() -> list[list[str]]:
    return _lines(300, seed=1)


@pytest.fixture(scope="session")
def segmented_file(tmp_path_factory, segmented_lines):
    path = tmp_path_factory.mktemp("text") / "train.txt"
    path.write_text("".join(" ".join(words) + "\n" for words in segmented_lines), encoding="utf-8")
    return path


_COMMAND = """
import os, sys
from seqloom.app.main import main
with open(said, "wb") as file:
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
sys.exit(main(arguments))
"""


@pytest.fixture(scope="session")
def start_seqloom() -> Callable[[Sequence[str], Path], BaseProcess]:
    """Starts the command line in a process of its own, what it says goes to a file.

    The process is forked from one that has imported everything, since starting Python and torch anew costs seconds.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system has no processes that fork")
    context = multiprocessing.get_context("forkserver")
    assert all(map(importlib.util.find_spec, PRELOADED)), "the server would go on without a word"
    context.set_forkserver_preload(PRELOADED)

    def start(arguments: Sequence[str], said: Path) -> BaseProcess:
        process = context.Process(target=exec, args=(_COMMAND, {"arguments": list(arguments), "said": str(said)}))
        process.start()
        return process

    return start
