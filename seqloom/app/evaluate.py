"""``seqloom evaluate``: the scores of one or several models on data."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from seqloom.app.command import parse
from seqloom.errors import ConfigError

SUMMARY = "score one or several models on data, with the exact decoding of predict"


@dataclass(frozen=True)
class EvaluateOptions:
    """What ``evaluate`` takes."""

    models: Annotated[tuple[str, ...], "model directories, and last the data file"]
    json: Annotated[Path | None, "also write the scores and their details to this file"] = None


def run(argv: list[str]) -> int:
    """Prints one row of scores per model."""
    options = parse(EvaluateOptions, argv, verb="evaluate", summary=SUMMARY, positional=("models",))
    if len(options.models) < 2:
        raise ConfigError(
            "seqloom evaluate needs a model directory and a data file: seqloom evaluate RUN/model test.txt"
        )
    from seqloom.app.tables import print_comparison
    from seqloom.data.files import checksum, write_atomic
    from seqloom.systems.family import load, system

    *models, data = options.models
    rows, described = [], []
    for path in models:
        model = load(path)
        verbs = system(model.system).verbs_module()
        evaluation = verbs.evaluate(model, data)
        rows.append((path, evaluation.metrics))
        described.append({"model": path, **evaluation.to_dict()})
    print_comparison(rows, "model")
    if options.json is not None:
        report = {"data": data, "sha256": checksum(data), "models": described}
        write_atomic(options.json, json.dumps(report, ensure_ascii=False, indent=1))
    return 0
