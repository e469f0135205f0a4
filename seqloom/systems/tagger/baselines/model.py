"""A tagger without a network as a model: the same verbs as the neural tagger, in one directory. No torch is imported."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from seqloom.data.tagged.schemes import convert
from seqloom.data.tagged.sentences import Sentence
from seqloom.data.vocabulary import TagVocabulary, Vocabulary
from seqloom.errors import ModelError, SeqloomError
from seqloom.systems.saved import Contents, ModelDirectory, SavedModel
from seqloom.systems.tagger.baselines import methods
from seqloom.systems.tagger.baselines.config import StatisticsConfig
from seqloom.systems.tagger.baselines.method import BaselineMethod, Ids, Probabilities, Stored, TaggedCorpus, Tokens
from seqloom.systems.tagger.config import PURPOSE, USAGE
from seqloom.systems.tagger.explanation import Explanation, Reading
from seqloom.systems.tagger.seen import SEEN, Seen
from seqloom.systems.tagger.stored import stored_reading, stored_scheme
from seqloom.systems.tagger.streaming import SentenceStream, checked_sentences

__all__ = ["BaselineTagger"]

MOST_PATHS = 1000  # of a sentence, among which taggings that differ are looked for


class BaselineTagger(SavedModel):
    """Tags tokens by one of the methods without a network.

    These decode without constraints. Where tags spell spans, what breaks the scheme is respelled as the CoNLL scorer
    reads it (`spans_from`), so predicted tags are always legal and their lenient scores are the method's own. The
    probability of a respelled tag is what the method gave to that spelling.

    Args:
        method: its name.
        words: the training words with their counts.
        tags: the tags, and thereby their ids.
        implementation: the method itself.
        scheme: how tags spell spans, or None.

    Attributes:
        reading: how its data were read, and hence how files are read at prediction.
        seen: what its training data had, where that is kept.
        labels: None: these methods give whole sentences no label.
    """

    system = "tagger"
    labels: TagVocabulary | None = None

    def __init__(
        self, method: str, words: Vocabulary, tags: TagVocabulary, implementation: BaselineMethod, scheme: str | None
    ):
        super().__init__()
        self.method, self.words, self.tags = method, words, tags
        self.implementation, self.scheme = implementation, scheme
        self.reading: dict[str, Any] = {}
        self.seen: Seen | None = None

    @classmethod
    def fit(
        cls,
        method: str,
        sentences: Sequence[Sentence],
        scheme: str | None = None,
        settings: StatisticsConfig | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Self:
        """A tagger fitted on tagged sentences.

        Raises:
            ConfigError: there is no such method, or a setting is out of range.
            DataError: a sentence has no tags, or there is no token at all.
        """
        corpus = TaggedCorpus.of(sentences)
        tagger = cls(method, corpus.words, corpus.tags, methods.fit(method, corpus, settings, progress), scheme)
        tagger.seen = Seen.of(sentences, scheme)
        return tagger

    def predict(self, sentences: Iterable[Tokens]) -> list[list[str]]:
        """The tags of each sentence, as :meth:`Tagger.predict`."""
        return [self.spelled(path) for path in self.implementation.tag(checked_sentences(sentences))]

    def predict_with_labels(self, sentences: Sequence[Tokens]) -> list[tuple[list[str], str | None]]:
        """The tags of each sentence, with None for its label."""
        return [(tags, None) for tags in self.predict(sentences)]

    def stream(self) -> SentenceStream[Tokens, list[str]]:
        """A stream, as :meth:`Tagger.stream`."""
        return SentenceStream(self.predict)

    def readings(self, sentences: Sequence[Tokens]) -> list[Reading]:
        """The tags of each sentence and the probabilities of all tags."""
        return list(map(Reading, self.predict(sentences), self.marginals(sentences)))

    def marginals(self, sentences: Sequence[Tokens]) -> list[Probabilities]:
        """The (T, K) probability of every tag at every token, over all tag sequences, illegal ones too."""
        return self.implementation.marginals(sentences)

    def n_best(self, sentences: Sequence[Tokens], k: int) -> list[list[tuple[list[str], float]]]:
        """Up to k different taggings of each sentence, best first, with their log-probabilities in nats.

        Of the paths that are respelled alike the best one counts.
        """
        if self.scheme is None:
            return [self._distinct(ranked, k) for ranked in self.implementation.k_best(sentences, k)]
        return [self._respelled_best(sentence, k) for sentence in sentences]

    def _respelled_best(self, sentence: Tokens, k: int) -> list[tuple[list[str], float]]:
        """Asks for more paths until enough of them differ, or there are no more."""
        asked = k
        while True:
            (ranked,) = self.implementation.k_best([sentence], asked)
            paths = self._distinct(ranked, k)
            if len(paths) == k or len(ranked) < asked or asked >= MOST_PATHS:
                return paths
            asked *= 4

    def _distinct(self, ranked: Sequence[tuple[Ids, float]], k: int) -> list[tuple[list[str], float]]:
        best: dict[tuple[str, ...], float] = {}
        for path, value in ranked:
            best.setdefault(tuple(self.spelled(path)), value)
        return [(list(tags), value) for tags, value in best.items()][:k]

    def explain(self, tokens: Tokens, k: int = 3) -> Explanation:
        """How the tags of one sentence came about: each token's most probable tags, and the k best taggings."""
        (ranked,), (reading,) = self.n_best([tokens], k), self.readings([tokens])
        return Explanation.of(tokens, reading, ranked, self.tags.entries)

    def spelled(self, path: Ids) -> list[str]:
        """The tags of a path, spelled as the scheme demands."""
        tags = self.tags.names(path.tolist())
        return tags if self.scheme is None else convert(tags, self.scheme, self.scheme)

    def contents(self) -> Contents:
        """What its directory holds."""
        stored = self.implementation.stored()

        def vocabularies(folder: Path) -> None:
            for name, vocabulary in {"words": self.words, **stored.vocabularies}.items():
                vocabulary.save(folder / f"{name}.json")
            self.tags.save(folder / "tags.json")
            if self.seen is not None:
                self.seen.save(folder / SEEN)

        return Contents(
            config={"method": self.method, "scheme": self.scheme, "reading": self.reading},
            tensors=stored.arrays,
            title=f"Tagger of {len(self.tags)} tags, method {self.method}",
            purpose=PURPOSE,
            usage=USAGE,
            vocabularies=vocabularies,
        )

    @classmethod
    def from_directory(cls, directory: ModelDirectory) -> Self:
        """The tagger of a model directory.

        Raises:
            ModelError: something is missing or does not fit together.
        """
        method = directory.text("method")
        files = {file.stem: file for file in directory.vocab.glob("*.json") if file.name not in ("tags.json", SEEN)}
        words, tags = Vocabulary.load(directory.vocab / "words.json"), TagVocabulary.load(directory.vocab / "tags.json")
        stored = Stored(
            directory.tensors, {name: Vocabulary.load(file) for name, file in files.items() if name != "words"}
        )
        try:
            implementation = methods.restore(method, words, tags, stored)
        except (KeyError, ValueError, IndexError, TypeError) as error:
            if isinstance(error, SeqloomError):
                raise
            raise ModelError(f"{directory.path}: the model of method {method!r} is damaged ({error})") from None
        scheme = stored_scheme(directory, tags)
        tagger = cls(method, words, tags, implementation, scheme)
        tagger.reading = stored_reading(directory)
        tagger.seen = Seen.load(directory.vocab / SEEN) if (directory.vocab / SEEN).exists() else None
        return tagger
