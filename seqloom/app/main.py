"""The command line: finds the verb, runs it, and turns a person's mistake into one sentence and exit status 2."""

import importlib
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

from seqloom import __version__
from seqloom.app.own_code import take_imports
from seqloom.errors import ConfigError, SeqloomError, did_you_mean, machine_problem

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
        return _refuse(str(error))
    except KeyboardInterrupt:
        _end_at_once(arguments is None)
        print("interrupted", file=sys.stderr)
        return 130
    except SystemExit:
        _end_at_once(arguments is None)
        raise
    except BrokenPipeError:
        # The reader of our output has gone (`| head`).
        _drop_output()
        return 0
    except MemoryError:
        if debug:
            raise
        return _refuse("this machine has not enough memory for that; give less at a time")
    except Exception as error:
        problem = machine_problem(error)
        if debug or problem is None:
            raise
        _drop_output()
        return _refuse(f"{problem}; where that is the output, write it to another place")


def _refuse(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return 2


def _drop_output() -> None:
    """Points stdout elsewhere, which stops Python's own complaint at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end_at_once(alone: bool) -> None:
    """From here on Ctrl-C ends the process with one line: while Python tidies up, nothing is left to be saved.

    Args:
        alone: whether the process is the command line's own.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        os.write(2, b"stopped at once\n")
        os._exit(130)

    if alone and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, handle)


if __name__ == "__main__":
    sys.exit(main())
