"""The learning rate as a pure function of where the run is, so that a resumed run needs no scheduler state."""

import math

from seqloom.training.config import TrainingConfig

__all__ = ["learning_rate"]


def learning_rate(config: TrainingConfig, *, step: int, progress: float, halvings: int) -> float:
    """The rate of the next step.

    Args:
        config: gives the base rate, the schedule and the warm-up.
        step: optimiser steps taken so far.
        progress: share of the planned epochs done so far, 0 to 1.
        halvings: how often the metric stood on a plateau.

    >>> config = TrainingConfig(learning_rate=0.1, schedule="linear", warmup_steps=2)
    >>> [round(learning_rate(config, step=s, progress=s / 4, halvings=0), 4) for s in range(4)]
    [0.05, 0.075, 0.05, 0.025]
    """
    rate = config.learning_rate
    if config.schedule == "linear":
        rate *= 1.0 - progress
    elif config.schedule == "cosine":
        rate *= 0.5 * (1.0 + math.cos(math.pi * progress))
    elif config.schedule == "halve_on_plateau":
        rate *= 0.5**halvings
    elif config.schedule == "inverse":
        rate /= 1.0 + config.decay * progress * config.epochs
    if step < config.warmup_steps:
        rate *= (step + 1) / config.warmup_steps
    return rate
