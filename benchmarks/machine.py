"""What a process costs; with the machine that figures come from, and tables, as the application has them."""

import json
import os
import shlex
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from seqloom.app.machine import describe_machine, installed_versions
from seqloom.app.tables import markdown_table
from seqloom.data.files import write_atomic
from seqloom.errors import SeqloomError

__all__ = [
    "ProcessCost",
    "describe_machine",
    "installed_versions",
    "markdown_table",
    "publish",
    "run_process",
    "shown_command",
    "without_folder",
]


@dataclass(frozen=True)
class ProcessCost:
    """What one process took from its start to its end: seconds on the wall and on the processors, and bytes at the peak."""

    wall: float
    cpu: float
    peak_bytes: int


# The system counts the memory of a process from before it became the command, so one that holds little has to start it.
_LAUNCHER = """
import json, os, sys, time
begin = time.perf_counter()
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - begin
print(json.dumps([os.waitstatus_to_exitcode(status), wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
"""


def run_process(arguments: Sequence[str], *, threads: int) -> ProcessCost:
    """Runs Python with these arguments to its end; what it prints is dropped.

    Args:
        threads: how many threads its numerical libraries may take.
    Raises:
        RuntimeError: it failed; the message holds what it wrote to its standard error.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, sys.executable, *arguments]
    launched = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    status, wall, cpu, peak = json.loads(launched.stdout)
    if status:
        raise RuntimeError(f"python {' '.join(arguments)} ended with status {status}: {launched.stderr.strip()}")
    return ProcessCost(wall, cpu, peak * (1 if sys.platform == "darwin" else 1024))


def publish(
    options: Namespace, measure: Callable[[], dict[str, Any]], to_markdown: Callable[[dict[str, Any]], str]
) -> int:
    """Measures, writes the report where ``--json`` and ``--markdown`` want it, and prints it as a page.

    Returns:
        0, or 2 after a person's mistake, which is told in one line.
    """
    try:
        report = measure()
        page = to_markdown(report)
        if options.json is not None:
            write_atomic(options.json, json.dumps(report, ensure_ascii=False, indent=1))
        if options.markdown is not None:
            write_atomic(options.markdown, page)
    except SeqloomError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(page, end="")
    return 0


def shown_command() -> str:
    """The command of this process, with the folder of the data by the name of its variable."""
    command = shlex.join(["python", *sys.argv])
    return without_folder(command)


def without_folder(text: str) -> str:
    """A text in which ``$SEQLOOM_DATA`` stands for that folder, whose place says nothing to others."""
    folder = os.environ.get("SEQLOOM_DATA", "").rstrip("/")
    return text.replace(f"{folder}/", "$SEQLOOM_DATA/") if folder else text
