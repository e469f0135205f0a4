"""``seqloom train``: from a recipe and data to a run directory with a model, its scores and its report."""

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from seqloom.app.command import parse
from seqloom.app.configuration import configure, to_commented_yaml
from seqloom.training.launch import first_process

SUMMARY = "train a recipe on data; RUN/model is the model, RUN/report.html says how good it is"


@dataclass(frozen=True)
class TrainOptions:
    """What ``train`` takes beside the keys of the recipe."""

    recipe: Annotated[str, "a recipe's name (seqloom recipes lists them) or a YAML file"]
    out: Annotated[Path, "the run directory: new, or the one to resume"]
    resume: Annotated[bool, "continue an interrupted run to the same numbers"] = False
    seed: Annotated[int | None, "short for --training.seed"] = None
    limit: Annotated[int | None, "short for --data.limit: only the first lines of every file, for a dry run"] = None
    overfit: Annotated[int | None, "short for --data.overfit: learn that many lines by heart, as a check"] = None
    print_config: Annotated[
        bool, "print the whole configuration, which is a recipe itself, and stop; needs no --out"
    ] = False


_SHORT = {"seed": "training.seed", "limit": "data.limit", "overfit": "data.overfit"}
_OWN = {"--out": 2, "--resume": 1, "--print_config": 1, "--seed": 2, "--limit": 2, "--overfit": 2}


def run(argv: list[str]) -> int:
    """Trains; returns 0, or raises SystemExit(130) when interrupted with everything saved."""
    own, keys = _split(argv)
    if "--help" in keys and not own:
        own = ["--help"]
    if any(not argument.startswith("--") for argument in own[:1]) and "--help" in keys:
        configure(own[0], ["--help"])
    if "--resume" in own and own[0].startswith("--"):
        # A run knows its own recipe.
        own.insert(0, str(Path(own[own.index("--out") + 1]) / "config.yaml") if "--out" in own else "")
    if "--print_config" in own and "--out" not in own:
        own += ["--out", "."]
    options = parse(TrainOptions, own, verb="train", summary=SUMMARY, positional=("recipe",))
    for short, key in _SHORT.items():
        value = getattr(options, short)
        if value is not None:
            keys += [f"--{key}", str(value)]
    system, config = configure(options.recipe, keys)
    if options.print_config:
        print(to_commented_yaml(config), end="")
        return 0
    from seqloom.systems.train import train_run

    command = shlex.join(["seqloom", "train", *(argument for argument in argv if argument != "--resume")])
    train_run(system, config, options.out, resume=options.resume, command=command)
    if first_process():
        _finish(options.out)
    return 0


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """The arguments of the verb itself, and those that are keys of the recipe."""
    own: list[str] = []
    keys: list[str] = []
    position = 0
    while position < len(argv):
        argument = argv[position]
        name = argument.split("=", 1)[0]
        if name in _OWN:
            width = 1 if "=" in argument else _OWN[name]
            own += argv[position : position + width]
        elif argument.startswith("--"):
            follows = position + 1 < len(argv) and not argv[position + 1].startswith("--")
            width = 2 if "=" not in argument and follows else 1
            keys += argv[position : position + width]
        else:
            width = 1
            own.insert(0, argument)
        position += width
    return own, keys


def _finish(run_directory: Path) -> None:
    from seqloom.app.report import write_report
    from seqloom.app.tables import print_scores
    from seqloom.systems.train import EVALUATION

    report = write_report(run_directory)
    evaluation: dict[str, Any] = json.loads((run_directory / EVALUATION).read_text(encoding="utf-8"))
    print_scores(evaluation)
    print(
        f"model   {run_directory / 'model'}\nreport  {report}\nuse it  seqloom predict {run_directory / 'model'} FILE",
        file=sys.stdout,
    )
