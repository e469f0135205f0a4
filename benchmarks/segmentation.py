"""Word segmenters side by side on one test text: seqloom's methods, trained models, and what a person would take instead.

Methods without a network are fitted here, on the lines that a network would be trained on; models come trained; rivals
come as they are. All get the same raw lines. Words are scored by one scorer, with full-width forms folded alike for all.

    python benchmarks/segmentation.py --train F --test F --model RUN/model [--words LIST] [--json OUT] [--markdown OUT]

Speed in the table of scores is from Python strings to lists of words in one process, all in turn, pass after pass. With
``--speed-text-bytes N`` the whole of ``seqloom predict`` is timed as well, process start included and excluded. A kilobyte is
1,000 bytes of UTF-8.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import torch
from machine import describe_machine, installed_versions, publish, shown_command, without_folder
from process_speed import measure_predictions
from rivals import PACKAGES, RIVALS, Contestant, MissingRivalError, build_rival
from segmentation_tables import to_markdown

from seqloom.data.files import checksum
from seqloom.data.source import Source
from seqloom.errors import ConfigError
from seqloom.scores.bootstrap import paired_bootstrap
from seqloom.systems.reading import hold_out
from seqloom.systems.registry import load
from seqloom.systems.tagger.segmentation import methods
from seqloom.systems.tagger.segmentation.config import METHODS, SegmenterDataConfig, StatisticsConfig
from seqloom.systems.tagger.segmentation.dictionary import Dictionary, read_word_file
from seqloom.systems.tagger.segmentation.pieces import fold_width
from seqloom.systems.tagger.segmentation.score import SegmentationScore, score_segmentation
from seqloom.systems.tagger.segmentation.segmenter import Segmenter
from seqloom.systems.tagger.segmentation.system import SegmenterSystem

FITTED = tuple(name for name in METHODS if name not in methods.NETWORK_METHODS)
SAMPLES = 1000
WARM_UP_LINES = 100

Lines = Sequence[list[str]]


@dataclass
class Row:
    """A contestant and what was found out about it."""

    kind: str
    contestant: Contestant
    model: Path | None = None
    seconds: list[float] = field(default_factory=list)
    found: list[list[str]] = field(default_factory=list)


class Text(NamedTuple):
    """The lines that were read: training (the held-out end left out), test, and the words of the official list."""

    training: Lines
    gold: Lines
    listed: frozenset[str] | None


def _names(allowed: Sequence[str]) -> Any:
    def parse(text: str) -> tuple[str, ...]:
        names = tuple(name for name in text.split(",") if name and name != "none")
        for name in names:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(allowed)} (or none)")
        return names

    return parse


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--train", required=True, help="training text, words separated by spaces")
    add("--test", required=True, help="test text, words separated by spaces")
    add("--words", help="official training word list, for recall in and out of vocabulary as the bakeoff counts it")
    add("--model", nargs="*", default=[], type=Path, help="model directories of trained segmenters")
    add("--methods", type=_names(FITTED), default=",".join(FITTED), help="methods to fit here, or none")
    add("--rivals", type=_names(tuple(RIVALS)), default=",".join(RIVALS), help="rivals to run, or none")
    add("--held-out", type=float, default=0.1, help="share of the training text, from its end, that no method sees")
    add("--limit", type=int, help="only the first lines of each text, for a dry run")
    add("--passes", type=int, default=3, help="timed passes over the test text; the median counts")
    add("--threads", type=int, default=2, help="threads of the networks; all others use one")
    add("--clock", choices=["wall", "cpu"], default="wall", help="cpu: time of the processor, for a busy machine")
    add("--seed", type=int, default=0, help="seed of the bootstrap")
    add("--speed-text-bytes", type=int, default=0, help="also time seqloom predict on so much text, such as 1000000")
    add("--json", type=Path, help="write all figures here")
    add("--markdown", type=Path, help="write what is printed here as well")
    options = parser.parse_args(arguments)
    if options.passes < 1 or options.threads < 1:
        parser.error("--passes and --threads have to be 1 or more")
    if options.clock == "cpu" and options.threads != 1:
        parser.error("--clock cpu adds the time of all threads up; use it with --threads 1")
    return options


def read_text(options: argparse.Namespace) -> Text:
    """Training and test lines, read as ``seqloom train`` reads them."""
    config = SegmenterDataConfig(limit=options.limit)
    training, gold = (
        SegmenterSystem().read(Source(str(file)), config).examples for file in (options.train, options.test)
    )
    training, _ = hold_out(training, options.held_out)
    listed = None
    if options.words is not None:
        listed = frozenset(read_word_file(options.words)[0])
    return Text(training, gold, listed)


def gather(options: argparse.Namespace, text: Text, scratch: Path) -> tuple[list[Row], dict[str, str]]:
    """All contestants, and why others are left out."""
    lines = [[fold_width(word) for word in words] for words in text.training]
    words = Dictionary.from_lines(lines)
    rows = [_fitted(name, lines, words, scratch) for name in options.methods]
    rows += [_trained(path, words) for path in options.model]
    missing = {}
    for name in options.rivals:
        try:
            rows.append(Row("rival", build_rival(name, text.training, scratch)))
        except MissingRivalError as error:
            missing[name] = str(error)
            print(f"{name} is left out: {error}", file=sys.stderr)
    if not rows:
        raise ConfigError("there is nothing to compare; name methods, models or rivals")
    return rows, missing


def _fitted(name: str, lines: Lines, words: Dictionary, scratch: Path) -> Row:
    print(f"fitting {name}", file=sys.stderr)
    segmenter = Segmenter(name, words, methods.fit(name, lines, words, StatisticsConfig()))
    model = scratch / name
    segmenter.save(model)
    return Row("method", Contestant(name, "training lines", _words_of(segmenter)), model)


def _trained(path: Path, words: Dictionary) -> Row:
    segmenter = load(path)
    if not isinstance(segmenter, Segmenter):
        raise ConfigError(f"{path} is a model of the system {segmenter.system!r}; expected a segmenter")
    own = segmenter.words
    if own.base == words.base and (own.base_counts == words.base_counts).all():
        origin = "training lines"
    else:
        file = segmenter.about.get("data", {}).get("train", {}).get("file", "text that it does not name")
        origin = f"other lines: {Path(file).name}"
    folder = path.parent.name if path.name == "model" else path.name
    return Row("model", Contestant(f"{segmenter.method} ({folder})", origin, _words_of(segmenter)), path)


def _words_of(segmenter: Segmenter) -> Any:
    return lambda lines: [found.words for found in segmenter.predict(lines)]


def run_all(rows: Sequence[Row], raw: Sequence[str], *, passes: int, clock: str) -> None:
    """Every contestant on a part of the text, then all of them in turn on the whole of it, pass after pass."""
    now = time.perf_counter if clock == "wall" else time.process_time
    for row in rows:
        row.contestant.segment(raw[:WARM_UP_LINES])
    for number in range(1, passes + 1):
        for row in rows:
            print(f"pass {number} of {passes}: {row.contestant.name}", file=sys.stderr)
            begin = now()
            row.found = row.contestant.segment(raw)
            row.seconds.append(now() - begin)


def measure(rows: Sequence[Row], text: Text, raw: Sequence[str], *, seed: int) -> list[dict[str, Any]]:
    """Scores, speed, and how sure it is that the best model (the best method where there is none) is better."""
    gold = [[fold_width(word) for word in words] for words in text.gold]
    known = frozenset(fold_width(word) for words in text.training for word in words)
    scores = [_score(gold, row, known) for row in rows]
    ours = [place for kind in ("model", "method", "rival") for place, row in enumerate(rows) if row.kind == kind]
    first = rows[ours[0]].kind
    best = max((place for place in ours if rows[place].kind == first), key=lambda place: scores[place].f1)
    size, characters = sum(len(line.encode()) for line in raw), sum(map(len, raw))
    figures = []
    for place, (row, score) in enumerate(zip(rows, scores, strict=True)):
        seconds = statistics.median(row.seconds)
        figure = {
            "name": row.contestant.name,
            "kind": row.kind,
            "trained_on": row.contestant.trained_on,
            **score.to_dict(),
            "seconds": row.seconds,
            "kilobytes_per_second": size / 1000 / seconds,
            "characters_per_second": characters / seconds,
            "best": place == best,
        }
        if text.listed is not None:
            # The bakeoff compared widths as they stand, so its half-width numbers are unknown words to a full-width list.
            official = score_segmentation(text.gold, row.found, text.listed)
            names = ("oov_rate", "oov_recall", "iv_recall")
            figure["official"] = {name: official.to_dict()[name] for name in names}
        if place != best:
            found = paired_bootstrap("f1", scores[best].f1_ratios, score.f1_ratios, samples=SAMPLES, seed=seed)
            figure["best_against_this"] = {
                "difference": found.difference,
                "low": found.low,
                "high": found.high,
                "p_value": found.p_value,
            }
        figures.append(figure)
    return figures


def _score(gold: Lines, row: Row, known: frozenset[str]) -> SegmentationScore:
    return score_segmentation(gold, [[fold_width(word) for word in words] for words in row.found], known)


def describe(options: argparse.Namespace, text: Text, raw: Sequence[str]) -> dict[str, Any]:
    """Everything that the figures depend on."""
    files = {"train": options.train, "test": options.test, "words": options.words}
    return {
        "command": shown_command(),
        "date": date.today().isoformat(),
        "seed": options.seed,
        "samples": SAMPLES,
        "threads": options.threads,
        "clock": options.clock,
        "passes": options.passes,
        "held_out": options.held_out,
        "machine": describe_machine(),
        "versions": installed_versions(("seqloom", "torch", "numpy", "sklearn-crfsuite", *PACKAGES)),
        "data": {
            role: {"file": without_folder(name), "sha256": checksum(name)}
            for role, name in files.items()
            if name is not None
        },
        "training_lines": len(text.training),
        "test_lines": len(text.gold),
        "test_words": sum(map(len, text.gold)),
        "test_characters": sum(map(len, raw)),
    }


def speed_rows(rows: Sequence[Row]) -> Iterator[tuple[str, Path]]:
    """What ``seqloom predict`` is timed with: every model, and the methods that look words up."""
    for row in rows:
        if row.model is not None and (row.kind == "model" or row.contestant.name not in ("hmm", "crf")):
            yield row.contestant.name, row.model


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_options(arguments)
    torch.set_num_threads(options.threads)

    def report_of() -> dict[str, Any]:
        text = read_text(options)
        raw = ["".join(words) for words in text.gold]
        with tempfile.TemporaryDirectory() as folder:
            rows, missing = gather(options, text, Path(folder))
            run_all(rows, raw, passes=options.passes, clock=options.clock)
            report = {**describe(options, text, raw), "rows": measure(rows, text, raw, seed=options.seed)}
            report["left_out"] = missing
            if options.speed_text_bytes:
                timed = dict(speed_rows(rows))
                report["speed"] = measure_predictions(
                    timed, raw, options.speed_text_bytes, Path(folder), threads=options.threads, rounds=options.passes
                )
        return report

    return publish(options, report_of, to_markdown)


if __name__ == "__main__":
    sys.exit(main())
