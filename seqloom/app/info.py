"""``seqloom info``: what a model directory holds and how it was made, without loading the model."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from seqloom.app.command import parse
from seqloom.app.terminal import facts, print_json, show
from seqloom.app.wording import number, size_in_words
from seqloom.errors import ModelError
from seqloom.outside import MISFITS, UnreadableError, first_line, parse_json, read_whole
from seqloom.scores.names import metric_name
from seqloom.systems.registry import SYSTEMS, current_name
from seqloom.systems.saved import read_config

__all__ = ["SUMMARY", "describe_model", "run"]

SUMMARY = "say what a model directory holds and how it was made"

# Entries of config.yaml that have a place of their own in the description; what is left is preprocessing.
_PLACED = {"format", "seqloom", "system", "method", "model", "about"}
_LABELS_SHOWN = 40


@dataclass(frozen=True)
class Options:
    """Options of the verb."""

    model: Annotated[Path, "a model directory, such as RUN/model"]
    json: Annotated[bool, "print JSON"] = False


def run(argv: list[str]) -> int:
    """Runs the verb; its options are those of ``seqloom info --help``."""
    options = parse(Options, argv, verb="info", summary=SUMMARY, positional=("model",))
    described = describe_model(options.model)
    if options.json:
        print_json(described)
    else:
        show(facts(_rows(described)))
    return 0


def describe_model(path: Path) -> dict[str, Any]:
    """Everything about a model directory that can be said without its weights' values.

    Raises:
        ModelError: the directory is missing, foreign or damaged; the sentence names the file.
    """
    config = read_config(path)
    about = config.get("about") or {}
    if not isinstance(about, Mapping):
        raise ModelError(f"{path / 'config.yaml'}: 'about' is not a section; the model directory is damaged")
    vocabularies = {file.stem: _vocabulary(file) for file in sorted((path / "vocab").glob("*.json"))}
    labels = vocabularies.pop("tags", {}).get("entries", [])
    name = current_name(str(config["system"]))
    known = SYSTEMS.get(name)
    return {
        "system": name,
        "family": known.family if known else None,
        "summary": known.summary if known else None,
        "method": config.get("method"),
        "seqloom": config.get("seqloom"),
        "labels": labels,
        "vocabularies": {
            name: len(state.get("entries", state.get("keys", ()))) for name, state in vocabularies.items()
        },
        "network": config.get("model") or {},
        "preprocessing": {key: value for key, value in config.items() if key not in _PLACED},
        "weights": _weights(path / "weights.safetensors"),
        "metrics": about.get("scores") or {},
        "data": about.get("data") or {},
        "seed": about.get("seed"),
        "versions": about.get("versions") or {},
        "command": about.get("command"),
        "bytes": {
            str(file.relative_to(path)): file.stat().st_size for file in sorted(path.rglob("*")) if file.is_file()
        },
    }


def _vocabulary(file: Path) -> dict[str, Any]:
    try:
        state = parse_json(read_whole(file, "JSON"))
    except UnreadableError as error:
        raise ModelError(f"{file} cannot be read ({error}); the model directory is damaged") from None
    if not isinstance(state, dict) or not all(isinstance(state.get(key, []), list) for key in ("entries", "keys")):
        raise ModelError(f"{file} does not hold a vocabulary; the model directory is damaged")
    return state


def _weights(file: Path) -> dict[str, Any]:
    """Names, shapes and types of the tensors, from the file's header alone."""
    from safetensors import SafetensorError, safe_open

    if not file.is_file():
        raise ModelError(f"{file} is missing; the model directory is damaged")
    tensors, parameters = {}, 0
    try:
        with safe_open(file, framework="numpy") as weights:
            for name in weights.keys():  # noqa: SIM118 - not a mapping
                tensor = weights.get_slice(name)
                shape = [int(size) for size in tensor.get_shape()]
                tensors[name] = {"shape": shape, "type": str(tensor.get_dtype())}
                parameters += math.prod(shape)
    except (SafetensorError, OSError, *MISFITS) as error:
        raise ModelError(f"{file} cannot be read ({first_line(error)}); the file is damaged") from None
    return {"parameters": parameters, "tensors": tensors}


def _rows(model: dict[str, Any]) -> list[tuple[str, str]]:
    sizes: dict[str, int] = model["bytes"]
    weights = model["weights"]
    types = sorted({tensor["type"] for tensor in weights["tensors"].values()})
    labels = [repr(label) if label.strip() != label else label for label in model["labels"][:_LABELS_SHOWN]]
    more = f" ... and {len(model['labels']) - _LABELS_SHOWN} more" if len(model["labels"]) > _LABELS_SHOWN else ""
    return [
        ("system", model["system"] + (f": {model['summary']}" if model["summary"] else "")),
        ("family", model["family"] or ""),
        ("method", str(model["method"] or "")),
        ("labels", f"{len(labels)}: {' '.join(labels)}{more}" if labels else ""),
        ("vocabularies", ", ".join(f"{name} {count:,}" for name, count in model["vocabularies"].items())),
        ("network", _settings(model["network"])),
        ("preprocessing", _settings(model["preprocessing"])),
        ("weights", f"{weights['parameters']:,} numbers in {len(weights['tensors'])} tensors ({', '.join(types)})"),
        ("size on disk", f"{size_in_words(sum(sizes.values()))} in {len(sizes)} files"),
        ("scores", ", ".join(f"{metric_name(name)} {number(value)}" for name, value in model["metrics"].items())),
        ("data", _settings(model["data"])),
        ("seed", "" if model["seed"] is None else str(model["seed"])),
        ("made with", ", ".join(f"{name} {version}" for name, version in model["versions"].items())),
        ("made by", model["command"] or ""),
    ]


def _settings(values: Any) -> str:
    """Settings in one line: ``cell lstm, hidden_size 128, features (token 64, shape 16)``."""
    if isinstance(values, Mapping):
        parts = []
        for name, value in values.items():
            inner = _settings(value)
            parts.append(f"{name} ({inner})" if isinstance(value, Mapping) else f"{name} {inner}")
        return ", ".join(parts)
    if isinstance(values, bool):
        return "yes" if values else "no"
    return "none" if values is None else str(values)
