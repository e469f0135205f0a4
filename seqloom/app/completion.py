"""``seqloom completion``: the script that lets a shell complete verbs, options, choices, recipes and files."""

import argparse
import importlib
import shlex
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from seqloom.app.command import CommandLine, command_line_of, fields_of_any, parse
from seqloom.configuration.fields import Field

__all__ = ["SUMMARY", "run"]

SUMMARY = "print what lets bash, zsh or fish complete verbs, options and recipes"


@dataclass(frozen=True)
class Options:
    """Options of the verb."""

    shell: Annotated[
        Literal["bash", "zsh", "fish"],
        "the shell; the first lines of the script and the README say where it looks",
    ]


def run(argv: list[str]) -> int:
    """Prints the script, which knows everything itself: completing starts no Python."""
    options = parse(Options, argv, verb="completion", summary=SUMMARY, positional=("shell",))
    import shtab

    from seqloom.configuration.recipes import RECIPES

    recipes = shlex.join(sorted(path.stem for path in RECIPES.glob("*.yaml")))
    # A recipe is a name or a file, and shtab by itself has either words or files for an argument.
    words_and_files = {
        "bash": f'_seqloom_recipes() {{ compgen -W {shlex.quote(recipes)} -- "$1"; compgen -f -- "$1"; }}',
        "zsh": f"_seqloom_recipes() {{ compadd -- {recipes}; _files }}",
        "fish": "",
    }
    parser = _parser(f"(printf '%s\\n' {recipes}; __fish_complete_path (commandline -ct))")
    print(shtab.complete(parser, options.shell, preamble=words_and_files[options.shell]))
    return 0


def _parser(fish_recipes: str) -> argparse.ArgumentParser:
    """The verbs as subcommands, with their options."""
    from seqloom.app.main import VERBS

    parser = argparse.ArgumentParser(prog="seqloom")
    verbs = parser.add_subparsers(metavar="VERB")
    for verb, summary in VERBS.items():
        command = command_line_of(importlib.import_module(f"seqloom.app.{verb}").run, [])
        inner = verbs.add_parser(verb, help=summary)
        actions = _declare(command, inner)
        if verb == "train":
            by_name = "_seqloom_recipes"
            actions["recipe"].complete = {"bash": by_name, "zsh": by_name, "fish": fish_recipes}
            _declare(CommandLine("", _of_all_systems("config"), of_recipe=True), inner)
        if verb == "predict":
            _declare(CommandLine("", _of_all_systems("predict")), inner)
    return parser


def _declare(command: CommandLine, parser: argparse.ArgumentParser) -> dict[str, Any]:
    import shtab

    actions = command.declare(parser)
    for action in actions.values():
        if action.choices is None and action.nargs != 0:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return actions


def _of_all_systems(what: Literal["config", "predict"]) -> list[Field]:
    """The keys of every system's recipes, or the options of its predictions; of one name, with the choices of all."""
    from seqloom.systems.registry import SYSTEMS

    return fields_of_any(one.config_class() if what == "config" else one.options_class() for one in SYSTEMS.values())
