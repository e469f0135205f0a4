"""How the input of a tagger is read where nobody says it: text is never taken for tagged because of how its lines end."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from seqloom.data.tagged.columns import header_columns, parse_columns
from seqloom.data.tagged.formats import ReadOptions, by_header, detect_format
from seqloom.systems.tagger.config import PredictOptions
from seqloom.systems.tagger.scoring import AnyTagger

__all__ = ["guessed"]

_SPAN = re.compile(r"[BIESMLU]-[A-Za-z]\S*")
_PLACEHOLDERS = frozenset(("O", "X", "_", "-", "?"))
_FEW, _MANY = 3, 6  # rows: a sentence; more than lines of text that happen to have as many words


def guessed(
    lines: Sequence[str], model: AnyTagger, options: PredictOptions, reading: ReadOptions
) -> tuple[str, ReadOptions]:
    """The format of an input, and how it is read.

    Args:
        lines: its first.
        reading: as the model's training data were read.
    """
    if options.columns:
        return "columns", replace(reading, columns=options.columns)
    found = detect_format(lines)[0] if options.read_as == "auto" else options.read_as
    if options.read_as == "auto":
        found = _strictly(found, lines, model, reading)
        if found == "segmented" and _is_column_of_tokens(lines, reading):
            return "columns", replace(reading, columns="text=0")
    if found == "columns":
        reading, _ = by_header(lines, reading)
        if _is_untagged(lines, reading):
            reading = replace(reading, columns="text=0")
    return ("segmented" if found == "plain" else found), reading


def _strictly(found: str, lines: Sequence[str], model: AnyTagger, reading: ReadOptions) -> str:
    """The format that the first lines seem to have, or lines of text where they may as well be those."""
    trained = model.reading.get("format", "auto")
    if found == "slashed":
        tags = [word.rpartition("/")[2] for line in lines for word in line.split()]
        known = sum(tag in model.tags.entries for tag in tags)
        return found if trained == found or 2 * known >= len(tags) else "segmented"
    if found in ("columns", "bmes"):
        return "columns" if _are_columns(lines, model, reading, trained == "columns") else "segmented"
    return "segmented" if found == "plain" else found


def _are_columns(lines: Sequence[str], model: AnyTagger, reading: ReadOptions, trained: bool) -> bool:
    """Whether rows are a token and more each: by what only such files have, by known tags, or by their sheer regularity."""
    rows = [line for line in lines if line.strip() and not line.startswith(("#", "-DOCSTART-"))]
    if len(rows) < len([line for line in lines if line.strip()]) and any(
        line.startswith(("-DOCSTART-", "# global.columns")) for line in lines
    ):
        return True
    if not rows:
        return False
    tabs = "\t" in rows[0]
    split = [row.split("\t") if tabs else row.split() for row in rows]
    width = len(split[0])
    if header_columns(split[0]) or width == 1:
        return True
    if tabs and any(" " in field.strip() for fields in split for field in fields[1:]):
        return False
    regular = [fields for fields in split if len(fields) == width]
    if len(regular) < 0.9 * len(split) and not (len(split) < 10 and len(split) - len(regular) == 1 < len(regular)):
        return False
    place = parse_columns(reading.columns).get("tag", -1)
    tags = [fields[place] for fields in regular if -width <= place < width]
    return (
        _are_known(tags, model, tabs)
        or _are_tags(tags)
        or (trained and len(rows) > 1)
        or (len(set(tags)) == 1 and tags[0] in _PLACEHOLDERS and len(rows) >= _FEW)
        or (len(rows) >= (2 if tabs else _MANY) and len(regular) == len(split) and (tabs or _has_sentences(lines)))
    )


def _are_known(tags: Sequence[str], model: AnyTagger, tabs: bool) -> bool:
    """All are the model's tags, and behind tabs, so many or so long that words would not be."""
    known = set(model.tags.entries)
    if not tags or not known.issuperset(tags):
        return False
    if tabs:
        return True
    long = [tag for tag in tags if len(tag) > 1 and tag[0].isalpha()]
    return any("-" in tag for tag in long) or (len(tags) > 1 and 2 * len(long) >= len(tags)) or len(set(tags)) >= _FEW


def _are_tags(tags: Sequence[str]) -> bool:
    """All spell spans, of whatever labels, in more rows than chance would give."""
    return len(tags) >= _FEW and all(tag == "O" or _SPAN.fullmatch(tag) for tag in tags) and set(tags) != {"O"}


def _has_sentences(lines: Iterable[str]) -> bool:
    """Whether empty lines part several rows each."""
    sizes = [len(list(group)) for filled, group in groupby(lines, key=lambda line: bool(line.strip())) if filled]
    return len(sizes) > 1 and sum(sizes) >= 2 * len(sizes)


def _is_untagged(lines: Sequence[str], options: ReadOptions) -> bool:
    """Whether a column file has the tokens alone: a model's users have no tags yet."""
    first = next((line for line in lines if line.strip()), "")
    return len(first.split()) == 1 and "tag=" in options.columns


def _is_column_of_tokens(lines: Sequence[str], options: ReadOptions) -> bool:
    """Whether lines without spaces are tokens, sentences parted by empty lines; a line of text has many characters."""
    kept = "\n".join(line.strip() for line in lines if not line.startswith("#")).strip().split("\n")
    of_tokens = options.tokens == "words" or max(map(len, kept)) == 1
    parted = "" in kept and kept != [""]
    return of_tokens and parted and options.tokens != "joint" and not any(len(line.split()) > 1 for line in kept)
