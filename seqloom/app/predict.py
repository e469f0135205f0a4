"""``seqloom predict``: a model applied to a file or to standard input, lines out as soon as they are known."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from seqloom.app.command import parse
from seqloom.app.terminal import write_pieces
from seqloom.errors import ConfigError

SUMMARY = "apply a model to a file or to standard input"


@dataclasses.dataclass(frozen=True)
class _Anything:
    model: Annotated[str, "a model directory, such as RUN/model"]
    file: Annotated[str, "a text file, compressed or not, or - for standard input"] = "-"
    encoding: Annotated[str, "character encoding of the input"] = "utf-8"


def run(argv: list[str]) -> int:
    """Writes one output line per input line to standard output."""
    named = [argument for argument in argv if not argument.startswith("-")]
    if not named:
        parse(
            _Anything,
            argv,
            verb="predict",
            summary=f"{SUMMARY}; seqloom predict MODEL --help has the options of that model",
            positional=("model", "file"),
        )
        raise ConfigError("seqloom predict needs a model directory, such as RUN/model")
    from seqloom.data.source import Source
    from seqloom.systems.registry import load, system
    from seqloom.systems.saved import read_config

    registered = system(read_config(Path(named[0]))["system"], f"{named[0]}/config.yaml: system")
    own_class = registered.options_class()
    options: Any = parse(
        _with_files(own_class, registered.takes), argv, verb="predict", summary=SUMMARY, positional=("model", "file")
    )
    model = load(options.model)
    own = own_class(**{field.name: getattr(options, field.name) for field in dataclasses.fields(own_class)})
    write_pieces(registered.create().predict(model, Source(options.file, options.encoding), own))
    return 0


def _with_files(options_class: type, takes: str) -> type:
    """The options of a family with what every family needs: the model, the input and its encoding."""
    shared: list[Any] = [
        ("model", Annotated[str, "a model directory, such as RUN/model"]),
        (
            "file",
            Annotated[str, takes],
            dataclasses.field(default="-"),
        ),
        ("encoding", Annotated[str, "character encoding of the input"], dataclasses.field(default="utf-8")),
    ]
    hints = get_type_hints(options_class, include_extras=True)
    own = [
        (item.name, hints[item.name], dataclasses.field(default=item.default))
        for item in dataclasses.fields(options_class)
    ]
    return dataclasses.make_dataclass("PredictCommand", [*shared, *own], frozen=True)
