"""Cells: the mathematics of one time step, one file per family."""

from typing import TYPE_CHECKING, Any

from seqloom.cells.additive import Additive, Antisymmetric
from seqloom.cells.cell import Cell
from seqloom.cells.clockwork import Clockwork
from seqloom.cells.deep import DeepTransition, DeepTransitionShortcut, RecurrentHighway
from seqloom.cells.elman import IRNN, Elman, ElmanReLU, ElmanSigmoid
from seqloom.cells.gated_feedback import GatedFeedbackGRU, GatedFeedbackLSTM, GatedFeedbackRNN
from seqloom.cells.gru import GRU, GRUBefore
from seqloom.cells.indrnn import IndRNN
from seqloom.cells.initial import Initialisation
from seqloom.cells.jordan import Jordan
from seqloom.cells.lru import LRU
from seqloom.cells.lstm import LSTM, LSTM1997
from seqloom.cells.lstm_multiplicative import MultiplicativeLSTM
from seqloom.cells.lstm_normalised import LayerNormLSTM, LayerNormLSTMPerGate
from seqloom.cells.lstm_peephole import CoupledLSTM, PeepholeLSTM
from seqloom.cells.lstm_projected import LSTMP
from seqloom.cells.mgu import MGU
from seqloom.cells.minimal import MinGRU, MinLSTM
from seqloom.cells.mutated import MUT1, MUT2, MUT3
from seqloom.cells.qrnn import QRNN
from seqloom.cells.registry import CellDescription, CellOption, describe, describe_one, get, name_of, names, register
from seqloom.cells.rg_lru import RGLRU
from seqloom.cells.scrn import SCRN
from seqloom.cells.size import Formula, Size
from seqloom.cells.sru import SRU
from seqloom.cells.structure import Structure
from seqloom.cells.xlstm import MatrixLSTM, ScalarLSTM

if TYPE_CHECKING:
    from collections.abc import Callable

    check_cell: Callable[..., None]

__all__ = [
    "GRU",
    "IRNN",
    "LRU",
    "LSTM",
    "LSTM1997",
    "LSTMP",
    "MGU",
    "MUT1",
    "MUT2",
    "MUT3",
    "QRNN",
    "RGLRU",
    "SCRN",
    "SRU",
    "Additive",
    "Antisymmetric",
    "Cell",
    "CellDescription",
    "CellOption",
    "Clockwork",
    "CoupledLSTM",
    "DeepTransition",
    "DeepTransitionShortcut",
    "Elman",
    "ElmanReLU",
    "ElmanSigmoid",
    "Formula",
    "GRUBefore",
    "GatedFeedbackGRU",
    "GatedFeedbackLSTM",
    "GatedFeedbackRNN",
    "IndRNN",
    "Initialisation",
    "Jordan",
    "LayerNormLSTM",
    "LayerNormLSTMPerGate",
    "MatrixLSTM",
    "MinGRU",
    "MinLSTM",
    "MultiplicativeLSTM",
    "PeepholeLSTM",
    "RecurrentHighway",
    "ScalarLSTM",
    "Size",
    "Structure",
    "check_cell",
    "describe",
    "describe_one",
    "get",
    "name_of",
    "names",
    "register",
]


def __getattr__(name: str) -> Any:
    if name == "check_cell":
        # The battery runs cells through layers, a higher room: found by name when somebody asks for it, so that this
        # room stays below that one.
        import importlib

        return importlib.import_module("seqloom.layers.check").check_cell
    raise AttributeError(f"module 'seqloom.cells' has no attribute '{name}'")
