"""Memories beside a recurrent state, which is a fixed number of numbers: the own history, pairs, a tape."""

from seqloom.layers.memory.episodic import EpisodicMemory, KeyValueStore
from seqloom.layers.memory.history import AttentiveRecurrent, HistoryAttention
from seqloom.layers.memory.turing import NeuralTuringMachine, Tape

__all__ = [
    "AttentiveRecurrent",
    "EpisodicMemory",
    "HistoryAttention",
    "KeyValueStore",
    "NeuralTuringMachine",
    "Tape",
]
