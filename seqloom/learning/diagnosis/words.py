"""A diagnosis in sentences: what the numbers say, what they do not say, and what may be tried.

The statements are kept to what holds. An operator norm below 1 throughout is sufficient for vanishing, one above 1 only
necessary for explosion; a spectral radius decides neither; gates ease vanishing and do not prevent explosion; clipping
bounds a step and brings no vanished gradient back. All of it is about the present weights on the present data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from seqloom.learning.diagnosis.result import Diagnosis, RecurrenceDiagnosis

__all__ = ["in_words", "sentences"]

_SATURATED = 0.5  # more than half of all values on a flat part deserves a word
_SLOWEST = 1e-4  # slopes below this are no decay that a sequence of less than ten thousand steps could show


def in_words(diagnosis: Diagnosis) -> str:
    """The whole diagnosis, one paragraph per recurrence."""
    lines = []
    if diagnosis.loss is not None:
        lines += [f"loss on this batch: {diagnosis.loss:.4g}", ""]
    for diagnosed in diagnosis.recurrences:
        lines += [title(diagnosed), *(f"  {sentence}" for sentence in sentences(diagnosed)), ""]
    lines += [f"no sequence passed through {name}; it was not examined" for name in diagnosis.unseen]
    # A parameter of zeros has no ratio worth a word.
    moved = [parameter for parameter in diagnosis.parameters if parameter.parameter_norm]
    if moved:
        ordered = sorted(moved, key=lambda parameter: parameter.ratio)
        lines.append(
            f"gradient over parameter norm: from {ordered[0].ratio:.2g} ({ordered[0].name}) to {ordered[-1].ratio:.2g} "
            f"({ordered[-1].name})"
        )
    return "\n".join(lines).rstrip()


def title(diagnosed: RecurrenceDiagnosis) -> str:
    """What was examined."""
    sequences = "1 sequence" if diagnosed.rows == 1 else f"{diagnosed.rows} sequences"
    return f"{diagnosed.name}: {diagnosed.cell}, {sequences} of up to {_count(diagnosed.steps)}"


def sentences(diagnosed: RecurrenceDiagnosis) -> Iterator[str]:
    """What the numbers of one recurrence say, the gradient first."""
    if not math.isfinite(diagnosed.largest_state):
        yield "The state overflows: nothing below can be trusted. Lower the learning rate, or bound the recurrent matrix."
    yield _gradient(diagnosed)
    yield from _remedy(diagnosed)
    yield _memory(diagnosed)
    yield from _jacobian(diagnosed)
    yield _lyapunov(diagnosed)
    yield from _gates(diagnosed)
    if math.isfinite(diagnosed.largest_state):
        yield f"The largest absolute value of the output state is {diagnosed.largest_state:.3g}."
    if diagnosed.unknown:
        yield f"Gates and time constants are not known, for the step leaves the vocabulary: {diagnosed.unknown}."


def _gradient(diagnosed: RecurrenceDiagnosis) -> str:
    flow = diagnosed.gradient
    source = "last step's loss" if diagnosed.from_loss else "last output"
    subject = f"Followed back from the {source}, the gradient"
    if sum(norm > 0 for norm in flow.norms) < 2:
        return f"{subject} is exactly zero one step before: no earlier step is learned from through this recurrence."
    if math.isnan(flow.slope):
        return f"{subject} is no finite number."
    if abs(flow.slope) < _SLOWEST:
        return f"{subject} keeps its norm over the {_count(diagnosed.steps)} that were seen."
    verb = "halves" if flow.slope < 0 else "doubles"
    return f"{subject} {verb} every {_figure(flow.half_life)} steps (mean rate over {_count(diagnosed.steps)})."


def _remedy(diagnosed: RecurrenceDiagnosis) -> Iterator[str]:
    slope, backward = diagnosed.gradient.slope, diagnosed.backward
    if slope > _SLOWEST:
        yield "Clip the gradient's norm (training.clip_norm); gates ease vanishing, they do not prevent this growth."
    elif slope < -_SLOWEST and backward.reached and backward.steps:
        if diagnosed.carries:
            tried = "a larger bias of the gate that keeps the state"
        else:
            tried = "a gated cell, or an orthogonal or identity recurrent matrix"
        yield (
            f"With these weights, what lies more than about {_count(backward.steps)} back hardly changes the gradient: such "
            f"dependencies are unlikely to be learned through this recurrence. Try {tried}, or shorter paths (attention, "
            "dilation, truncation that keeps what matters near); clipping does not help here."
        )


def _memory(diagnosed: RecurrenceDiagnosis) -> str:
    back, ahead = diagnosed.backward, diagnosed.forward
    if back.reached and not back.steps:
        return "No input changes the last step at all."
    parts = []
    for reach, what in (
        (back, "inputs reach the last step from up to"),
        (ahead, "the state shows another first input for"),
    ):
        parts.append(f"{what} {'' if reach.reached else 'at least '}{_count(reach.steps)}")
    bound = "" if back.reached and ahead.reached else "; longer sequences would tell how far it goes"
    return f"Effective memory (to {back.share:.2g} of the largest effect): {', '.join(parts)}{bound}."


def _jacobian(diagnosed: RecurrenceDiagnosis) -> Iterator[str]:
    jacobian = diagnosed.jacobian
    yield (
        f"One step stretches a state difference by at most {_figure(jacobian.mean_norm)} (operator norm, mean over steps; "
        f"largest {_figure(jacobian.largest_norm)}); its spectral radius, which bounds neither vanishing nor growth, is "
        f"{'' if jacobian.exact_radius else 'about '}{_figure(jacobian.mean_radius)}."
    )
    if jacobian.largest_norm < 1:
        yield "The operator norm is below 1 at every step measured: there, gradients can only shrink."
    elif jacobian.largest_norm > 1 + 1e-6:
        yield "An operator norm above 1 lets gradients grow; it does not make them grow."


def _lyapunov(diagnosed: RecurrenceDiagnosis) -> str:
    leading = diagnosed.lyapunov[0]
    if leading == -math.inf:
        return "The leading Lyapunov exponent is -infinity: some step forgets the state altogether."
    if not math.isfinite(leading):
        return "The leading Lyapunov exponent is no finite number."
    size = f"The leading Lyapunov exponent over these sequences is {leading:.3g} per step: nearby states"
    if abs(leading) < _SLOWEST:
        return f"{size} keep their distance."
    return f"{size} {'draw together' if leading < 0 else 'drift apart'} by a factor of {math.exp(leading):.3g} a step."


def _gates(diagnosed: RecurrenceDiagnosis) -> Iterator[str]:
    for carry in diagnosed.carries:
        constant = "without end" if math.isinf(carry.time_constant) else f"{_figure(carry.time_constant)} steps"
        yield f"State {carry.state} keeps {carry.mean:.3f} of itself per step on average: a time constant of {constant}."
    flat = [gate for gate in diagnosed.gates if gate.saturation is not None and gate.saturation > _SATURATED]
    if flat:
        named = ", ".join(f"{gate.function} of {gate.name} {gate.saturation:.0%}" for gate in flat)
        yield f"Saturated more than half of the time, where hardly any gradient passes: {named}."
    elif diagnosed.saturation is not None:
        yield f"{diagnosed.saturation:.1%} of the values of its sigmoids and tanhs are saturated."
    if diagnosed.dead_units is not None:
        yield f"{diagnosed.dead_units:.1%} of its relu units were never active on these data."


def _figure(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _count(steps: int) -> str:
    return "1 step" if steps == 1 else f"{steps:,} steps"
