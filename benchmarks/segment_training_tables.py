"""The figures of the training benchmark: medians, ratios and curves of its blocks, and the report as Markdown."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from machine import markdown_table

__all__ = ["summarise", "to_markdown"]

Report = Mapping[str, Any]
CURVE_ROWS = 20


def summarise(blocks: Sequence[Report], names: Sequence[str]) -> dict[str, Any]:
    """Speed of each backend, the ratio of their times block by block, and the recurrence's share of a step.

    Args:
        blocks: each with ``kind``, ``steps`` and, by backend, ``seconds`` and ``tokens``.
        names: the two backends; a ratio above 1 says that the first is faster.
    """
    timed = [block for block in blocks if block["kind"] == "timed"]
    profiled = [block for block in blocks if block["kind"] == "profiled"]
    first, second = names
    speed = {}
    for name in names:
        seconds = sum(block[name]["seconds"] for block in timed)
        per_step = [block[name]["seconds"] / block["steps"] for block in timed]
        speed[name] = {
            "seconds": seconds,
            "seconds_per_step": {"median": statistics.median(per_step), **_spread(per_step)},
            "tokens_per_second": sum(block[name]["tokens"] for block in timed) / seconds,
            "recurrent_share": _share(profiled, name),
        }
    ratios = [block[second]["seconds"] / block[first]["seconds"] for block in timed]
    total = speed[second]["seconds"] / speed[first]["seconds"]
    return {"speed": speed, "ratio": {"median": statistics.median(ratios), **_spread(ratios), "of_totals": total}}


def _share(profiled: Sequence[Report], name: str) -> float | None:
    seconds = sum(block[name]["seconds"] for block in profiled)
    return sum(block[name]["recurrent_seconds"] for block in profiled) / seconds if seconds else None


def _spread(values: Sequence[float]) -> dict[str, float]:
    """The quartiles and the ends."""
    ranked = sorted(values)
    low, _, high = statistics.quantiles(ranked, n=4, method="inclusive") if len(ranked) > 1 else ranked * 3
    return {"low_quartile": low, "high_quartile": high, "lowest": ranked[0], "highest": ranked[-1]}


def to_markdown(report: Report) -> str:
    """Speed, the curves of the losses side by side, the scores, and what they depend on."""
    parts = [f"`{report['command']}`", _circumstances(report), _speed(report), _ratio(report), _curves(report)]
    if report["scores"]:
        parts.append(_scores(report))
    return "\n\n".join(parts) + "\n"


def _circumstances(report: Report) -> str:
    machine = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    files = "; ".join(
        f"{role} {Path(entry['file']).name} (sha256 {entry['sha256'][:12]}…)" for role, entry in report["data"].items()
    )
    seeds = ", ".join(map(str, report["seeds"]))
    return (
        f"{report['date']}; {machine['processor']}, {machine['cores']} cores, {machine['system']}; {versions}; "
        f"{report['threads']} thread{'s' if report['threads'] > 1 else ''}; seed{'s' if len(report['seeds']) > 1 else ''} "
        f"{seeds}; {files}; {report['training_lines']:,} training lines, {report['steps_per_epoch']:,} steps an epoch."
    )


def _speed(report: Report) -> str:
    rows = []
    for name, reason in zip(report["backends"], report["reasons"], strict=True):
        speed = report["speed"][name]
        step, share = speed["seconds_per_step"], speed["recurrent_share"]
        rows.append(
            {
                "backend": name,
                "chosen because": reason,
                "ms a step": f"{1000 * step['median']:.1f}",
                "quartiles": f"{1000 * step['low_quartile']:.1f} to {1000 * step['high_quartile']:.1f}",
                "tokens/s": f"{speed['tokens_per_second']:,.0f}",
                "recurrent layers' share": "-" if share is None else f"{100 * share:.0f} %",
            }
        )
    return markdown_table(rows, left=("backend", "chosen because"))


def _ratio(report: Report) -> str:
    ratio, (first, second) = report["ratio"], report["backends"]
    turns = sum(block["kind"] == "timed" for block in report["blocks"])
    return (
        f"Time of `{second}` over time of `{first}`, turn by turn on the same batches: median **{ratio['median']:.2f}** of "
        f"{turns} turns, quartiles {ratio['low_quartile']:.2f} to {ratio['high_quartile']:.2f}, ends {ratio['lowest']:.2f} "
        f"and {ratio['highest']:.2f}; of the whole times {ratio['of_totals']:.2f}. A step is everything from the choice of "
        f"the batch to the update of the weights; the recurrent layers' share is that of their forward and backward passes."
    )


def _curves(report: Report) -> str:
    """Mean losses over equal stretches of the training, those of the first seed."""
    first, second = report["backends"]
    blocks = [block for block in report["blocks"] if block["seed"] == report["seeds"][0]]
    size = -(-len(blocks) // CURVE_ROWS)
    rows = []
    for start in range(0, len(blocks), size):
        some = blocks[start : start + size]
        steps = sum(block["steps"] for block in some)
        losses = [sum(block[name]["loss"] * block["steps"] for block in some) / steps for name in (first, second)]
        rows.append(
            {
                "up to step": f"{some[-1]['step']:,}",
                f"loss, {first}": f"{losses[0]:.4f}",
                f"loss, {second}": f"{losses[1]:.4f}",
                "difference": f"{losses[0] - losses[1]:+.4f}",
            }
        )
    return f"Training losses of seed {report['seeds'][0]}, means since the row above:\n\n{markdown_table(rows)}"


def _scores(report: Report) -> str:
    first, second = report["backends"]
    rows = []
    for found in report["scores"]:
        sure = found["first_against_second"]
        rows.append(
            {
                "seed": str(found["seed"]),
                **{f"F1, {name}": f"{100 * found[name]['f1']:.2f}" for name in (first, second)},
                **{f"best dev F1, {name}": f"{100 * max(found[name]['dev']):.2f}" for name in (first, second)},
                "difference": f"{100 * sure['difference']:+.2f}",
                "95 % interval": f"{100 * sure['low']:+.2f} to {100 * sure['high']:+.2f}",
            }
        )
    mean = statistics.fmean(found["first_against_second"]["difference"] for found in report["scores"])
    return (
        f"Test text ({report['test_lines']:,} lines) after {report['epochs']} epochs, the weights that were best on the dev "
        f"text; the interval is that of a paired bootstrap over lines:\n\n{markdown_table(rows)}\n\nMean difference over "
        f"{len(rows)} seed{'s' if len(rows) > 1 else ''}: {100 * mean:+.2f} points of F1."
    )
