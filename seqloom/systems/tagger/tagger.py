"""The tagger as a model: from tokens to tags, with everything that is needed to do so in one directory."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqloom.data.batching import evaluation_batches, restore_order
from seqloom.data.tagged.legality import constraints
from seqloom.data.vocabulary import TagVocabulary
from seqloom.losses.constraints import Constraints
from seqloom.systems.saved import Contents, ModelDirectory, SavedModel, check_fit, load_weights, weights_of
from seqloom.systems.supervised import evaluating
from seqloom.systems.tagger.config import PURPOSE, USAGE, TaggerModelConfig
from seqloom.systems.tagger.encoding import EncodedCorpus, TaggerBatch
from seqloom.systems.tagger.explanation import Explanation, Reading
from seqloom.systems.tagger.features import FeatureSet, Ids, Tokens
from seqloom.systems.tagger.network import TaggerNetwork
from seqloom.systems.tagger.seen import SEEN, Seen
from seqloom.systems.tagger.stored import stored_reading, stored_scheme
from seqloom.systems.tagger.streaming import SentenceStream, checked_sentences
from seqloom.systems.tagger.vectors import load_vectors

__all__ = ["Adjustment", "Tagger"]

# Changes the scores (B, T, K) of the sentences of these indices before decoding, for dictionaries and other knowledge.
Adjustment = Callable[[Ids, Tensor], Tensor]

# Padded tokens of a batch at prediction: enough for the products to run at full speed, small enough for the caches.
PREDICTION_TOKENS = 8192

Decoded = TypeVar("Decoded")


class Tagger(SavedModel):
    """One tag for each token (Huang et al. 2015; Lample et al. 2016; Ma & Hovy 2016).

    Args:
        config: sizes of the network.
        features: the fitted features.
        tags: the tags, and thereby their ids.
        scheme: the scheme whose illegal transitions are never predicted, or None.
        labels: the labels of whole sentences, where these have any.

    Attributes:
        reading: how its data were read, and hence how files are read at prediction.
        seen: what its training data had, where that is kept.
    """

    system = "tagger"

    def __init__(
        self,
        config: TaggerModelConfig,
        features: FeatureSet,
        tags: TagVocabulary,
        scheme: str | None,
        labels: TagVocabulary | None = None,
    ):
        super().__init__()
        self.config, self.features, self.tags, self.scheme, self.labels = config, features, tags, scheme, labels
        self.reading: dict[str, Any] = {}
        self.seen: Seen | None = None
        if scheme is None:
            everything = torch.ones(len(tags), dtype=torch.bool)
            allowed = Constraints(everything, everything.expand(len(tags), -1).clone(), everything)
        else:
            between, start, end = (torch.from_numpy(mask) for mask in constraints(tags.entries, scheme))
            allowed = Constraints(start, between, end)
        self.network = TaggerNetwork(config, features.sizes(), allowed, len(tags), len(labels) if labels else 0)

    def load_embeddings(self) -> dict[str, str]:
        """Puts the pretrained vectors of the configuration into the tables; says for each how many were found.

        Raises:
            ConfigError: a feature is not in use, or its size is not that of the vectors.
            DataError: a file is missing or damaged.
        """
        return load_vectors(self.network, self.features, self.config.embeddings)

    def decode(self, sentences: Sequence[Tokens], adjust: Adjustment | None = None) -> list[Ids]:
        """The (T,) tag ids of each sentence, computed in batches of like length; empty sentences are legal."""

        def best(emissions: Tensor, lengths: Tensor) -> list[Ids]:
            paths, _ = self.network.crf.decode(emissions, lengths)
            return [path[:length] for path, length in zip(paths.cpu().numpy(), lengths.tolist(), strict=True)]

        return self._by_batch(sentences, adjust, best)

    def k_best(
        self, sentences: Sequence[Tokens], k: int, adjust: Adjustment | None = None
    ) -> list[list[tuple[Ids, float]]]:
        """Up to k tag paths of each sentence, best first, every one legal, with their log-probabilities in nats."""

        def best(emissions: Tensor, lengths: Tensor) -> list[list[tuple[Ids, float]]]:
            paths, scores = self.network.crf.decode_k_best(emissions, lengths, k=k)
            scores = scores - self.network.crf.log_partition(emissions, lengths)[:, None]
            legal = torch.isfinite(scores)
            for rank in range(paths.shape[1]):
                legal[:, rank] &= ~self.network.crf.illegal_rows(paths[:, rank].clamp(min=0), lengths)
            ranked = []
            for some, values, kept, length in zip(
                paths.cpu().numpy(), scores.tolist(), legal.tolist(), lengths.tolist(), strict=True
            ):
                ranked.append([(some[rank, :length], values[rank]) for rank in range(len(kept)) if kept[rank]])
            return ranked

        return self._by_batch(sentences, adjust, best)

    def marginals(self, sentences: Sequence[Tokens], adjust: Adjustment | None = None) -> list[NDArray[np.float64]]:
        """The (T, K) probability of every tag at every token, over the legal tag sequences."""

        def probabilities(emissions: Tensor, lengths: Tensor) -> list[NDArray[np.float64]]:
            values = self.network.crf.marginals(emissions, lengths).cpu().numpy()
            return [row[:length] for row, length in zip(values, lengths.tolist(), strict=True)]

        return self._by_batch(sentences, adjust, probabilities)

    def predict(self, sentences: Iterable[Tokens]) -> list[list[str]]:
        """The tags of each sentence.

        Args:
            sentences: each a sequence of tokens; a string is the sequence of its characters.
        Raises:
            DataError: something among them is no sentence or no token; names which.
        """
        given = checked_sentences(sentences)
        return [self.tags.names(path.tolist()) for path in self.decode(given)]

    def predict_labels(self, sentences: Sequence[Tokens]) -> list[str] | None:
        """The label of each whole sentence; None where training sentences had none."""
        if self.labels is None:
            return None
        return [label for _, label in self.predict_with_labels(sentences) if label is not None]

    def predict_with_labels(self, sentences: Sequence[Tokens]) -> list[tuple[list[str], str | None]]:
        """The tags of each sentence and its label, from one pass of the network; no labels where training had none."""

        def both(indices: Ids, batch: TaggerBatch) -> list[tuple[list[str], str | None]]:
            emissions, scores = self.network.outputs(batch)
            paths, _ = self.network.crf.decode(emissions, batch.lengths)
            none: list[str | None] = [None] * len(paths)
            labels = none if scores is None or self.labels is None else self.labels.names(scores.argmax(1).tolist())
            return [
                (self.tags.names(path[:length]), label)
                for path, length, label in zip(paths.tolist(), batch.lengths.tolist(), labels, strict=True)
            ]

        return self._run(sentences, both)

    def stream(self) -> SentenceStream[Tokens, list[str]]:
        """A stream: sentences go in, any number at a time, and the tags of each come out at once."""
        return SentenceStream(self.predict)

    def readings(self, sentences: Sequence[Tokens]) -> list[Reading]:
        """The tags of each sentence, its label, and the probabilities of all of them, from one pass of the network."""

        def both(indices: Ids, batch: TaggerBatch) -> list[Reading]:
            emissions, scores = self.network.outputs(batch)
            paths, _ = self.network.crf.decode(emissions, batch.lengths)
            marginals = self.network.crf.marginals(emissions, batch.lengths).cpu().numpy()
            readings = [
                Reading(self.tags.names(path[:length]), rows[:length])
                for path, rows, length in zip(paths.tolist(), marginals, batch.lengths.tolist(), strict=True)
            ]
            if scores is None or self.labels is None:
                return readings
            chances = scores.softmax(1).cpu().numpy()
            names = self.labels.names(chances.argmax(1).tolist())
            return [
                dataclasses.replace(reading, label=name, label_chances=row)
                for reading, name, row in zip(readings, names, chances, strict=True)
            ]

        return self._run(sentences, both)

    def n_best(self, sentences: Sequence[Tokens], k: int) -> list[list[tuple[list[str], float]]]:
        """Up to k taggings of each sentence, best first, with their log-probabilities in nats."""
        return [
            [(self.tags.names(path.tolist()), value) for path, value in ranked] for ranked in self.k_best(sentences, k)
        ]

    def explain(self, tokens: Tokens, k: int = 3) -> Explanation:
        """How the tags of one sentence came about: scores, moves between tags, probabilities, the k best taggings."""

        def parts(emissions: Tensor, lengths: Tensor) -> list[tuple[Tensor, float]]:
            return [(emissions[0], float(self.network.crf.log_partition(emissions, lengths)))]

        (ranked,), (reading,) = self.n_best([tokens], k), self.readings([tokens])
        ((emissions, log_partition),) = self._by_batch([tokens], None, parts)
        names, labels = self.tags.entries, self.labels.entries if self.labels is not None else ()
        potentials = [part.detach().cpu().numpy() for part in self.network.crf.potentials()]
        explanation = Explanation.of(tokens, reading, ranked, names, labels)
        return explanation.scored(names, emissions.cpu().numpy(), potentials, log_partition)

    def _by_batch(
        self, sentences: Sequence[Tokens], adjust: Adjustment | None, decode: Callable[[Tensor, Tensor], list[Decoded]]
    ) -> list[Decoded]:
        def decoded(indices: Ids, batch: TaggerBatch) -> list[Decoded]:
            emissions = self.network.emissions(batch)
            return decode(emissions if adjust is None else adjust(indices, emissions), batch.lengths)

        return self._run(sentences, decoded)

    def _run(self, sentences: Sequence[Tokens], decode: Callable[[Ids, TaggerBatch], list[Decoded]]) -> list[Decoded]:
        """What each sentence becomes, in batches of sentences of like length: ``decode`` is given their indices too."""
        corpus = EncodedCorpus(self.features, sentences)
        device = next(self.network.parameters()).device
        plan = evaluation_batches(corpus.lengths, tokens=PREDICTION_TOKENS)
        with evaluating(self.network):
            results = [decode(indices, corpus.batch(indices).to(device)) for indices in plan]
        return restore_order(plan, results)

    def contents(self) -> Contents:
        """What its directory holds."""
        return Contents(
            config={**self.settings(), "reading": self.reading},
            tensors=self.tensors(),
            title=f"Tagger of {len(self.tags)} tags",
            purpose=PURPOSE,
            usage=USAGE,
            vocabularies=self.save_vocabularies,
        )

    def settings(self) -> dict[str, Any]:
        """What ``config.yaml`` keeps of a tagger beside its weights and vocabularies."""
        return {"model": dataclasses.asdict(self.config), "scheme": self.scheme}

    def tensors(self) -> dict[str, NDArray[Any]]:
        """The weights by name, as the model directory keeps them."""
        return weights_of(self.network)

    def save_vocabularies(self, folder: Path) -> None:
        """Writes the vocabularies of features and tags."""
        self.features.save(folder)
        self.tags.save(folder / "tags.json")
        if self.labels is not None:
            self.labels.save(folder / "labels.json")
        if self.seen is not None:
            self.seen.save(folder / SEEN)

    @classmethod
    def from_directory(cls, directory: ModelDirectory) -> Self:
        """The tagger of a model directory.

        Raises:
            ModelError: the weights do not fit the configuration and the vocabularies.
        """
        config = directory.built("model", TaggerModelConfig)
        names = [name for name, size in config.features.items() if size > 0]
        folding = {"fold_digits": config.fold_digits, "zero_digits": config.zero_digits}
        features = FeatureSet.load(directory.vocab, names, with_vectors=config.embeddings, **folding)
        tags, file = TagVocabulary.load(directory.vocab / "tags.json"), directory.vocab / "labels.json"
        labels = TagVocabulary.load(file) if file.exists() else None
        scheme = stored_scheme(directory, tags)

        check_fit(directory, lambda: cls(config, features, tags, scheme, labels).network)
        tagger = cls(config, features, tags, scheme, labels)
        tagger.reading = stored_reading(directory)
        tagger.seen = Seen.load(directory.vocab / SEEN) if (directory.vocab / SEEN).exists() else None
        load_weights(tagger.network, directory)
        return tagger
