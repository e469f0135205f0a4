"""The one training of a system: preflight, read, split, seed, build, fit, reload the best, score, baselines, report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from seqloom.configuration import Recipe, read_recipe, to_yaml
from seqloom.data.files import write_atomic
from seqloom.errors import ConfigError, PlaceError, SeqloomError, machine_problem
from seqloom.systems.baseline import check_baselines, fit_baseline
from seqloom.systems.evaluation import null_for_nan
from seqloom.systems.reading import SPLIT_NAMES
from seqloom.systems.registry import Registered, system
from seqloom.systems.saved import SavedModel, about_training
from seqloom.training.launch import first_process

if TYPE_CHECKING:
    from seqloom.systems.contract import Splits, System

__all__ = ["EVALUATION", "fit", "network_task", "train", "train_run", "train_system"]

EVALUATION = "evaluation.json"
"""The file of a run's scores."""

# A checkpoint holds the weights and at most two numbers of the optimiser for each; the last one, the best one, the one that
# is being written, and the model lie beside each other.
_NUMBERS_PER_WEIGHT = 10
_SPACE = 16 * 2**20


def train_system(
    system: System[Any, Any, Any],
    config: Any,
    run: Path,
    *,
    resume: bool = False,
    command: str = "",
    objects: Mapping[str, Any] | None = None,
) -> SavedModel:
    """Trains a system by a configuration and scores it, with its baselines, on the test data.

    Leaves ``run/model`` and ``run/evaluation.json``.

    Args:
        run: the run directory: new, or the one to resume.
        command: what a person typed, which the model keeps.
        objects: examples in memory, in the place of the files of ``train``, ``dev`` and ``test``.
    Raises:
        ConfigError: the configuration does not fit the data, or something that the training will need is missing.
        DataError: a file is wrong.
    """
    known = dict(system.baselines())
    baselines, method = tuple(getattr(config, "baselines", ())), getattr(config, "method", "")
    check_baselines([*([method] if method in known else []), *baselines], known)
    splits = system.splits(config, objects or {})
    about = about_training(command, config.training.seed, splits.sources)
    if method in known:
        model = fit_baseline(method, known[method], config, splits, system.examples_name)
        model.about = about
    else:
        model = fit(system, config, splits, run, about, resume=resume)
    if not first_process():
        return model
    evaluation = system.score(model, splits.test)
    rows = [{"method": system.title(config), **evaluation.compared()}]
    for name in baselines:
        fitted = fit_baseline(name, known[name], config, splits, system.examples_name)
        rows.append({"method": name, **system.score(fitted, splits.test).compared()})
    model.about = {**model.about, "scores": null_for_nan(evaluation.values())}
    model.save(run / "model")
    shown = replace(evaluation, panels=[*evaluation.panels, *system.training_panels(config, model)])
    report = {
        "system": system.name,
        "method": system.title(config),
        "data": about["data"],
        "seed": config.training.seed,
        "versions": about["versions"],
        **shown.to_dict(),
        "baselines": rows,
    }
    write_atomic(run / EVALUATION, json.dumps(report, ensure_ascii=False, indent=1))
    return model


def train(
    recipe: str | Path | Mapping[str, Any],
    *,
    data: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    **sections: Any,
) -> Any:
    """Trains a recipe from Python; returns the model that ``seqloom train`` would have written.

    Args:
        recipe: the name of a shipped recipe, a YAML file, or the values of one.
        data: the ``data`` section; ``train``, ``dev`` and ``test`` may also be examples in memory.
        out: the run directory: new, or the one to resume. Without one, nothing but the model is kept, in memory.
        sections: the other keys of the recipe, such as ``model={"hidden_size": 64}`` or ``method="hmm"``.
    Raises:
        ConfigError: a key is unknown or a value is of the wrong type, or something that the training will need is missing.
        DataError: data are wrong; names file and line.

    >>> words = [["我", "是", "中国人"], ["他", "在", "中国"]] * 4
    >>> model = train("segment", method="bigram", baselines=(), data={"train": words, "dev": words, "test": words})
    >>> print(model.predict(["他是中国人"])[0])
    他 是 中国人
    """
    given = dict(data or {})
    objects = {split: given.pop(split) for split in SPLIT_NAMES if not isinstance(given.get(split), str | Path | None)}
    paths = {key: str(value) if isinstance(value, Path) else value for key, value in given.items()}
    read = Recipe("recipe", recipe, {}) if isinstance(recipe, Mapping) else read_recipe(str(recipe))
    registered = system(read.system, f"{read.place('system')}: system")
    changed = read.merged({**sections, "system": registered.name, "data": paths})
    config: Any = changed.build(registered.config_class())
    named = repr(recipe if isinstance(recipe, str) else str(recipe) if isinstance(recipe, Path) else "...")
    command = ", ".join(
        [named, *([f"data={data!r}"] if data and not objects else []), *(f"{k}={v!r}" for k, v in sections.items())]
    )
    with nullcontext(out) if out is not None else TemporaryDirectory(prefix="seqloom-") as run:
        return train_run(
            registered, config, Path(run), resume=resume, command=f"seqloom.train({command})", objects=objects
        )


def train_run(
    registered: Registered,
    config: Any,
    run: Path,
    *,
    resume: bool = False,
    command: str = "",
    objects: Mapping[str, Any] | None = None,
) -> SavedModel:
    """Trains in a run directory, which keeps the configuration too; as `train_system` otherwise.

    Raises:
        ConfigError: the directory holds a run already and is not to be resumed; beside those of `train_system`.
    """
    stored, first = run / "config.yaml", first_process()
    if first and stored.exists() and not resume:
        raise ConfigError(f"{run} holds a run already; continue it with --resume, or choose another --out")
    try:
        check_run_directory(run, _SPACE)
        if first and not resume:
            write_atomic(stored, to_yaml(config))
        with _resumable(run):
            return train_system(registered.create(), config, run, resume=resume, command=command, objects=objects)
    except SeqloomError:
        if first:
            _forget_unbegun(run)
        raise


@contextmanager
def _resumable(run: Path) -> Iterator[None]:
    """Within it, a write that fails is one sentence, which says how to go on."""
    try:
        yield
    except Exception as error:
        begun = (run / "checkpoints").is_dir()
        told = isinstance(error, SeqloomError)
        problem = machine_problem(error.__cause__ or error) if told else machine_problem(error)
        if problem is None or (told and not begun):
            raise
        remedy = "give the same command with --resume to continue" if begun else "then give the same command again"
        raise PlaceError(f"{run}: the training had to stop: {problem}; mend that, and {remedy}") from error


def _forget_unbegun(run: Path) -> None:
    """Takes back the configuration of a run that a mistake stopped before it began, so that the next try can have the place."""
    if run.is_dir() and not any((run / name).exists() for name in ("checkpoints", "metrics.jsonl", "model")):
        (run / "config.yaml").unlink(missing_ok=True)
        if not any(run.iterdir()):
            run.rmdir()


def network_task(
    system: System[Any, Any, Any], config: Any, splits: Splits[Any], about: Mapping[str, Any]
) -> tuple[Any, Any]:
    """A model at the start of its training, and that training as a task; the seed is the configuration's.

    Args:
        about: how the model is made, which it keeps.
    """
    import torch

    from seqloom.systems.supervised import SupervisedTask

    torch.manual_seed(config.training.seed)
    model, corpus = system.build(config, splits)
    model.about = {**about, **model.about}

    def validation_scores() -> dict[str, float]:
        return system.validation_scores(model, splits.dev)

    return model, SupervisedTask(model.network, corpus, config.training, validation_scores, model.fill)


def fit(
    system: System[Any, Any, Any],
    config: Any,
    splits: Splits[Any],
    run: Path,
    about: Mapping[str, Any],
    *,
    resume: bool,
) -> SavedModel:
    """Trains a network and returns the model of its best weights; in other processes than the first, that of the last."""
    from seqloom.training.loop import train as run_loop

    model, task = network_task(system, config, splits, about)
    numbers = sum(parameter.numel() for parameter in model.network.parameters())
    check_run_directory(run, 4 * numbers * _NUMBERS_PER_WEIGHT)
    identity = system.identity(config, splits)
    run_loop(task, system.settings(config, splits), run, resume=resume, identity=identity)
    if not first_process():
        fitted: SavedModel = model
        return fitted
    best: SavedModel = system.load(run / "model")
    return best


def check_run_directory(run: Path, needed: int) -> None:
    """Makes the run directory and looks whether it can be written and has space, before hours of work end there.

    Args:
        needed: bytes that the run will need.
    Raises:
        ConfigError: it cannot be written, or the disk is too full; names the place.
    """
    if not first_process():
        return
    try:
        run.mkdir(parents=True, exist_ok=True)
        probe = run / ".probe"
        probe.write_bytes(b"")
        probe.unlink()
        free = shutil.disk_usage(run).free
    except OSError as error:
        raise ConfigError(f"{run} cannot be written ({error.strerror}); choose another place for the run") from None
    if free < needed:
        raise ConfigError(
            f"{run}: the disk has {free / 2**20:,.0f} MiB free, and the run needs {needed / 2**20:,.0f} MiB; "
            "make room or choose another place"
        )
