"""What a person sees while a model trains: a bar on a terminal, plain lines elsewhere, on the standard error stream."""

import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Progress", "peak_memory"]

_BAR_SECONDS = 0.2
_LINE_SECONDS = 15.0


class Progress:
    """Reports of one run; ``silent`` in every process but the first.

    Args:
        console: where to write; the standard error stream by default.
        silent: write nothing.
    """

    def __init__(self, *, console: "Console | None" = None, silent: bool = False) -> None:
        from rich.console import Console  # costs 0.1 s that importing seqloom should not

        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        if silent:
            self.console.quiet = True
        self._bar: Any = None
        self._best = ""
        self._next = 0.0

    def start(self, epochs_done: float, epochs: int) -> None:
        """Show the bar, where there is a terminal for it."""
        if not self.console.is_terminal or self.console.quiet:
            self._next = time.monotonic() + _LINE_SECONDS
            return
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (BarColumn(24), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        self._bar = Bar(*columns, console=self.console, transient=True)
        self._task = self._bar.add_task("starting", total=epochs, completed=epochs_done)
        self._bar.start()

    def due(self) -> bool:
        """Whether enough time has passed for another ``step``; the loop asks first because making the report costs."""
        return not self.console.quiet and time.monotonic() >= self._next

    def step(self, epochs_done: float, epochs: int, *, step: int, loss: float, rate: float) -> None:
        """Report where the run is."""
        self._next = time.monotonic() + (_BAR_SECONDS if self._bar else _LINE_SECONDS)
        epoch = min(int(epochs_done) + 1, epochs)
        text = f"epoch {epoch}/{epochs}  step {step}  loss {loss:.4f}  {rate:,.0f}/s{self._best}"
        if self._bar:
            self._bar.update(self._task, completed=epochs_done, description=text)
        else:
            self.message(f"{epochs_done / epochs:4.0%}  {text}")

    def evaluated(
        self, epochs_done: float, *, loss: float, metrics: Mapping[str, float], monitor: str, best: bool
    ) -> None:
        """Report an evaluation."""
        values = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        mark = "  (best so far)" if best else ""
        if best:
            self._best = f"  best {monitor} {metrics[monitor]:.4f}"
        self.message(f"after {round(epochs_done, 2):g} epochs: training loss {loss:.4f}  {values}{mark}")

    def message(self, text: str) -> None:
        """Report anything else in one line; a training outlives the terminal and the file that it reports to."""
        try:
            self.console.print(text, markup=False, highlight=False)
        except OSError:
            self.console.quiet = True

    def close(self) -> None:
        """Take the bar away."""
        bar, self._bar = self._bar, None
        if bar:
            with suppress(OSError):
                bar.stop()


def peak_memory() -> int:
    """Largest resident set of this process so far, in bytes; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
