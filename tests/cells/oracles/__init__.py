"""What every registered cell computes: its paper's equations as plain NumPy loops over steps, in float64.

They share nothing with the cells but the names of what is stored. A cell may have several, of different forms.
"""

from . import deep, gated_feedback, gru, linear, lstm, simple, xlstm
from .arithmetic import ORACLES

__all__ = ["ORACLES", "deep", "gated_feedback", "gru", "linear", "lstm", "simple", "xlstm"]
