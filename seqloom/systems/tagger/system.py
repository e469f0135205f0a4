"""The tagger: one tag for each token, on any file that has a token to a line or a sentence to a line."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from seqloom.data.source import Source
from seqloom.data.tagged.corpus import TaggedCorpus, agreeing, corpus_of, respelled
from seqloom.data.tagged.findings import index_column, misspelled_spans
from seqloom.data.tagged.formats import read
from seqloom.data.tagged.jsonl import ignored_keys, json_record
from seqloom.data.tagged.legality import illegal_tags
from seqloom.data.tagged.sentences import Sentence
from seqloom.data.vocabulary import TagVocabulary
from seqloom.errors import ConfigError, DataError
from seqloom.systems.baseline import Baseline, ProgressCallback
from seqloom.systems.contract import Dataset, Sample, Splits, System
from seqloom.systems.evaluation import Evaluation
from seqloom.systems.saved import ModelDirectory
from seqloom.systems.tagger.baselines.model import BaselineTagger
from seqloom.systems.tagger.config import PredictOptions, TaggerConfig, TaggerDataConfig
from seqloom.systems.tagger.output import predict, read_options
from seqloom.systems.tagger.scoring import AnyTagger, score, sentence_errors
from seqloom.systems.tagger.seen import Seen

if TYPE_CHECKING:
    from seqloom.learning.diagnosis import DiagnosticBatch
    from seqloom.systems.tagger.encoding import EncodedCorpus
    from seqloom.systems.tagger.tagger import Tagger
    from seqloom.training.config import TrainingConfig

__all__ = ["TaggerSystem"]

# Of a data configuration, what a model keeps: how files are read.
_READING = ("format", "columns", "tag", "tokens", "scheme", "convert", "on_misaligned", "encoding", "whole")


class TaggerSystem(System[TaggerConfig, Sentence, Any]):
    """One tag for each token, and where sentences have one, a label for each sentence."""

    name, family = "tagger", "Tagger"
    summary = "one tag for each token of CoNLL columns, CoNLL-U, JSON lines or segmented text"
    config, options = TaggerConfig, PredictOptions
    examples_name = "sentences"
    kind = "tagged"

    def read(self, source: Source, data: TaggerDataConfig | Mapping[str, Any]) -> Dataset[Sentence]:
        """Tagged sentences of a source, and in ``facts`` what their tags are.

        Args:
            data: a data configuration, or the reading part of one as a model keeps it.
        Raises:
            DataError: the file is wrong, or has no tags.
        """
        reading = data if isinstance(data, Mapping) else asdict(data)
        corpus = _corpus(source, reading)
        sentences = corpus.sentences[: reading.get("limit")]
        if not any(sentence.tags for sentence in sentences):
            ignored = _ignored(corpus)
            raise DataError(
                f"{source.name} has no tags ({corpus.report.format}: {corpus.report.reason}); expected a tag per token{ignored}"
            )
        if (trouble := index_column(corpus)) is not None:
            raise DataError(f"{trouble.where}: {trouble.message}")
        for found in misspelled_spans(corpus) if corpus.report.scheme and not corpus.report.scheme.scheme else ():
            print(f"{found.where}: {found.message}", file=sys.stderr)
        cut = corpus.report.format == "jsonl" and any(one.offsets is not None for one in sentences)
        return Dataset(sentences, {"detection": corpus.report.scheme, "cut": cut})

    def splits(self, config: TaggerConfig, objects: Mapping[str, Any]) -> Splits[Sentence]:
        """The data of a configuration, all in the scheme of the training data.

        Raises:
            DataError: tags for development or the test are in no scheme that can become that one; names the place.
        """
        splits = super().splits(config, objects)
        scheme = _scheme(splits.facts)
        known = {tag for sentence in splits.train for tag in sentence.tags or ()}
        agreeing(splits.train, scheme, known)
        dev = _agreeing(splits.dev, scheme, known)
        test = dev if splits.test is splits.dev else _agreeing(splits.test, scheme, known)
        return replace(splits, dev=dev, test=test)

    def trainable(self, dataset: Dataset[Sentence]) -> Sequence[Sentence]:
        """Training sentences in their scheme: no network that keeps to it could learn the others."""
        detection, sentences = dataset.facts["detection"], dataset.examples
        if not (detection and detection.scheme and detection.conflicts):
            return sentences
        legal, broken = respelled(sentences, detection.scheme)
        if broken:
            many = f"{len(broken):,} training sentences break" if len(broken) > 1 else "one training sentence breaks"
            where = broken[0].where(illegal_tags(broken[0].tags or (), detection.scheme)[0][0])
            print(
                f"{many} the scheme {detection.scheme.name}, the first at {where}; learned as the CoNLL scorer reads them",
                file=sys.stderr,
            )
        return legal

    def build(self, config: TaggerConfig, splits: Splits[Sentence]) -> tuple[Tagger, EncodedCorpus]:
        """A tagger at the start of its training, and its encoded sentences.

        Raises:
            ConfigError: the configuration does not fit the data.
            DataError: a file of vectors is missing or damaged.
        """
        from seqloom.systems.tagger.encoding import EncodedCorpus, Hiding, sentence_labels, tag_ids
        from seqloom.systems.tagger.features import FeatureSet
        from seqloom.systems.tagger.tagger import Tagger
        from seqloom.systems.tagger.vectors import know_first_words

        model = config.model
        names = [name for name, size in model.features.items() if size > 0]
        tokens = [sentence.tokens for sentence in splits.train]
        tags = TagVocabulary.build(chain.from_iterable(sentence.tags or () for sentence in splits.train))
        features = FeatureSet.fit(
            names,
            tokens,
            model.minimum_count,
            fold_digits=model.fold_digits,
            zero_digits=model.zero_digits,
            with_vectors=model.embeddings,
        )
        know_first_words(features, model.embeddings, model.extra_vectors)
        labels, label_ids = sentence_labels(splits.train) if model.sentence_label == "auto" else (None, None)
        tagger = Tagger(model, features, tags, _scheme(splits.facts), labels)
        _remember(tagger, config, splits)
        if vectors := tagger.load_embeddings():
            tagger.about = {"embeddings": vectors}
        hiding = Hiding(model.unknown_rate, model.pair_dropout, model.word_dropout)
        targets = tag_ids(splits.train, tags)
        return tagger, EncodedCorpus(features, tokens, targets, labels=label_ids, hiding=hiding)

    def encode(self, model: AnyTagger, examples: Sequence[Sentence]) -> EncodedCorpus:
        """Tagged sentences as the network takes them.

        Raises:
            ConfigError: the model has no network.
            DataError: a tag is unknown to the model.
        """
        from seqloom.systems.tagger.encoding import EncodedCorpus, label_ids, tag_ids

        tagger = _network_tagger(model)
        labels = None if tagger.labels is None else label_ids(examples, tagger.labels)
        tokens = [sentence.tokens for sentence in examples]
        return EncodedCorpus(tagger.features, tokens, tag_ids(examples, tagger.tags), labels=labels)

    def score(self, model: AnyTagger, examples: Sequence[Sentence]) -> Evaluation:
        """Accuracy, and where tags spell spans their precision, recall and F1, told apart by what training had."""
        return score(model, examples, model.seen)

    def validation_scores(self, model: AnyTagger, examples: Sequence[Sentence]) -> dict[str, float]:
        """The scores without a look at what training had."""
        return score(model, examples).values()

    def predict(self, model: AnyTagger, source: Source, options: PredictOptions) -> Iterator[str | bytes]:
        """The input with a tag for each token, in the form that was asked for."""
        live = source.live()
        return predict(model, source.lines(live), options, live.pauses if live is not None else None)

    def restore(self, directory: ModelDirectory) -> AnyTagger:
        """A tagger with a network or without."""
        if "method" in directory.config:
            return BaselineTagger.from_directory(directory)
        from seqloom.systems.tagger.tagger import Tagger

        return Tagger.from_directory(directory)

    def sample(self) -> Sample[Sentence]:
        """Names in six short sentences."""
        names = [("Ann", "Lee", "Oslo"), ("Bo", "Fox", "Rome"), ("Cy", "Poe", "Lima")]
        tags = ("B-PER", "I-PER", "O", "B-LOC")
        sentences = [
            Sentence((first, last, verb, city), tags) for first, last, city in names for verb in ("saw", "left")
        ]
        model = {"features": {"token": 16, "characters": 0}, "hidden_size": 16, "dropout_input": 0, "dropout_output": 0}
        return Sample(
            sections={
                "model": {**model, "unknown_rate": 0},
                "training": {"epochs": 30, "batch_size": 2, "learning_rate": 0.02, "monitor": "auto"},
            },
            examples=[*sentences, Sentence(("Bo", "ran"), ("B-PER", "O"))],
            lines=["Ann Lee saw Rome", "Bo ran", "Cy Fox left Oslo , said Ann"],
            inputs=[["Ann", "Lee", "saw", "Rome"], ["Bo", "ran"]],
            goal=("span_f1", 1.0, 1.0),
            stream=[["Ann", "saw", "Rome"], ["Bo", "ran"], [], ["Lima"]],
        )

    def baselines(self) -> Mapping[str, Baseline]:
        """The most frequent tag of each word, a trigram hidden Markov model, a CRF of features."""
        return {name: _baseline(name) for name in ("most_frequent", "hmm", "crf")}

    def title(self, config: TaggerConfig) -> str:
        """Cell and output of the network, or the method."""
        return f"{config.model.cell} {config.model.output}" if config.method == "network" else config.method

    def settings(self, config: TaggerConfig, splits: Splits[Sentence]) -> TrainingConfig:
        """What ``auto`` monitors: the F1 of spans where tags spell spans, and the accuracy of tags elsewhere."""
        if config.training.monitor != "auto":
            return config.training
        monitor = "span_f1" if _scheme(splits.facts) is not None else "accuracy"
        return replace(config.training, monitor=monitor, mode="max")

    def evaluation_examples(self, model: AnyTagger, source: Source) -> Sequence[Sentence]:
        """Tagged sentences, read as the training data were, in the scheme of the model."""
        return _agreeing(self.read(source, model.reading).examples, model.scheme, model.tags.entries)

    def errors(self, model: AnyTagger, examples: Sequence[Sentence]) -> list[dict[str, Any]]:
        """A row for each sentence with a wrong tag, the worst first, as `sentence_errors` says."""
        return sentence_errors(model, examples)

    def diagnostic_batch(self, model: AnyTagger, source: Source, limit: int) -> DiagnosticBatch:
        """The training loss on the first sentences of a source."""
        from seqloom.systems.supervised import diagnostic_batch

        tagger = _network_tagger(model)
        corpus = self.encode(tagger, self.evaluation_examples(tagger, source)[:limit])
        return diagnostic_batch(tagger.network, corpus, limit)


def _corpus(source: Source, reading: Mapping[str, Any]) -> TaggedCorpus:
    options = read_options(reading)
    if source.is_named:
        return read(source.path(), reading.get("format", "auto"), options)
    return corpus_of(source.place, options.scheme, options.convert)


def _agreeing(sentences: Sequence[Sentence], scheme: str | None, known: Iterable[str]) -> Sequence[Sentence]:
    found, before = agreeing(sentences, scheme, known)
    if before is None:
        return sentences
    print(f"{found[0].source or 'tags'}: converted from {before.name} to {scheme}, that of the model", file=sys.stderr)
    return found


def _ignored(corpus: TaggedCorpus) -> str:
    """What objects of JSON lines hold in the place of tags, for a message."""
    if corpus.report.format != "jsonl":
        return ""
    names = sorted(
        {name for one in corpus.sentences[:100] for row in one.rows for name in ignored_keys(json_record(row))}
    )
    return f"; not read: {', '.join(map(repr, names))}" if names else ""


def _scheme(facts: Mapping[str, Any]) -> str | None:
    detection = facts["detection"]
    return detection.scheme.name if detection and detection.scheme else None


def _remember(model: AnyTagger, config: TaggerConfig, splits: Splits[Sentence]) -> None:
    """What a model keeps of its training data: how they were read and written, and what they had."""
    detection, reading = splits.facts["detection"], asdict(config.data)
    written = detection.origin.name if detection and detection.origin else None
    read_so = {name: reading[name] for name in _READING}
    model.reading = read_so | {"written": written, "cut": splits.facts.get("cut", False)}
    model.seen = Seen.of(splits.train, _scheme(splits.facts))


def _baseline(name: str) -> Baseline:
    def fit(config: TaggerConfig, splits: Splits[Sentence], progress: ProgressCallback) -> BaselineTagger:
        tagger = BaselineTagger.fit(name, splits.train, _scheme(splits.facts), config.statistics, progress)
        _remember(tagger, config, splits)
        return tagger

    return Baseline(fit, needs="pycrfsuite" if name == "crf" else "")


def _network_tagger(model: AnyTagger) -> Tagger:
    if isinstance(model, BaselineTagger):
        raise ConfigError(f"a tagger of method {model.method!r} has no recurrent layer to diagnose")
    tagger: Any = model
    return tagger  # type: ignore[no-any-return]
