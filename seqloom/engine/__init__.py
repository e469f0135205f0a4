"""The engine: the graph of one step, and the backends that run it over whole sequences."""

from seqloom.engine.backend import BACKENDS, Choice, choose, measure_lengths, run_layer, run_sequence
from seqloom.engine.contract import NO_NOISE, Noise, Ragged, SequenceCell, States
from seqloom.engine.graph import Graph, StepError, Symbol, trace
from seqloom.engine.interpreter import evaluate
from seqloom.engine.vocabulary import VocabularyError

__all__ = [
    "BACKENDS",
    "NO_NOISE",
    "Choice",
    "Graph",
    "Noise",
    "Ragged",
    "SequenceCell",
    "States",
    "StepError",
    "Symbol",
    "VocabularyError",
    "choose",
    "evaluate",
    "measure_lengths",
    "run_layer",
    "run_sequence",
    "trace",
]
