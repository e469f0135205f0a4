"""Classifiers held against the figures of their field: a recipe, a data set, some seeds, the mean and the spread.

    SEQLOOM_DATA=FOLDER python benchmarks/classifiers.py NAME ... [--seeds 1,2,3] [--out FOLDER] [--list] [--set KEY=VALUE ...]

Each run is one that ``seqloom train`` makes; the row says with which command. Figures are those of the test data.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from os import environ
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from machine import markdown_table

import seqloom


@dataclass(frozen=True)
class Run:
    """One line of the table: several trainings where there are several test sets, whose mean counts.

    Attributes:
        recipe: of the system.
        data: the section ``data``; paths are under SEQLOOM_DATA.
        sections: other keys of the recipe.
        parts: changes of the section ``data``, of which each is a training of its own.
        generated: gives the data where they are generated, of a seed.
        metric: what is reported.
    """

    recipe: str
    data: dict[str, Any] = field(default_factory=dict)
    sections: dict[str, Any] = field(default_factory=dict)
    parts: tuple[dict[str, Any], ...] = ({},)
    generated: Callable[[int], dict[str, Any]] | None = None
    metric: str = "accuracy"


_TURNED = {"augmentation": {"rotation": 15.0}}
_SIX = {"triples": ("ax ay az", "gx gy gz"), **_TURNED}
_NUMBERED = {"triples": ("0 1 2", "3 4 5"), **_TURNED}
_AS = {
    "AS1": (2, 3, 5, 6, 10, 13, 18, 20),
    "AS2": (1, 4, 7, 8, 9, 11, 12, 14),
    "AS3": (6, 14, 15, 16, 17, 18, 19, 20),
}
_SUBSETS = tuple({"labels": [str(label) for label in labels]} for labels in _AS.values())
_CROSS = {"train_groups": ["1", "3", "5", "7", "9"], "test_groups": ["2", "4", "6", "8", "10"], "skeleton": "auto"}


def _gestures(seed: int) -> dict[str, Any]:
    from seqloom.synthetic.air_gestures import air_gestures

    return {"train": air_gestures(seed=seed)}


def _folk(seed: int) -> dict[str, Any]:
    from seqloom.synthetic.stick_folk import stick_folk

    return {"train": stick_folk(seed=seed)}


def _bags(seed: int) -> dict[str, Any]:
    from seqloom.synthetic.concepts import concept_bags

    counts = {"train": 4000, "dev": 500, "test": 1000}
    return {part: concept_bags(count, noise=0.12, seed=10 * seed + n) for n, (part, count) in enumerate(counts.items())}


def _skeletons(parts: tuple[dict[str, Any], ...], **model: Any) -> Run:
    data = {"train": "msr_action3d/msr_action3d.npz", **_CROSS}
    return Run("du2015-hbrnn", data, {"model": model} if model else {}, parts)


RUNS: dict[str, Run] = {
    "japanese-vowels": Run("lefebvre2013", {"train": "japanese_vowels/japanese_vowels.npz"}),
    "basic-motions": Run("lefebvre2013", {"train": "basic_motions/basic_motions.npz"}, {"features": _NUMBERED}),
    "racket-sports": Run("lefebvre2013", {"train": "racket_sports/racket_sports.npz"}, {"features": _NUMBERED}),
    "ering": Run("lefebvre2013", {"train": "ering/ering.npz"}),
    "pendigits": Run("series", {"train": "pendigits/pendigits.npz"}),
    "air-gestures": Run("lefebvre2013", {"folds": 4}, {"features": _SIX}, generated=_gestures),
    "digits": Run("pen-character", {"train": "unipen_chars/digits.npz"}),
    "upper": Run("pen-character", {"train": "unipen_chars/upper.npz"}),
    "lower": Run("pen-character", {"train": "unipen_chars/lower.npz"}),
    "hbrnn": _skeletons(_SUBSETS),
    "hurnn": _skeletons(_SUBSETS, bidirectional=False),
    "dbrnn": _skeletons(_SUBSETS, architecture="stack"),
    "durnn": _skeletons(_SUBSETS, architecture="stack", bidirectional=False),
    "dbrnn-t": _skeletons(_SUBSETS, architecture="stack", level_cells=("rnn",) * 4),
    "durnn-t": _skeletons(_SUBSETS, architecture="stack", level_cells=("rnn",) * 4, bidirectional=False),
    "hbrnn-20": _skeletons(({},)),
    "stick-folk": Run("du2015-hbrnn", {"folds": 5}, generated=_folk),
    "mnist-rows": Run("image-rows", {"train": "mnist/mnist.npz"}),
    "permuted-pixels": Run("permuted-pixels", {"train": "mnist/mnist.npz"}),
    "concept-bags": Run("miech2017-pooling", generated=_bags, metric="gap20"),
    "agnews": Run("document", {"train": "cls-agnews/train_20k_subset.csv.xz", "test": "cls-agnews/test.csv.xz"}),
    "imdb": Run(
        "document",
        {"train": "cls-imdb/train.tsv.xz", "test": "cls-imdb/test.tsv.xz", "text": "3", "label": "0", "held_out": 0.05},
        {
            "model": {"word_dropout": 0.3, "minimum_count": 5, "label_smoothing": 0.1},
            "training": {"epochs": 4},
        },
    ),
    "mr": Run(
        "document",
        {"train": "cls-mr/rt-polarity", "encoding": "latin-1", "folds": 10},
        parts=tuple({"fold": fold} for fold in range(10)),
    ),
    "zh-reviews": Run(
        "document",
        {f: f"cls-zh-reviews/{f}.tsv.xz" for f in ("train", "dev", "test")},
    ),
}
"""By name."""

_FILES = ("train", "dev", "test")


def train_run(run: Run, seed: int, changes: dict[str, Any], out: Path | None) -> tuple[float, dict[str, float], float]:
    """The metric, those of the baselines, and the seconds, of one seed: means over the parts."""
    values, others, begun = [], [], time.perf_counter()
    for number, part in enumerate(run.parts):
        data = {key: _placed(value) if key in _FILES else value for key, value in {**run.data, **part}.items()}
        if run.generated is not None:
            data |= run.generated(seed)
        sections = _merged(_merged(run.sections, {"training": {"seed": seed, "tensorboard": False}}), changes)
        data |= sections.pop("data", {})
        with TemporaryDirectory() as folder:
            place = Path(folder) / "run" if out is None else out / f"{number}-{seed}"
            seqloom.train(run.recipe, data=data, out=place, **sections)
            report = json.loads((place / "evaluation.json").read_text(encoding="utf-8"))
        values.append(report["metrics"][run.metric])
        others.append({row["method"]: row.get(run.metric) for row in report["baselines"][1:]})
    baselines = {name: statistics.mean(row[name] or 0.0 for row in others) for name in others[0]}
    return statistics.mean(values), baselines, time.perf_counter() - begun


def _placed(path: str) -> str:
    return str(Path(environ["SEQLOOM_DATA"]) / path)


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    merged = dict(first)
    for key, value in second.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def main() -> None:
    """Runs what is named, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--folds", type=int, default=0, help="score parts of the training data alone, for the choice of settings"
    )
    parser.add_argument("--list", action="store_true", help="print the names")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="such as model.hidden_size=32")
    options = parser.parse_args()
    if options.list or not options.names:
        print("\n".join(RUNS))
        return
    changes: dict[str, Any] = {}
    for text in options.set:
        key, _, value = text.partition("=")
        changes = _merged(changes, _nested(key.split("."), value))
    rows = []
    for name in options.names:
        run, found, baselines, seconds = RUNS[name], [], {}, []
        if options.folds:
            data = {"train": f"{run.data['train']}:train", "folds": options.folds}
            run = replace(run, data=data, parts=tuple({"fold": fold} for fold in range(options.folds)))
        for seed in map(int, options.seeds.split(",")):
            value, others, took = train_run(run, seed, changes, options.out and options.out / name)
            found.append(100 * value)
            seconds.append(took)
            baselines = others
            print(f"{name} seed {seed}: {100 * value:.2f} {others} in {took:.0f} s", file=sys.stderr, flush=True)
        spread = f" +- {statistics.stdev(found):.2f}" if len(found) > 1 else ""
        beside = ", ".join(f"{method} {100 * value:.2f}" for method, value in baselines.items())
        rows.append(
            {
                "data": name,
                "recipe": run.recipe,
                "test": f"{statistics.mean(found):.2f}{spread}",
                "beside": beside,
                "seconds a seed": f"{statistics.median(seconds):.0f}",
            }
        )
    print(f"seeds {options.seeds}; {date.today()}; {' '.join(options.set)}\n")
    print(markdown_table(rows, left=("data", "recipe", "beside")))


def _nested(keys: list[str], value: Any) -> dict[str, Any]:
    return {keys[0]: value if len(keys) == 1 else _nested(keys[1:], value)}


if __name__ == "__main__":
    main()
