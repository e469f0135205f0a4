"""What ``seqloom predict`` does with a word segmenter: raw lines in, words out in the form that was asked for."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Annotated, Literal

from seqloom.data.tagged.segmented import format_bmes, format_segmented
from seqloom.errors import ConfigError
from seqloom.systems.tagger.segmentation.config import Method
from seqloom.systems.tagger.segmentation.dictionary import Dictionary, Priority
from seqloom.systems.tagger.segmentation.segmenter import Segmentation, Segmenter

__all__ = ["PredictOptions", "predict"]

# Lines handed to a method together: enough for batches of like length, few enough for output to flow.
BLOCK = 2000


@dataclass(frozen=True)
class PredictOptions:
    """How raw text is segmented and written."""

    format: Annotated[
        Literal["plain", "json", "bmes", "native"],
        "words and spaces, JSON lines with offsets, or BMES columns; native is plain",
    ] = "plain"
    nbest: Annotated[int, "how many segmentations of each line, best first"] = 1
    method: Annotated[Method | None, "another method on the model's words, such as fmm; by default the model's own"] = (
        None
    )
    dict: Annotated[str | None, "a file of your own words: word [frequency] [tag]"] = None
    priority: Annotated[Priority, "whether your words are preferred over, or forced upon, other readings"] = "prefer"
    full: Annotated[bool, "print every dictionary word found in each line, overlapping or not"] = False
    keep_space: Annotated[bool, "keep the text's own whitespace, as words of its own"] = False


def predict(model: Segmenter, lines: Iterable[str], options: PredictOptions) -> Iterator[str]:
    """One output line for each input line (BMES: one per character, and an empty one), a block of lines at a time."""
    if options.nbest < 1:
        raise ConfigError(f"--nbest: {options.nbest} is not a number of segmentations; expected 1 or more")
    if options.dict is not None:
        model = model.with_dictionary(Dictionary.from_counts({}).with_file(options.dict, options.priority))
    if options.method is not None:
        model = model.with_method(options.method)
    source = iter(lines)
    while block := list(islice(source, BLOCK)):
        if options.full:
            yield from format_segmented(model.full(block))
        elif options.nbest > 1:
            for text in block:
                yield from _write_ranked(model.n_best(text, options.nbest), options)
        else:
            yield from _write(model.predict(block), options)


def _write(found: Sequence[Segmentation], options: PredictOptions) -> Iterator[str]:
    if options.keep_space:
        found = [segmentation.with_spaces() for segmentation in found]
    if options.format == "json":
        return (json.dumps(segmentation.to_dict(), ensure_ascii=False) for segmentation in found)
    if options.format == "bmes":
        return format_bmes(segmentation.words for segmentation in found)
    return format_segmented((segmentation.words for segmentation in found), "" if options.keep_space else " ")


def _write_ranked(ranked: Sequence[tuple[Segmentation, float]], options: PredictOptions) -> Iterator[str]:
    if options.format == "json":
        readings = [{"words": found.to_dict()["words"], "score": score} for found, score in ranked]
        yield json.dumps({"text": ranked[0][0].text, "n_best": readings}, ensure_ascii=False)
        return
    for found, value in ranked:
        (line,) = _write([found], replace(options, format="plain"))
        yield f"{value:.4f}\t{line}"
