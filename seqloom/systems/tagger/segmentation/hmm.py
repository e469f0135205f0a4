"""Hidden Markov model over the tags begin, middle, end, single: a small generative segmenter for words in no dictionary."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from seqloom.data.characters import code_points
from seqloom.data.tagged.words import tags_to_words, words_to_tags
from seqloom.decoding.lattice import k_best_paths, make_arcs
from seqloom.errors import ConfigError, DataError
from seqloom.systems.tagger.segmentation.dictionary import Dictionary
from seqloom.systems.tagger.segmentation.method import Arrays, Settings, bound_texts
from seqloom.systems.tagger.segmentation.user_words import impose_user_words

__all__ = ["HiddenMarkovModel"]

Scores = NDArray[np.float64]

_TAGS = "BMES"
_B, _M, _E, _S = range(4)
_LEGAL = np.array([[0, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1]], dtype=bool)
_STARTS = np.array([1, 0, 0, 1], dtype=bool)
_BLOCK = 250_000  # characters


class HiddenMarkovModel:
    """``p(t_1) p(c_1 | t_1) prod p(t_i | t_{i-1}) p(c_i | t_i)`` with Viterbi decoding over the legal tag strings.

    Emissions are smoothed by adding ``smoothing`` to each count. A character never seen in training is emitted as rare
    characters are: in proportion to the tags of the characters that were seen exactly once, smoothed likewise.

    Args:
        characters: the known characters.
        start: (4,) log p(t_1), in the order B, M, E, S.
        transition: (4, 4) log p(t_i | t_{i-1}), row = previous tag; ``-inf`` where illegal.
        emission: (characters + 1, 4) log p(c | t); row 0 is for characters not seen.
        dictionary: a user's words, imposed as `impose_user_words` documents; none by default.
    """

    def __init__(
        self,
        characters: str,
        start: Scores,
        transition: Scores,
        emission: Scores,
        dictionary: Dictionary | None = None,
    ) -> None:
        if emission.shape != (len(characters) + 1, 4):
            expected = (len(characters) + 1, 4)
            raise ValueError(
                f"emission has shape {emission.shape}; expected {expected}, one row per character and one more"
            )
        self.characters = characters
        self.start = start
        self.transition = transition
        self.emission = emission
        self.dictionary = dictionary
        for name, scores in (("start", start), ("transition", transition), ("emission", emission)):
            if scores.dtype.kind != "f" or not (scores < np.inf).all():
                raise ValueError(f"a score of {name} is not a number below infinity")
        self._number = np.zeros(0x110000, dtype=np.int32)
        self._number[code_points(characters)] = np.arange(1, len(characters) + 1, dtype=np.int32)

    @classmethod
    def fit(cls, lines: Iterable[list[str]], *, smoothing: float = 0.1) -> Self:
        """Count tags, tag pairs and emissions of segmented lines.

        Raises:
            ConfigError: ``smoothing`` is not positive.
            DataError: there is no word in the lines.
        """
        if not smoothing > 0:
            raise ConfigError(f"smoothing is {smoothing}; expected a number above 0")
        pairs: Counter[tuple[str, str]] = Counter()
        moves: Counter[str] = Counter()
        for line in lines:
            tags = words_to_tags([word for word in line if word])
            pairs.update(zip("".join(line), tags, strict=True))
            moves.update(map("".join, pairwise(f">{tags}")))
        if not pairs:
            raise DataError("the training lines of the hidden Markov model hold no word; expected segmented text")
        start = np.array([moves[f">{tag}"] for tag in _TAGS], dtype=np.float64) + smoothing
        transition = np.array([[moves[a + b] for b in _TAGS] for a in _TAGS], dtype=np.float64) + smoothing
        characters = "".join(sorted({character for character, _ in pairs}))
        number = {character: row for row, character in enumerate(characters, start=1)}
        counts = np.zeros((len(characters) + 1, 4))
        for (character, tag), count in pairs.items():
            counts[number[character], _TAGS.index(tag)] = count
        counts[0] = counts[counts.sum(axis=1) == 1].sum(axis=0)
        emission = counts + smoothing
        with np.errstate(divide="ignore"):
            legal_start = np.log(start * _STARTS)
            legal = np.log(transition * _LEGAL)
        return cls(
            characters,
            legal_start - np.log((start * _STARTS).sum()),
            legal - np.log((transition * _LEGAL).sum(axis=1, keepdims=True)),
            np.log(emission) - np.log(emission.sum(axis=0)),
        )

    def _emissions(self, text: str) -> Scores:
        return self.emission[self._number[code_points(text)]]

    def tag(self, texts: Sequence[str]) -> list[str]:
        """The most probable legal tags of each text, one letter per character."""
        tagged: list[str] = []
        for block in bound_texts(texts, _BLOCK):
            scores = self._emissions("".join(block))
            ends = np.cumsum([len(text) for text in block]).tolist()
            tagged += [
                self._viterbi(scores[begin:end]) if end > begin else ""
                for begin, end in zip([0, *ends], ends, strict=False)
            ]
        return tagged

    def _viterbi(self, emissions: Scores) -> str:
        """Best legal tags for (n, 4) emissions, n > 0.

        Only two tags can precede each tag (E or S before B and S; B or M before M and E), so a step is four comparisons:
        plain Python does them faster than NumPy does rows of four, whatever the lengths of the texts.
        """
        (_, b_m, b_e, _), (_, m_m, m_e, _), (e_b, _, _, e_s), (s_b, _, _, s_s) = self.transition.tolist()
        first = emissions[0]
        b, s = float(self.start[_B] + first[_B]), float(self.start[_S] + first[_S])
        m = e = float("-inf")
        back: list[tuple[bool, bool, bool, bool]] = []  # for B, M, E, S: whether it comes from S, M, M, S
        for to_b, to_m, to_e, to_s in emissions[1:].tolist():
            b_old, m_old, e_old, s_old = e + e_b, b + b_m, b + b_e, e + e_s
            b_new, m_new, e_new, s_new = s + s_b, m + m_m, m + m_e, s + s_s
            from_b, from_m, from_e, from_s = b_new > b_old, m_new > m_old, e_new > e_old, s_new > s_old
            back.append((from_b, from_m, from_e, from_s))
            b = to_b + (b_new if from_b else b_old)
            m = to_m + (m_new if from_m else m_old)
            e = to_e + (e_new if from_e else e_old)
            s = to_s + (s_new if from_s else s_old)
        tag = _S if s > e else _E
        tags = [tag]
        previous = ((_E, _S), (_B, _M), (_B, _M), (_E, _S))
        for step in reversed(back):
            tag = previous[tag][step[tag]]
            tags.append(tag)
        return "".join([_TAGS[tag] for tag in reversed(tags)])

    def segment(self, texts: Sequence[str]) -> list[list[str]]:
        """The words of each text."""
        segmented = [tags_to_words(text, tags) for text, tags in zip(texts, self.tag(texts), strict=True)]
        return segmented if self.dictionary is None else impose_user_words(self.dictionary, texts, segmented)

    def n_best(self, text: str, k: int) -> list[tuple[list[str], float]]:
        """The ``k`` most probable readings with their joint log-probabilities, exactly.

        A user's words are imposed on each; what becomes equal is said once, with the better score.
        """
        if not text:
            return [([], 0.0)]
        emissions = self._emissions(text)
        n = len(text)
        # Node 0 starts, node 1 + 4 i + t is tag t at character i, node 4 n + 1 ends.
        tag_from, tag_to = np.nonzero(_LEGAL)
        steps = 4 * np.arange(n - 1)[:, None]
        begins, ends = np.flatnonzero(_STARTS), np.array([_E, _S])
        source = np.concatenate([np.zeros(2, dtype=np.int64), (1 + steps + tag_from).ravel(), 4 * n - 3 + ends])
        target = np.concatenate([1 + begins, (5 + steps + tag_to).ravel(), np.full(2, 4 * n + 1)])
        moves = (self.transition[tag_from, tag_to] + emissions[1:, tag_to]).ravel()
        weight = np.concatenate([self.start[begins] + emissions[0, begins], moves, np.zeros(2)])
        arcs, order = make_arcs(4 * n + 2, source, target)
        paths = k_best_paths(arcs, weight[order], 0, [4 * n + 1], k)
        best: dict[tuple[str, ...], float] = {}
        for nodes, score in paths:
            words = tags_to_words(text, [_TAGS[(node - 1) % 4] for node in nodes[1:-1]])
            if self.dictionary is not None:
                words = impose_user_words(self.dictionary, [text], [words])[0]
            best.setdefault(tuple(words), float(score))
        return [(list(words), score) for words, score in best.items()]

    def with_dictionary(self, dictionary: Dictionary) -> "HiddenMarkovModel":
        """The same model under a user's words."""
        return HiddenMarkovModel(self.characters, self.start, self.transition, self.emission, dictionary)

    def state(self) -> tuple[Arrays, Settings]:
        """Arrays and settings that `from_state` reads."""
        arrays: Arrays = {
            "characters": code_points(self.characters),
            "start": self.start,
            "transition": self.transition,
            "emission": self.emission,
        }
        if self.dictionary is not None:
            arrays |= {f"dictionary.{name}": array for name, array in self.dictionary.arrays().items()}
        return arrays, {"dictionary": self.dictionary is not None}

    @classmethod
    def from_state(cls, arrays: Arrays, settings: Settings) -> Self:
        """The method that `state` described."""
        characters = arrays["characters"].astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
        dictionary = Dictionary.from_arrays(arrays, "dictionary.") if settings["dictionary"] else None
        return cls(characters, arrays["start"], arrays["transition"], arrays["emission"], dictionary)
