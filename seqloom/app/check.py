"""``seqloom check``: what is in a data file and what is wrong with it, before any training loses hours to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from seqloom.app.command import parse
from seqloom.app.terminal import facts, print_json, show, table
from seqloom.data.tagged.findings import Severity
from seqloom.data.tagged.formats import Format, ReadOptions, Tokens

if TYPE_CHECKING:
    from rich.text import Text

    from seqloom.data.tagged.check import CheckReport

__all__ = ["SUMMARY", "run"]

SUMMARY = "look for problems in data before any training"

_STYLES: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "note": "dim"}
_COUNTED = {"labels": "label", "spans": "span", "sentence labels": "sentence label"}  # tables instead of rows
_LABELS_SHOWN = 30
_BAR = 24


@dataclass(frozen=True)
class Options:
    """Options of the verb."""

    data: Annotated[Path, "the file to check, compressed or not; or DIR/NAME of NAME.seq.in, NAME.seq.out, NAME.label"]
    train: Annotated[Path | None, "training file to compare it with: shared sentences, unknown labels and tokens"] = (
        None
    )
    as_: Annotated[Format, "format of the files; auto recognises it and says what it found"] = "auto"
    scheme: Annotated[str, "scheme of the tags, such as BIO or BIOES; recognised where it is not given"] = ""
    encoding: Annotated[str, "character encoding of the files"] = "utf-8"
    columns: Annotated[str, "of column files: which column holds what, 0 the first, -1 the last"] = "text=0,tag=-1"
    tag: Annotated[str, "of CoNLL-U files: the column of the tags, such as upos or xpos"] = "upos"
    tokens: Annotated[Tokens, "words, the characters of a text, or joint: characters tagged with word and tag"] = (
        "words"
    )
    embeddings: Annotated[Path | None, "word vectors (word2vec or GloVe); reports how many of the words they have"] = (
        None
    )
    limit: Annotated[int, "findings of a kind to list for each file"] = 10
    json: Annotated[bool, "print JSON"] = False


def run(argv: list[str]) -> int:
    """Runs the verb; its options are those of ``seqloom check --help``.

    Returns:
        0 where nothing was found but notes and warnings, 2 where something would stop a training or spoil its figures.
    """
    options = parse(Options, argv, verb="check", summary=SUMMARY, positional=("data",))
    from seqloom.data.tagged.check import check

    paths = {"data": options.data} if options.train is None else {"train": options.train, "data": options.data}
    reading = ReadOptions(
        columns=options.columns,
        tag=options.tag,
        tokens=options.tokens,
        scheme=options.scheme,
        encoding=options.encoding,
    )
    report = check(paths, options.as_, reading, limit=options.limit, embeddings=options.embeddings)
    if options.json:
        print_json(report.to_dict())
    else:
        _print(report)
    return 0 if report.is_usable else 2


def _print(report: CheckReport) -> None:
    from rich.text import Text

    for split, corpus in report.corpora.items():
        rows = [(name, value) for name, value in corpus.rows() if name not in _COUNTED]
        rows.append(("sha256", report.checksums.get(split, "")))
        show(facts(rows))
        for name, counts in zip(_COUNTED.values(), (corpus.labels, corpus.spans, corpus.sentence_labels), strict=True):
            if counts:
                show("")
                show(table((name, "count", "share", ""), _distribution(counts), right=("count", "share")))
        show("")
    if report.coverage is not None:
        show(facts(report.coverage.rows()))
        show("")
    if report.findings:
        found = [(Text(one.severity, style=_STYLES[one.severity]), one.where, one.message) for one in report.findings]
        show(table(("", "where", "what"), found))
        show("")
    show(_verdict(report))


def _distribution(counts: Mapping[str, int]) -> Iterator[tuple[str, str, str, str]]:
    """Rows of label, count, share and bar, the most frequent first; the rare ones of a long list together."""
    total, most = sum(counts.values()), max(counts.values())
    for label, count in list(counts.items())[:_LABELS_SHOWN]:
        yield label, f"{count:,}", f"{100 * count / total:.2f} %", "█" * round(_BAR * count / most)
    rest = list(counts.values())[_LABELS_SHOWN:]
    if rest:
        yield f"... {len(rest)} more", f"{sum(rest):,}", f"{100 * sum(rest) / total:.2f} %", ""


def _verdict(report: CheckReport) -> Text:
    from rich.text import Text

    numbers = [(severity, report.count(severity)) for severity in _STYLES]
    counted = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in numbers if count)
    if not report.is_usable:
        return Text(f"{counted}: not ready for a training", style="bold red")
    return Text(f"ready for a training ({counted or 'nothing to note'})", style="bold green")
