"""The drop-in for ``torch.nn``: ``RNN``, ``LSTM`` and ``GRU`` with torch's constructors, parameters and results.

:func:`accelerate` puts them into a model that exists, :func:`restore` takes them out again and :func:`report` says what
runs where. What is the same as in torch, and the little that is not, is listed in ``docs/drop-in.md``.
"""

from seqloom.nn.layers import GRU, LSTM, RNN
from seqloom.nn.swap import Finding, Report, accelerate, report, restore

__all__ = ["GRU", "LSTM", "RNN", "Finding", "Report", "accelerate", "report", "restore"]
