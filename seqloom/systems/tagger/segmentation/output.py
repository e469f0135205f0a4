"""What ``seqloom predict`` does with a word segmenter: raw lines in, words out in the form that was asked for."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from seqloom.data.live import blocks
from seqloom.data.tagged.segmented import format_bmes, format_segmented
from seqloom.errors import ConfigError
from seqloom.systems.tagger.segmentation.config import PredictOptions
from seqloom.systems.tagger.segmentation.dictionary import Dictionary
from seqloom.systems.tagger.segmentation.pieces import fold_width
from seqloom.systems.tagger.segmentation.segmenter import Segmentation, Segmenter

__all__ = ["predict"]


def predict(
    model: Segmenter, lines: Iterable[str], options: PredictOptions, pauses: Callable[[], bool] | None = None
) -> Iterator[str]:
    """One output line for each input line (BMES: one per character, and an empty one), a block of lines at a time.

    Args:
        pauses: whether the input's next line is yet to come; what there is then is answered.
    """
    if options.nbest < 1:
        raise ConfigError(f"--nbest: {options.nbest} is not a number of segmentations; expected 1 or more")
    if options.dict is not None:
        user = Dictionary.from_counts({}).with_file(options.dict, options.priority)
        print(*user.reports, sep="\n", file=sys.stderr)
        merged = len(user.user) - len(user.folded(fold_width).user) if model.fold else 0
        if merged:
            print(f"{options.dict}: {merged} words merged, which differ in width only", file=sys.stderr)
        model = model.with_dictionary(user)
    if options.method is not None:
        model = model.with_method(options.method)
    for block in blocks(lines, pauses=pauses):
        if options.full:
            yield from format_segmented(model.full(block))
        elif options.nbest > 1:
            for text in block:
                yield from _write_ranked(model.n_best(text, options.nbest), options)
        else:
            yield from _write(model.predict(block), options)


def _write(segmentations: Sequence[Segmentation], options: PredictOptions) -> Iterator[str]:
    if options.keep_space:
        segmentations = [segmentation.with_spaces() for segmentation in segmentations]
    if options.format == "json":
        return (json.dumps(segmentation.to_dict(), ensure_ascii=False) for segmentation in segmentations)
    if options.format == "bmes":
        return format_bmes(segmentation.words for segmentation in segmentations)
    return format_segmented((segmentation.words for segmentation in segmentations), "" if options.keep_space else " ")


def _write_ranked(ranked: Sequence[tuple[Segmentation, float]], options: PredictOptions) -> Iterator[str]:
    if options.format == "json":
        readings = [{"words": segmentation.to_dict()["words"], "score": score} for segmentation, score in ranked]
        yield json.dumps({"text": ranked[0][0].text, "n_best": readings}, ensure_ascii=False)
        return
    for segmentation, value in ranked:
        (line,) = _write([segmentation], replace(options, format="plain"))
        yield f"{value:.4f}\t{line}"
