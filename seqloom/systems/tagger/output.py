"""What ``seqloom predict`` does with a tagger: sentences in, tags out in the form that was asked for, block by block."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqloom.data.live import blocks
from seqloom.data.tagged.formats import ReadOptions, format_sentences, read_lines
from seqloom.data.tagged.jsonl import json_record
from seqloom.data.tagged.offsets import trimmed, word_offsets
from seqloom.data.tagged.schemes import convert, label_table, spans_from
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import ConfigError
from seqloom.systems.tagger.config import PredictOptions
from seqloom.systems.tagger.guessing import guessed
from seqloom.systems.tagger.highlighting import Highlight, page_end, page_start, paragraph
from seqloom.systems.tagger.scoring import AnyTagger

__all__ = ["Entity", "entities", "predict", "read_options"]

_PEEK = 200  # lines that tell the format

Tags = Sequence[str]


@dataclass(frozen=True, slots=True)
class Entity:
    """A span of a sentence: its label, its text, where it stands, and how sure the model is.

    Attributes:
        start, end: offsets of its first and last-plus-one character in the sentence's text.
        score: the smallest of the marginal probabilities of its tokens' tags. The span's own probability is at most
            that, and a product would call long spans unlikely for their length alone. Not calibrated.
    """

    type: str
    text: str
    start: int
    end: int
    score: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        score = {} if self.score is None else {"score": round(self.score, 6)}
        return {"type": self.type, "text": self.text, "start": self.start, "end": self.end, **score}


def read_options(reading: Mapping[str, Any]) -> ReadOptions:
    """How a model's files are read."""
    names = ("columns", "tag", "tokens", "scheme", "convert", "on_misaligned", "encoding", "whole")
    return ReadOptions(**{name: reading[name] for name in names if name in reading})


def entities(
    sentence: Sentence, tags: Tags, scheme: str, chances: NDArray[np.floating[Any]] | None = None
) -> tuple[str, list[Entity]]:
    """The sentence's text and the entities that its tags spell.

    Args:
        chances: (T,) the marginal probability of each token's tag, for the scores.

    >>> entities(Sentence(["in", "New", "York"]), ["O", "B-LOC", "I-LOC"], "bio", np.array([1, 0.9, 0.8]))[1]
    [Entity(type='LOC', text='New York', start=3, end=11, score=0.8)]
    """
    text, offsets = _placed(sentence)
    mentions = []
    for first, end, label in spans_from(tags, scheme):
        start, stop = trimmed(text, offsets[first][0], offsets[end - 1][1])
        if start == stop:
            continue
        score = None if chances is None else float(chances[first:end].min())
        mentions.append(Entity(label, text[start:stop], start, stop, score))
    return text, mentions


def predict(
    model: AnyTagger, lines: Iterable[str], options: PredictOptions, pauses: Callable[[], bool] | None = None
) -> Iterator[str]:
    """The lines of the input with a tag for each token; tags that the input has are ignored and replaced.

    No more than a block of sentences is held at a time, so the input may be a stream of any length.

    Args:
        pauses: whether the input's next line is yet to come; what there is then is answered.
    """
    _check(model, options)
    numbered = iter(enumerate(lines, start=1))
    head = _head(numbered, pauses)
    # A model of an earlier release does not say whether text was cut for its training.
    whole = options.whole == "on" or (options.whole == "auto" and not model.reading.get("cut", True))
    chosen = read_options(model.reading)
    chosen = replace(chosen, with_tags=False, whole=whole or (options.whole == "auto" and chosen.whole))
    input_format, chosen = guessed([line for _, line in head], model, options, chosen)
    trailing: list[str] = []
    write = _writer(model, options, input_format, chosen)
    if options.format == "html" and not options.explain:
        yield from page_start(_labels(model))
    # An empty input has no first line that could be wrong: nothing in gives nothing out.
    sentences = (
        read_lines(chain(head, numbered), "input", input_format, chosen, trailing=trailing) if head else iter(())
    )
    for block in blocks(sentences, pauses=pauses):
        yield from write(block)
    if options.format == "native" and not options.explain and chosen.tokens != "joint":
        yield from trailing
    if options.format == "html" and not options.explain:
        yield from page_end()


def _head(numbered: Iterator[tuple[int, str]], pauses: Callable[[], bool] | None) -> list[tuple[int, str]]:
    """The lines that tell the format: the first ones, as many as come before a pause that does not part a sentence."""
    head = []
    for number, line in numbered:
        head.append((number, line))
        # Behind a comment, or a token and its tag, there is more to come.
        goes_on = line.startswith(("#", "-DOCSTART-")) or " " not in line.partition("\t")[0] != line
        if len(head) == _PEEK or (pauses is not None and not goes_on and pauses()):
            break
    return head


def _check(model: AnyTagger, options: PredictOptions) -> None:
    if options.nbest < 1:
        raise ConfigError(f"--nbest: {options.nbest} is not a number of taggings; expected 1 or more")
    if options.explain and options.format not in ("native", "plain", "json"):
        raise ConfigError(f"--explain is written as text or with --format json, not as {options.format}")
    if options.nbest > 1 and not options.explain and options.format not in ("plain", "json"):
        raise ConfigError(
            "--nbest above 1 needs --format plain or --format json: the other formats have one tag per token"
        )
    if options.format == "inline" and model.scheme is None:
        raise ConfigError("--format inline marks spans, and this model's tags spell none; choose --format plain")


def _writer(
    model: AnyTagger, options: PredictOptions, format: str, reading: ReadOptions
) -> Callable[[Sequence[Sentence]], Iterator[str]]:
    """What turns a block of sentences into lines."""
    if options.explain:
        return lambda block: _explained(model, block, options)
    if options.nbest > 1:
        return lambda block: _ranked(model, block, options)
    if options.format == "native":
        return lambda block: _native(model, block, format, reading)
    if options.format == "json":
        return lambda block: _json(model, block)
    if options.format == "html":
        return lambda block: (
            _html(sentence, tags, model.scheme, label)
            for sentence, (tags, label) in zip(block, model.predict_with_labels(_tokens(block)), strict=True)
        )
    shape = _plain if options.format == "plain" else _inline
    return lambda block: (
        shape(sentence, tags, model.scheme) for sentence, tags in zip(block, model.predict(_tokens(block)), strict=True)
    )


def _tokens(block: Sequence[Sentence]) -> list[Sequence[str]]:
    return [sentence.tokens for sentence in block]


def _native(model: AnyTagger, block: Sequence[Sentence], format: str, reading: ReadOptions) -> Iterator[str]:
    predictions = model.predict_with_labels(_tokens(block))
    # A label that the file has stays where the model has none to put in its place.
    labelled = [replace(one, label=label or one.label) for one, (_, label) in zip(block, predictions, strict=True)]
    tags, scheme = [tags for tags, _ in predictions], model.scheme or ""
    written = model.reading.get("written") or scheme
    if scheme and written != scheme:
        table = label_table(scheme, written)
        tags = [convert(some, scheme, written, table) for some in tags]
    yield from format_sentences(labelled, tags, format, reading, written)


def _placed(sentence: Sentence) -> tuple[str, Sequence[tuple[int, int]]]:
    """The sentence's text, as its file has it where it says so, and where its tokens stand."""
    text = sentence.text
    if len(sentence.rows) == 1 and not sentence.token_rows:
        row = sentence.rows[0]
        if sentence.offsets is None:
            try:
                return row, word_offsets(row, sentence.tokens)  # lines of words, with their own white space
            except ValueError:
                return text, word_offsets(text, sentence.tokens)
        places = zip(sentence.offsets, sentence.tokens, strict=True)
        if sentence.tokens and all(row[start:end] == token for (start, end), token in places):
            text = row  # running text
        elif row.lstrip().startswith(("{", "[")):
            text = json_record(row).get("text") or text
    return text, sentence.offsets or word_offsets(text, sentence.tokens)


def _plain(sentence: Sentence, tags: Tags, scheme: str | None) -> str:
    return " ".join(f"{token}/{tag}" for token, tag in zip(sentence.tokens, tags, strict=True))


def _inline(sentence: Sentence, tags: Tags, scheme: str | None) -> str:
    text, mentions = entities(sentence, tags, scheme or "")
    parts, at = [], 0
    for entity in mentions:
        if entity.start < at:  # words of one range of CoNLL-U have one place
            continue
        label = f"{entity.type} " if entity.type else ""
        parts += [text[at : entity.start], f"[{label}{entity.text}]"]
        at = entity.end
    return "".join([*parts, text[at:]]).replace("\n", " ")


def _html(sentence: Sentence, tags: Tags, scheme: str | None, label: str | None) -> str:
    if scheme is not None:
        text, mentions = entities(sentence, tags, scheme)
        return paragraph(text, [Highlight(entity.start, entity.end, entity.type) for entity in mentions], label)
    text, offsets = _placed(sentence)
    # Words of one range of CoNLL-U have one place.
    places = {
        place: "+".join(tag for other, tag in zip(offsets, tags, strict=True) if other == place) for place in offsets
    }
    return paragraph(text, [Highlight(*place, tag) for place, tag in places.items()], label)


def _labels(model: AnyTagger) -> list[str]:
    """The labels of the spans that a model can find, or all its tags."""
    tags = model.tags.entries
    if model.scheme is None:
        return sorted(tags)
    scheme = model.scheme
    return sorted({span.label for tag in tags for span in spans_from([tag], scheme)})


def _json(model: AnyTagger, block: Sequence[Sentence]) -> Iterator[str]:
    number = {tag: index for index, tag in enumerate(model.tags.entries)}
    for sentence, reading in zip(block, model.readings(_tokens(block)), strict=True):
        rows = zip(reading.marginals, reading.tags, strict=True)
        chances = np.array([row[number[tag]] if tag in number else 0.0 for row, tag in rows])
        text, mentions = _placed(sentence)[0], None
        if model.scheme:
            text, mentions = entities(sentence, reading.tags, model.scheme, chances)
        described: dict[str, Any] = {"text": text, "tokens": list(sentence.tokens), "tags": reading.tags}
        described["probabilities"] = [round(float(chance), 6) for chance in chances]
        if reading.label is not None and reading.label_chances is not None:
            described |= {"label": reading.label, "label_probability": round(float(reading.label_chances.max()), 6)}
        if mentions is not None:
            described["entities"] = [entity.to_dict() for entity in mentions]
        yield _dumped(described)


def _ranked(model: AnyTagger, block: Sequence[Sentence], options: PredictOptions) -> Iterator[str]:
    for sentence, readings in zip(block, model.n_best(_tokens(block), options.nbest), strict=True):
        if options.format == "json":
            ranked = [{"tags": tags, "score": value} for tags, value in readings]
            yield _dumped({"tokens": list(sentence.tokens), "n_best": ranked})
        else:
            yield from (f"{value:.4f}\t{_plain(sentence, tags, None)}" for tags, value in readings)


def _explained(model: AnyTagger, block: Sequence[Sentence], options: PredictOptions) -> Iterator[str]:
    # A single tagging would leave nothing to compare with.
    count = options.nbest if options.nbest > 1 else 3
    for sentence in block:
        explanation = model.explain(sentence.tokens, count)
        if options.format == "json":
            yield _dumped(explanation.to_dict())
        else:
            yield from explanation.lines()


def _dumped(record: dict[str, Any]) -> str:
    text = json.dumps(record, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can spell
        return json.dumps(record)
    return text
