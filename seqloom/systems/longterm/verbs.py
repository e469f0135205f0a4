"""The verbs of the system: train on a generated task, evaluate on fresh sequences of it, answer sequences of one's own."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch

from seqloom.data.files import write_atomic
from seqloom.errors import ConfigError, DataError
from seqloom.learning.diagnosis import DiagnosticBatch
from seqloom.synthetic.tasks import SequenceTask, make_task, parse_task, settings
from seqloom.systems.card import about_training
from seqloom.systems.family import Evaluation, known_numbers, load
from seqloom.systems.longterm.config import LongtermConfig
from seqloom.systems.longterm.model import LongtermModel
from seqloom.systems.longterm.training import LongtermTask
from seqloom.training.launch import first_process

__all__ = ["PredictOptions", "diagnostic_batch", "evaluate", "predict", "train"]

_TEST_SEQUENCES = 10_000


def train(config: LongtermConfig, run: Path, *, resume: bool, command: str) -> LongtermModel:
    """Trains a network on a task and scores it on held-out sequences; leaves ``run/model`` and ``run/evaluation.json``."""
    from seqloom.training.loop import train as fit

    data = config.data
    task = make_task(data.task, data.length, data.options)
    if getattr(task, "source", "") == "digits" and first_process():
        print(f"{task.name}: the images are scikit-learn's digits, 8 x 8; SEQLOOM_DATA names no MNIST", file=sys.stderr)
    torch.manual_seed(config.training.seed)
    model = LongtermModel(config.model, task)
    model.about = about_training(command, config.training.seed, {"task": {"name": task.name, **settings(task)}})
    learned = LongtermTask(model, config.training, data.updates_per_epoch, data.dev_sequences)
    described = asdict(config)
    # The task as it was resolved: images may have another source on another machine.
    identity = {"data": described["data"], "model": described["model"], "task": model.about["data"]["task"]}
    fit(learned, config.training, run, resume=resume, identity=identity)
    if not first_process():
        return model
    best: LongtermModel = load(run / "model")
    evaluation = _scored(best, best.score("test", data.test_sequences))
    best.about = {**best.about, "scores": known_numbers(evaluation.metrics)}
    best.save(run / "model")
    report = {
        "system": "longterm",
        "method": f"{config.model.cell} on {task.name}",
        "data": best.about["data"],
        "seed": config.training.seed,
        "versions": best.about["versions"],
        **evaluation.to_dict(),
    }
    write_atomic(run / "evaluation.json", json.dumps(report, ensure_ascii=False, indent=1))
    return best


def _scored(model: LongtermModel, metrics: dict[str, float]) -> Evaluation:
    task = model.task
    beside = {"chance_loss": task.chance, "chance_wrong": task.chance_wrong}
    solved = {"criterion": str(task.criterion), "solved": task.criterion.met(metrics)}
    return Evaluation({**metrics, **beside}, {"details": solved})


def evaluate(model: LongtermModel, path: str) -> Evaluation:
    """Scores a model on 10,000 held-out sequences.

    Args:
        path: the task's name, with options where they differ from the model's: ``adding``, ``adding:length=400``.
    Raises:
        ConfigError: it is another task than the model's.
    """
    return _scored(model, model.score("test", _TEST_SEQUENCES, _variant(model, path)))


def diagnostic_batch(model: LongtermModel, path: str, limit: int) -> DiagnosticBatch:
    """The training loss on the first held-out sequences of the model's task, named as for :func:`evaluate`."""
    task = _variant(model, path)
    batch = next(task.held_out("test", limit))
    loss = lambda: task.loss(model.network(batch.inputs, batch.lengths), batch)  # noqa: E731
    return DiagnosticBatch(model.network, loss, len(batch.lengths))


def _variant(model: LongtermModel, path: str) -> SequenceTask:
    """The model's task, perhaps of another length, as ``NAME[:KEY=VALUE]`` says."""
    name, _, options = path.partition(":")
    if name != model.task.name:
        raise ConfigError(
            f"{path!r}: the model answers {model.task.name!r}; evaluate it on {model.task.name}[:KEY=VALUE]"
        )
    own = settings(model.task)
    given = settings(parse_task(path)) if options else {}
    changed = {key.partition("=")[0].strip() for key in options.split(",")} & set(own)
    task = make_task(name, options={**own, **{key: given[key] for key in changed}})
    if (task.input_size, task.output_size, task.answer) != (
        model.task.input_size,
        model.task.output_size,
        model.task.answer,
    ):
        raise ConfigError(f"{path!r} has other inputs or answers than the task that the model was trained on")
    return task


@dataclass(frozen=True)
class PredictOptions:
    """How answers are written."""

    format: Annotated[Literal["plain", "json"], "the answer alone, or JSON lines with the scores of all classes"] = (
        "plain"
    )
    nbest: Annotated[int, "always 1: a task has one answer"] = 1


def predict(model: LongtermModel, lines: Iterable[str], options: PredictOptions) -> Iterator[str]:
    """One answer for each line, which holds a sequence as JSON: a list of steps, each a list of D numbers.

    A sequence answered at every step has its answers side by side.
    """
    if options.nbest != 1:
        raise ConfigError(f"--nbest: {options.nbest}; a task has one answer, expected 1")
    for number, line in enumerate(lines, start=1):
        inputs = _sequence(line, number, model.task.input_size)
        outputs = model.answer(inputs, torch.tensor([inputs.shape[1]]))[0]
        answer: Any = outputs.tolist() if model.task.kind == "real" else outputs.argmax(-1).tolist()
        if options.format == "json":
            scores = {} if model.task.kind == "real" else {"probabilities": outputs.softmax(-1).tolist()}
            yield json.dumps({"answer": answer, **scores})
        else:
            yield " ".join(map(_plain, answer if isinstance(answer, list) else [answer]))


def _plain(value: float | int) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _sequence(line: str, number: int, size: int) -> torch.Tensor:
    """(1, T, D) of one line."""
    expected = f"expected a JSON list of steps, each a list of {size} numbers"
    try:
        values = torch.tensor(json.loads(line), dtype=torch.float32)
    except (ValueError, TypeError) as error:
        raise DataError(f"input:{number}: not a sequence ({error}); {expected}") from None
    if values.dim() != 2 or values.shape[1] != size or not len(values):
        raise DataError(f"input:{number}: numbers of the shape {tuple(values.shape)}; {expected}")
    return values.unsqueeze(0)
