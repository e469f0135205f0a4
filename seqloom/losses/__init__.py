"""Losses of sequence models: what is minimised, with its exact gradient."""

from seqloom.losses.constraints import Constraints
from seqloom.losses.crf import LinearChainCRF

__all__ = ["Constraints", "LinearChainCRF"]
