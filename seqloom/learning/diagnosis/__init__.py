"""Diagnosis of long-term dependencies: how a model's recurrences carry gradients and memory over time.

``diagnose`` measures all of it on any module with :class:`~seqloom.Recurrent` layers. The single measurements act on a
:class:`Recurrence`, one layer and direction with what it read, which ``recurrences(layer, x)`` makes.
"""

from seqloom.learning.diagnosis.carry import Carry, carried
from seqloom.learning.diagnosis.examine import DiagnosisConfig, DiagnosticBatch, diagnose, diagnose_run
from seqloom.learning.diagnosis.gates import Gate, gate_statistics
from seqloom.learning.diagnosis.gradients import GradientFlow, gradient_norms
from seqloom.learning.diagnosis.jacobian import Points, operator_norm, points, spectral_radius
from seqloom.learning.diagnosis.lyapunov import lyapunov_exponents
from seqloom.learning.diagnosis.memory import Reach, effective_memory, forward_memory
from seqloom.learning.diagnosis.recording import ParameterGradient
from seqloom.learning.diagnosis.recurrence import Recurrence, recurrences
from seqloom.learning.diagnosis.result import Diagnosis, JacobianNorms, RecurrenceDiagnosis

__all__ = [
    "Carry",
    "Diagnosis",
    "DiagnosisConfig",
    "DiagnosticBatch",
    "Gate",
    "GradientFlow",
    "JacobianNorms",
    "ParameterGradient",
    "Points",
    "Reach",
    "Recurrence",
    "RecurrenceDiagnosis",
    "carried",
    "diagnose",
    "diagnose_run",
    "effective_memory",
    "forward_memory",
    "gate_statistics",
    "gradient_norms",
    "lyapunov_exponents",
    "operator_norm",
    "points",
    "recurrences",
    "spectral_radius",
]
