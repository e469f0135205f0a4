"""The machine that figures come from, what a process costs on it, and tables of both."""

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = [
    "ProcessCost",
    "describe_machine",
    "installed_versions",
    "markdown_table",
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


def shown_command() -> str:
    """The command of this process, with the folder of the data by the name of its variable."""
    command = shlex.join(["python", *sys.argv])
    return without_folder(command)


def without_folder(text: str) -> str:
    """A text in which ``$SEQLOOM_DATA`` stands for that folder, whose place says nothing to others."""
    folder = os.environ.get("SEQLOOM_DATA", "").rstrip("/")
    return text.replace(f"{folder}/", "$SEQLOOM_DATA/") if folder else text


def describe_machine() -> dict[str, Any]:
    """Processor, cores that this process may use, memory in gigabytes (None where it is not told), operating system."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        memory = None
    return {
        "processor": _processor(),
        "cores": cores,
        "memory_gigabytes": None if memory is None else round(memory, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or "unknown processor"


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of Python and of those packages that are installed."""
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def markdown_table(rows: Sequence[Mapping[str, str]], *, left: Sequence[str] = ()) -> str:
    """Rows of equal keys as a table; columns stand to the right, but for those named in ``left``.

    >>> print(markdown_table([{"method": "fmm", "F1": "91.1"}], left=["method"]))
    | method | F1 |
    |:--|--:|
    | fmm | 91.1 |
    """
    if not rows:
        return ""
    header = list(rows[0])
    lines = [header, [":--" if name in left else "--:" for name in header]]
    lines += [[row[name].replace("|", "\\|") for name in header] for row in rows]
    first, rule, *body = lines
    return "\n".join([f"| {' | '.join(first)} |", f"|{'|'.join(rule)}|", *(f"| {' | '.join(row)} |" for row in body)])
