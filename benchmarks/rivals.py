"""The word segmenters that a person would take instead, each as it comes, and what it learnt from."""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from seqloom.systems.tagger.segmentation.pieces import fold_width

__all__ = ["PACKAGES", "RIVALS", "Contestant", "MissingRivalError", "build_rival"]

Segment = Callable[[Sequence[str]], list[list[str]]]

PACKAGES = ("jieba", "snownlp", "spacy-pkuseg")


@dataclass(frozen=True)
class Contestant:
    """A way of cutting lines into words: its name, what it learnt from, and the function."""

    name: str
    trained_on: str
    segment: Segment


class MissingRivalError(Exception):
    """A rival cannot take part; the message says why, and what would help."""


def build_rival(name: str, training: Sequence[Sequence[str]], scratch: Path) -> Contestant:
    """The rival of that name, ready to work.

    Args:
        training: the words of the training lines, for a rival that takes a dictionary.
        scratch: a folder for the rival's own files.
    Raises:
        MissingRivalError: the package or its model is not here.
    """
    return RIVALS[name](training, scratch)


def _package(module: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about Python, not about what is measured
            return import_module(module)
    except ImportError as error:
        raise MissingRivalError(f'not installed ({error}); install it with: pip install "seqloom[rivals]"') from None


def _jieba(training: Sequence[Sequence[str]], scratch: Path) -> Contestant:
    segment = _jieba_tokenizer(scratch / "jieba", dictionary=None)
    return Contestant("jieba", "its own dictionary and HMM", segment)


def _jieba_words(training: Sequence[Sequence[str]], scratch: Path) -> Contestant:
    """jieba with the training words and their counts in the place of its dictionary; its HMM stays its own."""
    counts: Counter[str] = Counter()
    for words in training:
        # The test text may write the same digits and letters in either width, and jieba does not fold them.
        counts.update(form for word in words for form in {word, fold_width(word)})
    folder = scratch / "jieba-words"
    folder.mkdir()
    dictionary = folder / "words.txt"
    dictionary.write_text("".join(f"{word} {count}\n" for word, count in sorted(counts.items())), encoding="utf-8")
    segment = _jieba_tokenizer(folder, dictionary)
    return Contestant("jieba, training words", "training words with counts; its own HMM", segment)


def _jieba_tokenizer(folder: Path, dictionary: Path | None) -> Segment:
    jieba = _package("jieba")
    jieba.setLogLevel("WARNING")
    folder.mkdir(exist_ok=True)
    tokenizer = jieba.Tokenizer() if dictionary is None else jieba.Tokenizer(dictionary=str(dictionary))
    tokenizer.tmp_dir = str(folder)  # a cache of another dictionary or version must not speak here
    tokenizer.initialize()
    return lambda lines: [tokenizer.lcut(line) for line in lines]


def _snownlp(training: Sequence[Sequence[str]], scratch: Path) -> Contestant:
    segment = _package("snownlp.seg").seg
    # snownlp/seg/data.txt, from which its model is made, holds the 19,484 lines of that month, none held out.
    origin = "People's Daily, January 1998: the month of the PKU training text, all of it"
    return Contestant("snownlp", origin, lambda lines: [segment(line) for line in lines])


def _pkuseg(training: Sequence[Sequence[str]], scratch: Path) -> Contestant:
    """pkuseg with its default model, where a person has it; nothing is fetched here."""
    package = _package("spacy_pkuseg")
    name = "spacy_ontonotes"
    folder = Path(package.config.pkuseg_home) / name
    if not (folder / "weights.npz").exists():
        raise MissingRivalError(
            f"its package holds no model, and a benchmark downloads nothing; unpack {package.config.model_urls[name]} "
            f"as {name} in the folder that PKUSEG_HOME names (~/.pkuseg where it is not set)"
        )
    cut = package.pkuseg(str(folder)).cut
    return Contestant("pkuseg", f"its default model {name} (OntoNotes)", lambda lines: [cut(line) for line in lines])


RIVALS: dict[str, Callable[[Sequence[Sequence[str]], Path], Contestant]] = {
    "jieba": _jieba,
    "jieba-words": _jieba_words,
    "snownlp": _snownlp,
    "pkuseg": _pkuseg,
}
