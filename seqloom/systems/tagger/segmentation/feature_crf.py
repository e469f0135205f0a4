"""Conditional random field over hand-made features of characters, trained by crfsuite: the strongest method without a network."""

import math
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Self

import numpy as np

from seqloom.data.tagged.words import tags_to_words, words_to_tags
from seqloom.errors import DataError
from seqloom.systems.crfsuite import Algorithm, open_model, train_model
from seqloom.systems.tagger.segmentation.dictionary import Dictionary
from seqloom.systems.tagger.segmentation.method import Arrays, Settings
from seqloom.systems.tagger.segmentation.user_words import impose_user_words

__all__ = ["FeatureCRF", "character_features"]

_BEGIN, _END = "\x02", "\x03"
# Characters that crfsuite's UTF-8 C strings cannot hold; they are read as the replacement character.
_UNSPEAKABLE = re.compile("[\x00\ud800-\udfff]")


def _kind(character: str) -> str:
    """Digit, Latin letter, punctuation, or H for hanzi and everything else; a boundary is itself.

    >>> "".join(map(_kind, "1０aＺ，.中"))
    'DDLLPPH'
    """
    if character in (_BEGIN, _END):
        return character
    if character.isdecimal():
        return "D"
    point = ord(character)
    point -= 0xFEE0 if 0xFF01 <= point <= 0xFF5E else 0
    if point < 0x250:
        return "L" if chr(point).isalpha() else "P"
    return "H" if character.isalnum() else "P"


class _Kinds(dict[str, str]):
    def __missing__(self, character: str) -> str:
        kind = self[character] = _kind(character)
        return kind


_KINDS = _Kinds()


def character_features(text: str) -> list[list[str]]:
    r"""The features of each character of a text.

    Characters c-2 .. c+2; bigrams c-2 c-1, c-1 c, c c+1, c+1 c+2; the pair c-1 c+1; the kind of c (digit, Latin,
    punctuation, hanzi) and the kinds of c-1 c c+1 together; whether c repeats c-1, and c-2.

    >>> " ".join(character_features("中中")[1]).replace("\x02", "<").replace("\x03", ">")
    '0< 1中 2中 3> 4> 5<中 6中中 7中> 8>> 9中> kH kHH> r1'
    """
    text = _UNSPEAKABLE.sub("\ufffd", text)
    n = len(text)
    padded = f"{_BEGIN}{_BEGIN}{text}{_END}{_END}"
    pairs = [left + right for left, right in pairwise(padded)]
    kinds = [_KINDS[character] for character in padded]
    columns = [[f"{shift}{character}" for character in padded[shift : shift + n]] for shift in range(5)]
    columns += [[f"{5 + shift}{pair}" for pair in pairs[shift : shift + n]] for shift in range(4)]
    columns.append([f"9{left}{right}" for left, right in zip(padded[1:], padded[3:-1], strict=False)])
    columns.append([f"k{kind}" for kind in kinds[2 : 2 + n]])
    columns.append([f"k{a}{b}{c}" for a, b, c in zip(kinds[1:], kinds[2:], kinds[3:-1], strict=False)])
    features = [list(row) for row in zip(*columns, strict=True)]
    for row, here, before, earlier in zip(features, text, padded[1:], padded, strict=False):
        if here == before:
            row.append("r1")
        if here == earlier:
            row.append("r2")
    return features


class FeatureCRF:
    """A linear-chain CRF over BMES tags with the features of `character_features` (Peng, Feng and McCallum 2004).

    crfsuite decodes without constraints. It never saw an illegal tag pair, so they are rare; those that occur are repaired
    as `tags_to_words` documents, so the words always spell the text.

    Args:
        model: the bytes of a ``.crfsuite`` file.
        dictionary: a user's words, imposed as `impose_user_words` documents; none by default.
    Raises:
        ModelError: the bytes are no crfsuite model.
        SeqloomError: crfsuite is not installed.
    """

    def __init__(self, model: bytes, dictionary: Dictionary | None = None) -> None:
        self.model = model
        self.dictionary = dictionary
        self._tagger = open_model(model)
        self._lock = threading.Lock()  # a tagger holds the sentence that it works on

    @classmethod
    def fit(
        cls,
        lines: Iterable[list[str]],
        *,
        c2: float = 0.5,
        iterations: int = 150,
        algorithm: Algorithm = "lbfgs",
        minimum_frequency: float = 1.0,
        progress: Callable[[int, int], None] | None = None,
    ) -> Self:
        """Train on segmented lines; the arguments are those of :func:`~seqloom.systems.crfsuite.train_model`.

        Of L-BFGS, stopping at 50 iterations costs 3 points of F.

        Args:
            lines: the words of each line.
        Raises:
            ConfigError: an argument is out of range.
            DataError: there is no word in the lines.
        Cost: about 1 KB of memory per character; time per iteration is linear in the characters (about 0.2 s per 100,000).
        """
        lines = list(lines)
        if not any(map(any, lines)):
            raise DataError("the training lines of the feature CRF hold no word; expected segmented text")
        sequences = (
            (character_features("".join(line)), list(words_to_tags([word for word in line if word])))
            for line in lines
            if any(line)
        )
        return cls(
            train_model(
                sequences,
                c2=c2,
                iterations=iterations,
                algorithm=algorithm,
                minimum_frequency=minimum_frequency,
                progress=progress,
            )
        )

    def segment(self, texts: Sequence[str]) -> list[list[str]]:
        """The words of each text."""
        segmented = [self._read(text)[0] for text in texts]
        return segmented if self.dictionary is None else impose_user_words(self.dictionary, texts, segmented)

    def _read(self, text: str) -> tuple[list[str], float]:
        if not text:
            return [], 0.0
        with self._lock:
            self._tagger.set(character_features(text))
            tags = self._tagger.tag()
            probability = self._tagger.probability(tags)
        return tags_to_words(text, tags), math.log(max(probability, 5e-324))

    def n_best(self, text: str, k: int) -> list[tuple[list[str], float]]:
        """The one best reading, with the log-probability of its tags (crfsuite keeps no second best)."""
        if k < 1:
            raise ValueError(f"k is {k}; expected at least 1 reading")
        words, score = self._read(text)
        return [(words if self.dictionary is None else impose_user_words(self.dictionary, [text], [words])[0], score)]

    def with_dictionary(self, dictionary: Dictionary) -> "FeatureCRF":
        """The same model under a user's words."""
        return FeatureCRF(self.model, dictionary)

    def state(self) -> tuple[Arrays, Settings]:
        """Arrays and settings that `from_state` reads."""
        arrays: Arrays = {"model": np.frombuffer(self.model, dtype=np.uint8)}
        if self.dictionary is not None:
            arrays |= {f"dictionary.{name}": array for name, array in self.dictionary.arrays().items()}
        return arrays, {"dictionary": self.dictionary is not None}

    @classmethod
    def from_state(cls, arrays: Arrays, settings: Settings) -> Self:
        """The method that `state` described."""
        dictionary = Dictionary.from_arrays(arrays, "dictionary.") if settings["dictionary"] else None
        return cls(arrays["model"].astype(np.uint8).tobytes(), dictionary)
