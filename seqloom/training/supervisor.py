"""Who runs a training, and what they decide about it while it runs."""

import time
from collections.abc import Mapping

from seqloom.training.interruption import Interruption
from seqloom.training.run_state import RunState

__all__ = ["Supervisor"]


class Supervisor:
    """A person at a terminal, who sees how it goes and may stop it with Ctrl-C; programs that train have their own.

    What the methods answer has to be the same in all processes of a run.

    Attributes:
        silent: whether nothing is shown.
    """

    silent = False

    def clock(self) -> float:
        """Seconds, of which the run's duration is the difference."""
        return time.monotonic()

    def interruption(self) -> Interruption:
        """What can stop the run."""
        return Interruption()

    def before_step(self, state: RunState, seconds: float) -> bool:
        """Whether to save and leave here, before another step.

        Args:
            state: where the run is.
            seconds: how long it took until here, interruptions left out.
        """
        return False

    def after_evaluation(self, state: RunState, metrics: Mapping[str, float]) -> bool:
        """Hears the metrics of an evaluation; whether the run is finished by them."""
        return False
