"""The command line: finds the verb, runs it, and turns a person's mistake into one sentence and exit status 2."""

import importlib
import os
import sys
from collections.abc import Sequence

from seqloom import __version__
from seqloom.app.own_code import take_imports
from seqloom.errors import ConfigError, SeqloomError, did_you_mean

# Verb -> what it does. Each is a module of this package with a ``run(argv) -> int``, imported only when it is called,
# so that ``seqloom --help`` answers at once.
VERBS = {
    "train": "train a recipe on data; makes a run directory with the model in it",
    "evaluate": "score one or several models on data, with the exact decoding of predict",
    "predict": "apply a model to a file or to standard input",
    "check": "look for problems in data before any training",
    "convert": "write data in another format",
    "info": "say what a model directory holds and how it was made",
    "report": "write the self-contained HTML report of a run",
    "recipes": "list the recipes, or copy one to own it",
    "cells": "list the recurrent cells",
    "systems": "list the systems that recipes can name",
    "compare": "train several cells on a task that shows what they can remember or compute, and compare them",
    "diagnose": "say how a model carries gradients and memory over time, on data",
    "bench": "measure the library beside its rivals, on this machine",
    "completion": "print what lets bash, zsh or fish complete verbs, options and recipes",
}


def _usage() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name:<{width}}  {summary}" for name, summary in VERBS.items())
    return (
        "seqloom: recurrent sequence models, trained, evaluated and used by one command each\n\n"
        "usage: seqloom VERB [...]            seqloom VERB --help for the options of a verb\n\n"
        f"{verbs}\n\n"
        "  --version  print the version       --debug  after any verb: show the traceback of an error\n"
        "  --import FILE  with any verb: run this Python file first, which registers cells of your own\n"
    )


def _with_underscores(argument: str) -> str:
    """``--keep-space`` and ``--keep_space`` are one option."""
    name, equals, value = argument.partition("=")
    return f"--{name[2:].replace('-', '_')}{equals}{value}" if name.startswith("--") else argument


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb.

    Returns:
        0 on success, 2 on a person's mistake, 130 when interrupted; any other exception is a bug and propagates.
    """
    argv = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in argv
    argv = [_with_underscores(argument) for argument in argv if argument != "--debug"]
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_usage(), end="")
        return 0 if argv else 2
    if argv[0] == "--version":
        print(f"seqloom {__version__}")
        return 0
    try:
        argv = take_imports(argv)
        verb = argv[0] if argv else ""
        if verb not in VERBS:
            raise ConfigError(f"'{verb}' is not a verb of seqloom{did_you_mean(verb, VERBS)}")
        status: int = importlib.import_module(f"seqloom.app.{verb}").run(argv[1:])
        sys.stdout.flush()
        return status
    except SeqloomError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); pointing stdout elsewhere stops Python's own complaint at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
