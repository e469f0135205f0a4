"""The standard battery: what must hold for every system, whoever wrote it. A new system is tested by being registered."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import yaml

from seqloom.configuration import build, fields_of
from seqloom.data.source import Source
from seqloom.errors import SeqloomError
from seqloom.systems.contract import Sample, Streamable, System
from seqloom.systems.registry import system
from seqloom.systems.saved import SavedModel
from seqloom.systems.supervised import Corpus, evaluating
from seqloom.systems.train import EVALUATION, train_system

__all__ = ["CHECKS", "Subject", "SystemCheckError", "check_system"]

_WEIGHTS = "weights.safetensors"
_STEPS = 3
"""Of a training that dies."""


class SystemCheckError(AssertionError):
    """Something that must hold for every system does not hold for this one."""


def check_system(name: str | type[System[Any, Any, Any]]) -> None:
    """Puts a system through the standard battery; silence means that it passed.

    Every option has its line of help; a handful of examples is learned by heart; a saved model predicts and scores as the
    one that was trained; a training that was killed ends with the bits of one that was not; a prediction does not depend on
    the company it is in, nor a loss on the padding; a stream gives the same for every division; a baseline is fitted,
    scored and stored like the network; the scores are strict JSON; and what is wrong with a file or a model is one sentence.

    Args:
        name: a registered name, or a class.
    Raises:
        SystemCheckError: a check fails; names it.
    """
    own = system(name).create() if isinstance(name, str) else name()
    with TemporaryDirectory(prefix="seqloom-check-") as folder:
        subject = Subject(own, Path(folder))
        for check in CHECKS:
            check(subject)


@dataclass
class Subject:
    """A system under examination, its sample, and a place for its runs; the training is shared by the checks."""

    system: System[Any, Any, Any]
    folder: Path

    @cached_property
    def sample(self) -> Sample[Any]:
        """A handful of examples."""
        return self.system.sample()

    @cached_property
    def config(self) -> Any:
        """The configuration of the sample, whose training looks at the development data three times."""
        config: Any = build(self.system.config, {"system": self.system.name, **self.sample.sections})
        every = max(1, config.training.epochs // 3)
        return replace(config, training=replace(config.training, evaluate_every=every, tensorboard=False, log_every=1))

    @cached_property
    def objects(self) -> Mapping[str, Any]:
        """The sample as training, development and test data."""
        return dict.fromkeys(("train", "dev", "test"), self.sample.examples) if self.sample.examples else {}

    @cached_property
    def run(self) -> Path:
        """The run of an uninterrupted training."""
        place = self.folder / "run"
        train_system(self.system, self.config, place, objects=self.objects)
        return place

    @cached_property
    def model(self) -> SavedModel:
        """Its model, loaded."""
        loaded: SavedModel = self.system.load(self.run / "model")
        return loaded

    def fresh(self, config: Any) -> tuple[Any, Corpus]:
        """A model at the start of its training, and its examples."""
        torch.manual_seed(1)
        made: tuple[Any, Corpus] = self.system.build(config, self.system.splits(config, self.objects))
        return made

    def predicted(self, model: SavedModel, lines: Sequence[str]) -> list[str | bytes]:
        """What the command line would print for some lines."""
        return list(self.system.predict(model, Source(lines), self.system.options()))

    def require(self, holds: bool, problem: str) -> None:
        """Raises the problem as this system's where it does not hold."""
        if not holds:
            raise SystemCheckError(f"{self.system.name}: {problem}")


def check_documented(subject: Subject) -> None:
    """Every key of a recipe and every option of ``predict`` has a line of help."""
    for owner in (subject.system.config, subject.system.options):
        silent = [one.name for one in fields_of(owner, documented=True) if not one.help and not one.is_section]
        subject.require(not silent, f"{owner.__name__} says nothing of {', '.join(silent)}")
    for name in ("name", "family", "summary", "examples_name", "takes"):
        subject.require(bool(getattr(subject.system, name, "")), f"it has no {name}")


def check_learns(subject: Subject) -> None:
    """A handful of examples is learned by heart, and the run says so."""
    metric, least, most = subject.sample.goal
    report = json.loads((subject.run / EVALUATION).read_text(encoding="utf-8"), parse_constant=_refused)
    value = report["metrics"][metric]
    subject.require(
        value is not None and least <= value <= most,
        f"after its training on a handful of examples {metric} is {value}, expected {least} to {most}",
    )
    for key in ("system", "method", "data", "seed", "versions", "metrics", "baselines", "shown"):
        subject.require(key in report, f"{EVALUATION} has no {key!r}")


def check_saved(subject: Subject) -> None:
    """A saved model is the model: same predictions, same scores, same bytes when it is saved again."""
    fresh, _ = subject.fresh(subject.config)
    fresh.save(subject.folder / "fresh")
    restored = subject.system.load(subject.folder / "fresh").network.state_dict()
    for name, weights in fresh.network.state_dict().items():
        subject.require(torch.equal(weights, restored[name]), f"{name} is another in a loaded model")
    trained, sample = subject.model, subject.sample
    trained.save(subject.folder / "again")
    again = subject.system.load(subject.folder / "again")
    bytes_of = [(place / _WEIGHTS).read_bytes() for place in (subject.run / "model", subject.folder / "again")]
    subject.require(bytes_of[0] == bytes_of[1], "a model that is saved again has other weights")
    lines = sample.lines
    subject.require(
        subject.predicted(trained, lines) == subject.predicted(again, lines), "a loaded model predicts otherwise"
    )
    subject.require(callable(getattr(trained, "predict", None)), "its models have no predict for Python")
    results = trained.predict(sample.inputs)  # type: ignore[attr-defined]
    subject.require(len(results) == len(sample.inputs), "model.predict has not one result for each input")
    report = json.loads((subject.run / EVALUATION).read_text(encoding="utf-8"))["metrics"]
    splits = subject.system.splits(subject.config, subject.objects)
    scores = subject.system.score(again, splits.test).values()
    subject.require(list(scores) == list(report), f"evaluation has {list(scores)}, the training had {list(report)}")
    for name, value in scores.items():
        told = math.nan if report[name] is None else report[name]
        same = value == told or (math.isnan(value) and math.isnan(told)) or name.endswith("_per_second")
        subject.require(same, f"{name} of the loaded model is {value}, its training said {told}")


def check_resumes(subject: Subject) -> None:
    """A training that dies in the middle and is resumed ends with the bits of one that did not."""
    place = subject.folder / "killed"
    # A checkpoint after each step: what is resumed is the middle, not the beginning.
    saving = replace(subject.config, training=replace(subject.config.training, checkpoint_seconds=0))
    try:
        train_system(_dying(subject.system), saving, place, objects=subject.objects)
    except _Death:
        pass
    else:
        raise SystemCheckError(f"{subject.system.name}: a training of the sample has fewer than {_STEPS} steps")
    train_system(subject.system, subject.config, place, resume=True, objects=subject.objects)
    bytes_of = [(run / "model" / _WEIGHTS).read_bytes() for run in (subject.run, place)]
    subject.require(bytes_of[0] == bytes_of[1], "a training that was killed and resumed has other weights")


def check_batching(subject: Subject) -> None:
    """A prediction does not depend on what is predicted with it, nor a loss on the padding."""
    lines = subject.sample.lines
    together = subject.predicted(subject.model, lines)
    alone = [piece for line in lines for piece in subject.predicted(subject.model, [line])]
    subject.require(together == alone, "inputs are predicted otherwise alone than together")
    # A batch of all examples, long and short ones.
    config = replace(subject.config, training=replace(subject.config.training, batch_size=8))
    model, corpus = subject.fresh(config)
    indices, network = np.asarray(corpus.plan(config.training, 0)[0]), model.network
    with evaluating(network):
        whole, singles = corpus.batch(indices), [corpus.batch(np.array([index])) for index in indices]
        terms = [network.terms(batch) for batch in singles]
        mean = sum(float(network(one)) * count for one, count in zip(singles, terms, strict=True)) / sum(terms)
        subject.require(
            math.isclose(float(network(whole)), mean, rel_tol=1e-4, abs_tol=1e-5),
            f"the loss of a batch is {float(network(whole))}, the mean over its examples alone {mean}",
        )


def check_streams(subject: Subject) -> None:
    """Where its models stream: the results of a stream do not depend on how the input is cut."""
    model, whole = subject.model, subject.sample.stream
    if not isinstance(model, Streamable):
        return
    subject.require(len(whole) > 2, "its models stream, and its sample has no input for a stream")
    expected = list(_streamed(model, [whole]))
    for size in (1, 2, len(whole) // 2 + 1):
        chunks = [whole[start : start + size] for start in range(0, len(whole), size)]
        subject.require(
            _agree(list(_streamed(model, chunks)), expected), f"a stream of chunks of {size} gives other results"
        )


def check_baselines_run(subject: Subject) -> None:
    """Methods without a network are fitted, saved, loaded and scored like the others."""
    for name in subject.system.baselines():
        config, place = replace(subject.config, method=name), subject.folder / name
        try:
            fitted = train_system(subject.system, config, place, objects=subject.objects)
        except SeqloomError as error:
            subject.require("not installed" in str(error), f"the baseline {name} fails: {error}")
            continue
        again = subject.system.load(place / "model")
        lines = subject.sample.lines
        same = subject.predicted(fitted, lines) == subject.predicted(again, lines)
        subject.require(same, f"the baseline {name} predicts otherwise when it is loaded")


def check_bad_input(subject: Subject) -> None:
    """What is wrong with a file or a model directory is one sentence, whoever meets it."""
    binary = subject.folder / "binary"
    binary.write_bytes(bytes(range(256)) * 20)
    broken = subject.folder / "broken.gz"
    broken.write_bytes(b"\x1f\x8b\x08\x00broken")
    for place in (subject.folder / "nothing-here", binary, broken):
        source = Source(str(place))
        with _one_sentence(subject, f"predicting {place.name}"):
            list(subject.system.predict(subject.model, source, subject.system.options()))
        with _one_sentence(subject, f"scoring on {place.name}", must=True):
            subject.system.evaluation_examples(subject.model, source)
    for what in _spoil(subject.run / "model", subject.folder / "spoilt"):
        with _one_sentence(subject, f"a model with {what}"):
            spoilt = subject.system.load(subject.folder / "spoilt")
            list(subject.system.predict(spoilt, Source(subject.sample.lines), subject.system.options()))


def _spoil(model: Path, place: Path) -> Iterator[str]:
    """Makes copies of a model directory, one after the other, each with one thing wrong; says what."""
    described = yaml.safe_load((model / "config.yaml").read_text(encoding="utf-8"))
    for key in described:
        for value in (None, -1, "x", ["x"], {"x": [1]}):
            changed = yaml.safe_dump({**described, key: value})
            _replaced(model, place, Path("config.yaml"), changed.encode())
            yield f"{key}: {value!r} in config.yaml"
    for file in sorted(path for path in model.rglob("*") if path.is_file()):
        data = file.read_bytes()
        for what, content in (("half of", data[: len(data) // 2]), ("a list as", b"[1]"), ("nothing in", b"")):
            _replaced(model, place, file.relative_to(model), content)
            yield f"{what} {file.relative_to(model)}"


def _replaced(model: Path, place: Path, name: Path, content: bytes) -> None:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(model, place)
    (place / name).write_bytes(content)


def check_odd_input(subject: Subject) -> None:
    """Input that is none gets one sentence, and so at most does an empty line among others."""
    lines = list(subject.sample.lines)
    for odd in (None, 3.5, [None], [*subject.sample.inputs, None], [3.5]):
        with _one_sentence(subject, f"model.predict of {odd!r:.60}"):
            subject.model.predict(odd)  # type: ignore[attr-defined]
    for odd in ([None], [*lines, 3.5]):
        with _one_sentence(subject, f"predicting {odd!r:.60}"):
            list(subject.system.predict(subject.model, Source(odd), subject.system.options()))
    if lines and all(isinstance(line, str) for line in lines):
        for odd in (["", ""], ["", *lines], [*lines, "", *lines]):
            with _one_sentence(subject, f"predicting {odd!r:.60}"):
                subject.predicted(subject.model, odd)


CHECKS: tuple[Callable[[Subject], None], ...] = (
    check_documented,
    check_learns,
    check_saved,
    check_resumes,
    check_batching,
    check_streams,
    check_baselines_run,
    check_bad_input,
    check_odd_input,
)
"""The battery, a function each."""


class _Death(Exception):  # noqa: N818  # no error, but what a power cut is to a training
    pass


def _dying(own: System[Any, Any, Any]) -> System[Any, Any, Any]:
    """The system with a training that dies after some steps."""

    class Dying(type(own)):  # type: ignore[misc]
        def build(self, config: Any, splits: Any) -> Any:
            model, corpus = super().build(config, splits)
            return model, _DyingCorpus(corpus)

    dying: System[Any, Any, Any] = Dying()
    return dying


class _DyingCorpus(Corpus):
    def __init__(self, corpus: Corpus):
        self._corpus, self.lengths, self._left = corpus, corpus.lengths, _STEPS

    def plan(self, training: Any, epoch: int) -> Any:
        return self._corpus.plan(training, epoch)

    def batch(self, indices: Any, random: Any = None) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _Death
        return self._corpus.batch(indices, random)


def _streamed(model: Streamable, chunks: Sequence[Any]) -> Iterator[Any]:
    stream = model.stream()
    for chunk in chunks:
        yield from stream.push(chunk)
    yield from stream.close()


def _agree(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_agree, one, other))
    if isinstance(one, float | torch.Tensor | np.ndarray):
        return bool(np.allclose(np.asarray(one), np.asarray(other), rtol=1e-4, atol=1e-5))
    return bool(one == other)


@contextmanager
def _one_sentence(subject: Subject, doing: str, *, must: bool = False) -> Iterator[None]:
    try:
        yield
    except SeqloomError as error:
        subject.require("\n" not in str(error), f"{doing} says more than a sentence: {error}")
        return
    except Exception as error:
        raise SystemCheckError(f"{subject.system.name}: {doing} ends in {type(error).__name__}: {error}") from error
    subject.require(not must, f"{doing} is not refused")


def _refused(constant: str) -> Any:
    raise SystemCheckError(f"{EVALUATION} holds {constant}, which strict JSON does not know")
