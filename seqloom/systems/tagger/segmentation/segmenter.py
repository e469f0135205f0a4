"""The word segmenter as a product: raw text in, words with offsets out, whatever the method."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, Self

from seqloom.errors import ConfigError, DataError, ModelError, SeqloomError
from seqloom.systems.saved import Contents, ModelDirectory, SavedModel
from seqloom.systems.tagger.segmentation import methods
from seqloom.systems.tagger.segmentation.dictionary import Dictionary
from seqloom.systems.tagger.segmentation.method import StoredSegmenter, WordSegmenter
from seqloom.systems.tagger.segmentation.pieces import PieceStream, fold_width, pieces
from seqloom.systems.tagger.segmentation.word_lattice import build_lattice

if TYPE_CHECKING:
    from seqloom.systems.tagger.network import TaggerNetwork
    from seqloom.systems.tagger.segmentation.neural import NeuralSegmenter

__all__ = ["Segmentation", "SegmentationStream", "Segmenter"]


@dataclass(frozen=True)
class Segmentation:
    """A text and its words.

    Attributes:
        text: the text as it was given.
        spans: for each word the offsets (start, end) of its characters in the text.
    """

    text: str
    spans: tuple[tuple[int, int], ...]

    @property
    def words(self) -> list[str]:
        """The words; joined they are the text without its whitespace."""
        return [self.text[start:end] for start, end in self.spans]

    def __str__(self) -> str:
        return " ".join(self.words)

    def with_spaces(self) -> "Segmentation":
        """The same with each run of whitespace as a word of its own, so that the words joined are the text."""
        spans: list[tuple[int, int]] = []
        for start, end in (*self.spans, (len(self.text), len(self.text))):
            before = spans[-1][1] if spans else 0
            if before < start:
                spans.append((before, start))
            if start < end:
                spans.append((start, end))
        return Segmentation(self.text, tuple(spans))

    def to_dict(self) -> dict[str, Any]:
        """Text and words with offsets, for JSON."""
        words = [{"w": self.text[start:end], "start": start, "end": end} for start, end in self.spans]
        return {"text": self.text, "words": words}


class Segmenter(SavedModel):
    """Segments raw text by one method.

    Args:
        method: the name of the method.
        words: the training words with their counts; what recall of unknown words is measured against.
        implementation: the method itself.
        fold: whether full-width digits, letters and punctuation are read as half-width ones.
        maximum_length: longer sentences are cut.
    """

    system = "segmenter"

    def __init__(
        self,
        method: str,
        words: Dictionary,
        implementation: WordSegmenter,
        *,
        fold: bool = True,
        maximum_length: int = 200,
    ):
        super().__init__()
        self.method, self.words, self.implementation = method, words, implementation
        self.fold, self.maximum_length = fold, maximum_length

    def predict(self, texts: Iterable[str]) -> list[Segmentation]:
        """Segments texts together: far faster than one at a time.

        Args:
            texts: any strings; whitespace separates words and belongs to none. A string alone is one text.
        Raises:
            DataError: something among them is no string; names which.
        """
        given = [texts] if isinstance(texts, str) else checked_texts(texts)
        spans = [pieces(text, self.maximum_length) for text in given]
        segmented = iter(
            self._segment([text[start:end] for text, some in zip(given, spans, strict=True) for start, end in some])
        )
        results = []
        for text, some in zip(given, spans, strict=True):
            placed: list[tuple[int, int]] = []
            for start, _ in some:
                for word in next(segmented):
                    placed.append((start, start + len(word)))
                    start += len(word)
            results.append(Segmentation(text, tuple(placed)))
        return results

    def n_best(self, text: str, k: int) -> list[tuple[Segmentation, float]]:
        """Up to k segmentations of one text with their scores, best first.

        Each sentence of the text has its own k best; the best k combinations of them are exact, since scores add up.
        """
        if k < 1:
            raise ConfigError(f"nbest is {k}; expected 1 or more")
        checked_texts([text])
        spans = pieces(text, self.maximum_length)
        ranked = [self.implementation.n_best(self._read(text[start:end]), k) for start, end in spans]
        results = []
        for choice, score in _best_combinations([[score for _, score in some] for some in ranked], k):
            placed: list[tuple[int, int]] = []
            for (start, _), some, rank in zip(spans, ranked, choice, strict=True):
                for word in some[rank][0]:
                    placed.append((start, start + len(word)))
                    start += len(word)
            results.append((Segmentation(text, tuple(placed)), score))
        return results

    def full(self, texts: Iterable[str]) -> list[list[str]]:
        """Every dictionary word of each text, overlapping or not, and the characters that are in none."""
        all_words = []
        for text in [texts] if isinstance(texts, str) else checked_texts(texts):
            spans = pieces(text, self.maximum_length)
            lattice = build_lattice(self.words, [self._read(text[start:end]) for start, end in spans], join_runs=True)
            words = [
                text[start + begin : start + end]
                for (start, _), some in zip(spans, lattice.full(), strict=True)
                for begin, end in some
            ]
            all_words.append(words)
        return all_words

    def stream(self) -> "SegmentationStream":
        """A stream: text goes in as chunks, the words of each sentence come out as soon as it is complete."""
        return SegmentationStream(self)

    def with_dictionary(self, user: Dictionary) -> "Segmenter":
        """The same segmenter under a user's words, read as its text is; their priorities are documented in ``dictionary.py``."""
        words = self.words.with_words(user.folded(self._read).user)
        return self._like(self.method, words, self.implementation.with_dictionary(words))

    def with_method(self, method: str) -> "Segmenter":
        """Another method on the same words, such as ``fmm`` as a fast path; it must need nothing but the words.

        Raises:
            ConfigError: the method has to be trained.
        """
        if method == self.method:
            return self
        if method not in methods.DICTIONARY_METHODS:
            raise ConfigError(
                f"method {method!r} is not in this model of method {self.method!r}: beside its own method a model can run "
                f"{', '.join(methods.DICTIONARY_METHODS)}; train one with --method {method}"
            )
        return self._like(method, self.words, methods.dictionary_method(method, self.words))

    @property
    def network(self) -> "TaggerNetwork":
        """The network of the methods that have one.

        Raises:
            ConfigError: this method has none.
        """
        if self.neural is None:
            raise ConfigError(f"a segmenter of method {self.method!r} has no network")
        return self.neural.tagger.network

    @property
    def neural(self) -> "NeuralSegmenter | None":
        """The implementation of the methods with a network. No other method imports torch, which takes longer than they do."""
        if self.method not in methods.NETWORK_METHODS:
            return None
        from seqloom.systems.tagger.segmentation.neural import NeuralSegmenter

        return self.implementation if isinstance(self.implementation, NeuralSegmenter) else None

    def _like(self, method: str, words: Dictionary, implementation: WordSegmenter) -> "Segmenter":
        return Segmenter(method, words, implementation, fold=self.fold, maximum_length=self.maximum_length)

    def _read(self, text: str) -> str:
        return fold_width(text) if self.fold else text

    def _segment(self, texts: Sequence[str]) -> list[list[str]]:
        return self.implementation.segment([self._read(text) for text in texts])

    def contents(self) -> Contents:
        """What its directory holds."""
        config: dict[str, Any] = {
            "method": self.method,
            "fold_width": self.fold,
            "maximum_length": self.maximum_length,
        }
        tensors = {f"words.{name}": array for name, array in self.words.arrays().items()}
        tagger = None if self.neural is None else self.neural.tagger
        if tagger is not None:
            config |= tagger.settings()
            tensors |= tagger.tensors()
        else:
            if not isinstance(self.implementation, StoredSegmenter):
                raise TypeError(f"{type(self.implementation).__name__} has no state to save")
            arrays, config["settings"] = self.implementation.state()
            tensors |= {f"method.{name}": array for name, array in arrays.items()}
        return Contents(
            config,
            tensors,
            title=f"Word segmenter, method {self.method}",
            purpose="Cuts raw Chinese text into words; whitespace separates words and belongs to none.",
            usage="```\nseqloom predict MODEL text.txt\necho 我是中国人 | seqloom predict MODEL - --format json --nbest 3\n```\n",
            vocabularies=tagger.save_vocabularies if tagger is not None else lambda folder: None,
        )

    @classmethod
    def from_directory(cls, directory: ModelDirectory) -> Self:
        """The segmenter of a model directory.

        Raises:
            ModelError: something is missing or does not fit together.
        """
        method = directory.text("method")
        try:
            words = Dictionary.from_arrays(_below("words", directory.tensors))
            implementation: WordSegmenter
            if method in methods.NETWORK_METHODS:
                from seqloom.systems.tagger.segmentation.neural import NeuralSegmenter
                from seqloom.systems.tagger.tagger import Tagger

                implementation = NeuralSegmenter(Tagger.from_directory(directory), words)
            else:
                implementation = methods.restore(
                    method, _below("method", directory.tensors), directory.section("settings")
                )
        except (KeyError, ValueError, TypeError, UnicodeDecodeError) as error:
            if isinstance(error, SeqloomError):
                raise
            raise ModelError(f"{directory.path}: the model of method {method!r} is damaged ({error})") from None
        return cls(
            method,
            words,
            implementation,
            fold=bool(directory.setting("fold_width")),
            maximum_length=_positive(directory, "maximum_length"),
        )


class SegmentationStream:
    """Text in as chunks, words out by the sentence; the words do not depend on how the text is cut into chunks."""

    def __init__(self, segmenter: Segmenter):
        self._segmenter = segmenter
        self._pieces = PieceStream(segmenter.maximum_length)

    def push(self, chunk: str) -> list[str]:
        """Takes more text; returns the words of the sentences that are complete now."""
        checked_texts([chunk])
        return self._words(self._pieces.push(chunk))

    def close(self) -> list[str]:
        """Ends the text; returns the words of what was still open."""
        return self._words(self._pieces.close())

    def _words(self, complete: list[str]) -> list[str]:
        return [word for segmentation in self._segmenter.predict(complete) for word in segmentation.words]


def checked_texts(texts: Iterable[Any]) -> list[str]:
    """The texts, all of which must be strings.

    Raises:
        DataError: one is not, or they are no sequence; names which.
    """
    if not isinstance(texts, Iterable):
        raise DataError(f"{texts!r:.60} is given where texts are expected, as a list of strings")
    given = list(texts)
    for position, text in enumerate(given):
        if not isinstance(text, str):
            raise DataError(f"text[{position}] is {text!r:.60}; expected a string")
    return given


def _positive(directory: ModelDirectory, name: str) -> int:
    value = directory.setting(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelError(f"{directory.path / 'config.yaml'}: {name!r} is no number from 1 up; the file is damaged")
    return value


def _below(prefix: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(f"{prefix}."): array for name, array in tensors.items() if name.startswith(f"{prefix}.")}


def _best_combinations(scores: Sequence[Sequence[float]], k: int) -> Iterator[tuple[tuple[int, ...], float]]:
    """The k best choices of one entry per list, by the sum of their scores; the lists are sorted, best first."""
    first = (0,) * len(scores)
    heap = [(-sum(some[0] for some in scores), first)]
    seen = {first}
    while heap and k > 0:
        score, choice = heappop(heap)
        yield choice, -score
        k -= 1
        for place, rank in enumerate(choice):
            following = (*choice[:place], rank + 1, *choice[place + 1 :])
            if rank + 1 < len(scores[place]) and following not in seen:
                seen.add(following)
                total = -sum(some[index] for some, index in zip(scores, following, strict=True))
                heappush(heap, (total, following))
