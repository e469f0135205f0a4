"""The report of the segmentation benchmark as Markdown."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from machine import markdown_table

__all__ = ["to_markdown"]

Report = Mapping[str, Any]


def to_markdown(report: Report) -> str:
    """Scores, speed, and what they depend on."""
    parts = [
        f"`{report['command']}`",
        _circumstances(report),
        _data(report),
        markdown_table([_scores(row, report) for row in report["rows"]], left=("method", "trained on")),
        _legend(report),
    ]
    parts += [f"{name} is left out: {why}." for name, why in report["left_out"].items()]
    if "speed" in report:
        parts.append(_speed(report["speed"]))
    return "\n\n".join(parts) + "\n"


def _circumstances(report: Report) -> str:
    machine = report["machine"]
    memory = "" if machine["memory_gigabytes"] is None else f", {machine['memory_gigabytes']:.0f} GB"
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    return (
        f"{report['date']}; {machine['processor']}, {machine['cores']} cores{memory}, {machine['system']}; {versions}; "
        f"networks on {report['threads']} thread{'s' if report['threads'] > 1 else ''}; seed {report['seed']}."
    )


def _data(report: Report) -> str:
    rows = [
        {"data": role, "file": Path(entry["file"]).name, "sha256": f"`{entry['sha256']}`"}
        for role, entry in report["data"].items()
    ]
    return markdown_table(rows, left=("data", "file", "sha256"))


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _scores(row: Report, report: Report) -> dict[str, str]:
    cells = {
        "method": f"**{row['name']}**" if row["best"] else row["name"],
        "trained on": row["trained_on"],
        "P": _percent(row["precision"]),
        "R": _percent(row["recall"]),
        "F1": _percent(row["f1"]),
        "R OOV": _percent(row["oov_recall"]),
        "R IV": _percent(row["iv_recall"]),
    }
    if "words" in report["data"]:
        cells["R OOV, list"] = _percent(row["official"]["oov_recall"])
        cells["R IV, list"] = _percent(row["official"]["iv_recall"])
    against = row.get("best_against_this")
    cells["KB/s"] = f"{row['kilobytes_per_second']:,.0f}"
    cells["characters/s"] = f"{row['characters_per_second']:,.0f}"
    cells["best ahead by"] = "" if against is None else f"{100 * against['difference']:+.2f}"
    cells["p"] = "" if against is None else f"{against['p_value']:.3f}"
    return cells


def _legend(report: Report) -> str:
    first = report["rows"][0]
    clock = "wall clock" if report["clock"] == "wall" else "processor time"
    official = ""
    if "words" in report["data"]:
        official = (
            f"; against the official list, widths as they stand, as the bakeoff counted (columns *list*), "
            f"{_percent(first['official']['oov_rate'])} % are"
        )
    return (
        f"Training lines: the first {report['training_lines']:,} of the training file, its last "
        f"{report['held_out']:.0%} held out. Test: {report['test_lines']:,} lines, {report['test_words']:,} words, "
        f"{report['test_characters']:,} characters; {_percent(first['oov_rate'])} % of its words are out of vocabulary (OOV), "
        f"not among the words of the training lines{official}. Full-width forms are folded on both sides for scoring. "
        f"Speed: from strings to lists of words, median of {report['passes']} interleaved passes, {clock}. "
        f"*Best ahead by*: points of F1 of the best model (in bold) over the row; p from a paired bootstrap over lines, "
        f"{report['samples']:,} samples, one-sided, of the sign of that difference."
    )


def _speed(speed: Report) -> str:
    rows = []
    for row in speed["rows"]:
        wall, cpu = row["wall"], row["cpu"]
        after, after_cpu = (clock["kilobytes_per_second_after_start"] for clock in (wall, cpu))
        rows.append(
            {
                "seqloom predict": row["name"],
                "seconds": f"{wall['seconds']:.2f}",
                "of these start-up": f"{wall['start_seconds']:.2f}",
                "KB/s": f"{wall['kilobytes_per_second']:,.0f}",
                "KB/s after start-up": "-" if after is None else f"{after:,.0f}",
                "processor seconds": f"{cpu['seconds']:.2f}",
                "KB per processor second after start-up": "-" if after_cpu is None else f"{after_cpu:,.0f}",
                "peak MB": f"{row['peak_megabytes']:,.0f}",
            }
        )
    return (
        f"The whole of `seqloom predict` on {speed['bytes']:,} bytes of the test lines repeated, {speed['threads']} "
        f"thread{'s' if speed['threads'] > 1 else ''}, median of {speed['rounds']} interleaved rounds. Start-up is the same "
        f"command on the first line alone.\n\n{markdown_table(rows, left=('seqloom predict',))}"
    )
