"""Conditional random field over hand-made features of words, trained by crfsuite: the strongest tagger without a network."""

import math
import re
import threading
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np

from seqloom.data.vocabulary import TagVocabulary, Vocabulary
from seqloom.errors import ModelError
from seqloom.systems.crfsuite import Algorithm, open_model, train_model
from seqloom.systems.tagger.baselines.method import Ids, Probabilities, Stored, TaggedCorpus, Tokens
from seqloom.systems.tagger.token_features import FUNCTIONS

__all__ = ["FeatureCRF", "word_features"]

_SHAPE = FUNCTIONS["shape"]
_WINDOW = 2
_LONGEST_AFFIX = 4
# Characters that crfsuite's UTF-8 C strings cannot hold; they are read as the replacement character.
_UNSPEAKABLE = re.compile("[\x00\ud800-\udfff]")
_BORDERS = ("\x02\x02", "\x02", "\x03", "\x03\x03")  # beyond the sentence, by their distance


def _own_features(token: str) -> list[str]:
    sizes = range(1, min(_LONGEST_AFFIX, len(token)) + 1)
    return [
        "b",  # how frequent each tag is
        f"l{token.lower()}",
        f"h{_SHAPE(token)}",
        *(f"p{token[:size]}" for size in sizes),
        *(f"s{token[-size:]}" for size in sizes),
    ]


def word_features(tokens: Tokens) -> list[list[str]]:
    """The features of each token of a sentence.

    Lower case, shape, prefixes and suffixes of 1 to 4 characters; the words from two places before to two places
    behind, and the two pairs of the word and a neighbour.

    >>> print(*word_features(["Ada", "x"])[0][:9])
    b lada hXx pA pAd pAda sa sda sAda
    """
    spoken = [_UNSPEAKABLE.sub("\ufffd", token) for token in tokens]
    padded = [*_BORDERS[:2], *spoken, *_BORDERS[2:]]
    cache: dict[str, list[str]] = {}
    features = []
    for place, token in enumerate(spoken, start=_WINDOW):
        own = cache.get(token)
        if own is None:
            own = cache[token] = _own_features(token)
        around = [
            f"{shift:+d}{padded[place + shift]}" if shift else f"0{token}" for shift in range(-_WINDOW, _WINDOW + 1)
        ]
        pairs = [f"<{padded[place - 1]} {token}", f">{token} {padded[place + 1]}"]
        features.append([*own, *around, *pairs])
    return features


class FeatureCRF:
    """A linear-chain CRF with the features of `word_features` (Lafferty et al. 2001; Ratnaparkhi's features, 1996).

    Args:
        tags: number of tags K. crfsuite knows them by their ids, so that any string can be a tag.
        model: the bytes of a ``.crfsuite`` file.
    Raises:
        ModelError: the bytes are no crfsuite model.
        SeqloomError: crfsuite is not installed.
    """

    def __init__(self, tags: int, model: bytes) -> None:
        self.tags, self.model = tags, model
        self._tagger = open_model(model)
        self._labels: list[str] = self._tagger.labels()
        if not all(label.isdecimal() and int(label) < tags for label in self._labels):
            raise ModelError(f"the feature CRF's model has other tags than its {tags}; train it again")
        self._lock = threading.Lock()  # a tagger holds the sentence that it works on

    @classmethod
    def fit(
        cls,
        corpus: TaggedCorpus,
        *,
        c2: float = 0.5,
        iterations: int = 10,
        algorithm: Algorithm = "perceptron",
        progress: Callable[[int, int], None] | None = None,
    ) -> Self:
        """Train on the sentences; the arguments are those of :func:`~seqloom.systems.crfsuite.train_model`.

        Raises:
            ConfigError: an argument is out of range.
        Cost: about 2 KB of memory per token; time per iteration grows with tokens times tags squared.
        """
        names = list(map(str, corpus.targets.tolist()))
        ends = np.cumsum([len(tokens) for tokens in corpus.sentences]).tolist()
        sequences = (
            (word_features(tokens), names[end - len(tokens) : end])
            for tokens, end in zip(corpus.sentences, ends, strict=True)
            if len(tokens)
        )
        model = train_model(sequences, c2=c2, iterations=iterations, algorithm=algorithm, progress=progress)
        return cls(len(corpus.tags), model)

    def tag(self, sentences: Sequence[Tokens]) -> list[Ids]:
        """(T,) the most probable tags."""
        return [path for path, _ in map(self._best, sentences)]

    def _best(self, tokens: Tokens) -> tuple[Ids, float]:
        if not len(tokens):
            return np.zeros(0, dtype=np.int64), 0.0
        with self._lock:
            self._tagger.set(word_features(tokens))
            labels = self._tagger.tag()
            probability = self._tagger.probability(labels)
        return np.array(list(map(int, labels)), dtype=np.int64), math.log(max(probability, 5e-324))

    def marginals(self, sentences: Sequence[Tokens]) -> list[Probabilities]:
        """(T, K) the posterior probability of every tag at every token."""
        return list(map(self._posterior, sentences))

    def _posterior(self, tokens: Tokens) -> Probabilities:
        posterior = np.zeros((len(tokens), self.tags))
        if len(tokens):
            with self._lock:
                self._tagger.set(word_features(tokens))
                for label in self._labels:
                    column = [self._tagger.marginal(label, place) for place in range(len(tokens))]
                    posterior[:, int(label)] = column
        return posterior

    def k_best(self, sentences: Sequence[Tokens], k: int) -> list[list[tuple[Ids, float]]]:
        """The one best tag path of each sentence with its log-probability (crfsuite keeps no second best)."""
        return [[self._best(tokens)] for tokens in sentences]

    def stored(self) -> Stored:
        """The bytes of crfsuite's file."""
        return Stored({"model": np.frombuffer(self.model, dtype=np.uint8)}, {})

    @classmethod
    def restored(cls, words: Vocabulary, tags: TagVocabulary, stored: Stored) -> Self:
        """The method that `stored` described."""
        return cls(len(tags), stored.arrays["model"].astype(np.uint8).tobytes())
