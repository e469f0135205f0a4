"""``seqloom evaluate``: the scores of one or several models on data, what the difference is worth, and the worst errors."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from seqloom.app.command import parse
from seqloom.errors import ConfigError, DataError

if TYPE_CHECKING:
    from seqloom.scores.bootstrap import Difference
    from seqloom.systems.evaluation import Evaluation

SUMMARY = "score one or several models on data, with the exact decoding of predict"


@dataclass(frozen=True)
class EvaluateOptions:
    """What ``evaluate`` takes."""

    models: Annotated[tuple[str, ...], "model directories, and last the data file"]
    json: Annotated[Path | None, "also write the scores and their details to this file"] = None
    errors: Annotated[Path | None, "also write the sentences with errors to this file as TSV, the worst first"] = None
    samples: Annotated[int, "resampled tests by which models are compared; 0 compares nothing"] = 10_000
    seed: Annotated[int, "of the resampling"] = 0


def run(argv: list[str]) -> int:
    """Prints one row of scores per model, how they are counted, and how the others differ from the first model."""
    options = parse(EvaluateOptions, argv, verb="evaluate", summary=SUMMARY, positional=("models",))
    if len(options.models) < 2:
        raise ConfigError(
            "seqloom evaluate needs a model directory and a data file: seqloom evaluate RUN/model test.txt"
        )
    if options.samples < 0:
        raise ConfigError(f"--samples: {options.samples} is not a number of samples; expected 0 or more")
    from seqloom.app.tables import print_comparison
    from seqloom.data.files import write_atomic
    from seqloom.data.source import Source
    from seqloom.systems.contract import ErrorLister
    from seqloom.systems.registry import load, system

    *models, data = options.models
    evaluations, wrong = [], []
    for path in models:
        model = load(path)
        own = system(model.system).create()
        if options.errors is not None and not isinstance(own, ErrorLister):
            raise ConfigError(f"--errors: {path} is a {own.name}, which lists no errors")
        examples = own.evaluation_examples(model, Source(data))
        evaluations.append((path, own.score(model, examples)))
        if options.errors is not None:
            wrong.append((path, own.errors(model, examples)))
    print_comparison([(path, evaluation.values()) for path, evaluation in evaluations], "model")
    for signature in dict.fromkeys(evaluation.signature for _, evaluation in evaluations if evaluation.signature):
        print(signature)
    differences = list(_differences(evaluations, options)) if options.samples else []
    for path, difference in differences:
        print(f"{models[0]} against {path}: {difference}")
    if options.errors is not None:
        write_atomic(options.errors, "".join(_tsv(wrong)))
    if options.json is not None:
        described = [{"model": path, **evaluation.to_dict()} for path, evaluation in evaluations]
        report: dict[str, Any] = {"data": data, "sha256": _checksum(data), "models": described}
        if differences:
            compared = [
                {"model": models[0], "against": path, **difference.to_dict()} for path, difference in differences
            ]
            report["differences"] = compared
        write_atomic(options.json, json.dumps(report, ensure_ascii=False, indent=1))
    return 0


def _checksum(data: str) -> str | None:
    """Of the data, or none where they are no file but the name of a task."""
    from seqloom.data.files import checksum

    try:
        return checksum(data)
    except DataError:
        return None


def _differences(
    evaluations: Sequence[tuple[str, "Evaluation"]], options: EvaluateOptions
) -> Iterator[tuple[str, "Difference"]]:
    """The first model against each other one, by every metric that can be resampled and that both have."""
    from seqloom.scores.bootstrap import paired_bootstrap

    (_, first), *others = evaluations
    for path, other in others:
        theirs = other.ratios()
        for metric, ratio in first.ratios().items():
            # Models that read different columns of the file, or another number of its sentences, have no pairs.
            if metric in theirs and theirs[metric].shape == ratio.shape and len(ratio):
                yield (
                    path,
                    paired_bootstrap(metric, ratio, theirs[metric], samples=options.samples, seed=options.seed),
                )


def _tsv(errors: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> Iterator[str]:
    """A head and the rows, nothing where there is no error; with several models, the model comes first."""
    several = len(errors) > 1
    head = next((list(rows[0]) for _, rows in errors if rows), None)
    if head is None:
        return
    yield "\t".join([*(["model"] if several else []), *head]) + "\n"
    for path, rows in errors:
        for row in rows:
            yield "\t".join(map(_cell, [*([path] if several else []), *row.values()])) + "\n"


def _cell(value: Any) -> str:
    """A value without tabs and line ends, which would make another cell of it."""
    return f"{value:.4f}" if isinstance(value, float) else str(value).translate({9: " ", 10: " ", 13: " "})
