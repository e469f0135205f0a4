"""How this process was started. Importing it does not import torch."""

import os

__all__ = ["first_process"]


def first_process() -> bool:
    """Whether this process writes, evaluates and talks: the only one there is, or the first that torchrun started."""
    return "LOCAL_RANK" not in os.environ or os.environ.get("RANK", "0") == "0"
