"""The sentences of one file, and what they hold: counts, labels, the scheme of the tags, its conversion."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from seqloom.data.tagged.jsonl import Misaligned
from seqloom.data.tagged.legality import Detection, detect_scheme, illegal_tags
from seqloom.data.tagged.schemes import OUTSIDE, Scheme, as_scheme, convert, label_table, scheme_named, spans_from
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import DataError

__all__ = ["CorpusReport", "TaggedCorpus", "agreeing", "converted", "corpus_of", "describe", "detected", "respelled"]


@dataclass(frozen=True, slots=True)
class CorpusReport:
    """What a reader found, for people to compare with what they expect.

    Attributes:
        source: the file.
        format: in which it was read.
        reason: how the format was recognised, or that it was given.
        sentences, tokens, documents: their numbers.
        labels: how often each tag occurs.
        spans: how often each label occurs as a span, where the tags spell spans.
        sentence_labels: how often each label of a sentence occurs, where the file has them.
        scheme: what the tags are, after conversion; ``None`` in a file without tags.
        misaligned: spans that did not fall on token borders and were left out or expanded.
    """

    source: str
    format: str
    reason: str
    sentences: int
    tokens: int
    documents: int
    labels: dict[str, int]
    spans: dict[str, int]
    scheme: Detection | None
    misaligned: tuple[Misaligned, ...] = ()
    sentence_labels: dict[str, int] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, str]]:
        """Name and value of each figure, as text."""
        rows = [("file", self.source), ("format", f"{self.format} ({self.reason})")]
        rows.append(("sentences", f"{self.sentences:,}"))
        rows.append(("tokens", f"{self.tokens:,}"))
        if self.documents:
            rows.append(("documents", f"{self.documents:,}"))
        if self.scheme is not None:
            rows.append(("tags", self.scheme.reason))
        counted = (("labels", self.labels), ("spans", self.spans), ("sentence labels", self.sentence_labels))
        for name, counts in counted:
            if counts:
                rows.append((name, ", ".join(f"{label} {count:,}" for label, count in counts.items())))
        rows += [("misaligned", str(span)) for span in self.misaligned]
        return rows

    def to_dict(self) -> dict[str, Any]:
        """The same as numbers and strings, for JSON."""
        return {
            "source": self.source,
            "format": self.format,
            "sentences": self.sentences,
            "tokens": self.tokens,
            "documents": self.documents,
            "labels": self.labels,
            "spans": self.spans,
            "sentence_labels": self.sentence_labels,
            "scheme": self.scheme.scheme.name if self.scheme and self.scheme.scheme else None,
            "misaligned": [str(span) for span in self.misaligned],
        }


@dataclass(frozen=True, slots=True)
class TaggedCorpus:
    """The sentences of one file and the report about them."""

    sentences: list[Sentence]
    report: CorpusReport

    def __len__(self) -> int:
        return len(self.sentences)


def corpus_of(items: Iterable[Any], scheme: str = "", convert: str = "") -> TaggedCorpus:
    """Sentences in memory as a corpus.

    Args:
        items: sentences, or ``(tokens, tags)`` or ``(tokens, tags, label)`` of each.
        scheme: of their tags; recognised where it is empty.
        convert: the scheme that they are to have; empty keeps theirs.
    Raises:
        DataError: an item is none of these, or has not one tag for each token; names it.

    >>> corpus_of([(["in", "York"], ["O", "B-LOC"])]).sentences[0].tags
    ('O', 'B-LOC')
    """
    name = "<objects>"
    sentences = [_sentence(item, position) for position, item in enumerate(items)]
    detection = detected(sentences, scheme)
    if convert and detection is not None:
        sentences, detection = converted(sentences, detection, convert, name)
    return TaggedCorpus(sentences, describe(name, "objects", "given in memory", sentences, (), detection))


def _sentence(item: Any, position: int) -> Sentence:
    expected = "expected a Sentence, or (tokens, tags) with a tag for each token"
    if isinstance(item, Sentence):
        return item
    if not isinstance(item, tuple | list) or len(item) not in (2, 3):
        raise DataError(f"sentence[{position}] is {item!r:.60}; {expected}")
    tokens, tags, *label = item
    tokens = tokens if isinstance(tokens, str) else tuple(tokens)
    if len(tokens) != len(tags) or not all(isinstance(text, str) for text in (*tokens, *tags)):
        raise DataError(f"sentence[{position}] has {len(tokens)} tokens and {len(tags)} tags; {expected}")
    return Sentence(tokens, tuple(tags), line=position + 1, source="<objects>", label=label[0] if label else None)


def detected(sentences: Iterable[Sentence], scheme: str = "") -> Detection | None:
    """What the tags of sentences are: in the stated scheme, or as they show; ``None`` where there are none."""
    tagged = [sentence.tags for sentence in sentences if sentence.tags is not None]
    if not tagged:
        return None
    # The scheme of an option speaks of tags that spell spans; parts of speech have none.
    return detect_scheme(tagged, scheme_named(scheme) if scheme else None)


def converted(
    sentences: Sequence[Sentence], detection: Detection, target: str, source: str
) -> tuple[list[Sentence], Detection]:
    """Sentences with their tags in another scheme, and what the tags are then.

    Labels are renamed by `label_table`. Tags that break their scheme are read as `spans_from` reads them.

    Raises:
        DataError: the tags spell no spans, or one is not of the scheme; names the file.
        ConfigError: no such scheme.
    """
    chosen = scheme_named(target)
    if detection.scheme is None:
        if all(tag == OUTSIDE for sentence in sentences for tag in sentence.tags or ()):
            return list(sentences), detection
        where = next((one.where(place) for one, place in _places(sentences, _is_plain)), source)
        raise DataError(f"{where}: the tags spell no spans and cannot become {chosen.name}; leave out the conversion")
    if detection.scheme == chosen:
        return list(sentences), detection
    table = label_table(detection.scheme, chosen)
    changed = []
    for sentence in sentences:
        if sentence.tags is not None:
            _check_letters(sentence, detection.scheme)
            sentence = replace(sentence, tags=tuple(convert(sentence.tags, detection.scheme, chosen, table)))
        changed.append(sentence)
    letters = Counter(chosen.split(tag)[0] for sentence in changed for tag in sentence.tags or ())
    reason = f"{detection.reason}; converted to {chosen.name}"
    return changed, Detection(chosen, reason, dict(letters), 0, detection.scheme)


def agreeing(
    sentences: Sequence[Sentence], scheme: Scheme | str | None, known: Iterable[str] = ()
) -> tuple[list[Sentence], Scheme | None]:
    """Sentences with the tags that a model has, converted where they are in another scheme and nothing is lost by it.

    Args:
        scheme: the model's, or None for plain tags.
        known: its tags.
    Returns:
        the sentences, and the scheme from which they were converted, None where they are as they were.
    Raises:
        DataError: a sentence has no tags; a tag is none of the scheme's; of plain tags, not one is known. Names the place.

    >>> found, before = agreeing([Sentence(["in", "Rome"], ("O", "S-LOC"))], "bio")
    >>> found[0].tags, before.name
    (('O', 'B-LOC'), 'bioes')
    """
    kept = list(sentences)
    for sentence in kept:
        if sentence.tags is None and len(sentence):
            raise DataError(f"{sentence.where()}: the sentence has no tags; give them, or leave the sentence out")
    names = {tag for sentence in kept for tag in sentence.tags or ()}
    if scheme is None:
        model = set(known)
        if names and model and not names & model:
            where = next(one for one in kept if one.tags).where(0)
            shown = ", ".join(sorted(model)[:5])
            raise DataError(
                f"{where}: no tag of the file is one of the model's, such as {shown}; was it read as meant?"
            )
        return kept, None
    chosen = as_scheme(scheme)
    breaks = sum(len(illegal_tags(sentence.tags or (), chosen)) for sentence in kept)
    found = detect_scheme(sentence.tags or () for sentence in kept) if breaks else None
    if found is None or found.scheme in (None, chosen) or found.conflicts >= breaks:
        for sentence in kept:
            _check_letters(sentence, chosen)
        return kept, None
    other, table = found.scheme, label_table(found.scheme, chosen)
    for index, sentence in enumerate(kept):
        _check_letters(sentence, other)
        kept[index] = replace(sentence, tags=tuple(convert(sentence.tags or (), other, chosen, table)))
    return kept, other


def _is_plain(tag: str) -> bool:
    return tag != OUTSIDE and not ("-" in tag and tag[0] in "BIESMLU")


def _places(sentences: Iterable[Sentence], has: Callable[[str], bool]) -> Iterator[tuple[Sentence, int]]:
    for sentence in sentences:
        yield from ((sentence, index) for index, tag in enumerate(sentence.tags or ()) if has(tag))


def respelled(sentences: Sequence[Sentence], scheme: Scheme | str) -> tuple[list[Sentence], list[Sentence]]:
    """Sentences whose tags keep to their scheme, and those that had to be respelled for it, as they were.

    What breaks the scheme is read as `spans_from` reads it.

    Raises:
        DataError: a tag is none of the scheme's; names its place.

    >>> legal, broken = respelled([Sentence(["a", "b"], ("M-X", "O"))], "bmes")
    >>> legal[0].tags, broken[0].tags
    (('S-X', 'O'), ('M-X', 'O'))
    """
    chosen = as_scheme(scheme)
    kept, broken = [], []
    for sentence in sentences:
        tags = sentence.tags or ()
        if illegal_tags(tags, chosen):
            _check_letters(sentence, chosen)
            broken.append(sentence)
            sentence = replace(sentence, tags=tuple(convert(tags, chosen, chosen)))
        kept.append(sentence)
    return kept, broken


def _check_letters(sentence: Sentence, scheme: Scheme) -> None:
    for index, tag in enumerate(sentence.tags or ()):
        if not scheme.has(tag):
            raise DataError(
                f"{sentence.where(index)}: tag {tag!r} is not a tag of the scheme {scheme.name}; correct it, or name the "
                "file's scheme"
            )


def describe(
    source: str,
    format: str,
    reason: str,
    sentences: Sequence[Sentence],
    misaligned: Sequence[Misaligned],
    detection: Detection | None,
) -> CorpusReport:
    """The report about sentences that were read from a file."""
    tagged = [sentence.tags for sentence in sentences if sentence.tags is not None]
    spans: Counter[str] = Counter()
    if detection is not None and detection.scheme is not None:
        scheme = detection.scheme
        for tags in tagged:
            try:
                spans.update(span.label for span in spans_from(tags, scheme))
            except ValueError:  # a tag of another scheme, which the detection counts among the conflicts
                continue
    return CorpusReport(
        source=source,
        format=format,
        reason=reason,
        sentences=len(sentences),
        tokens=sum(map(len, sentences)),
        documents=sentences[-1].document if sentences else 0,
        labels=_by_count(chain.from_iterable(tagged)),
        spans=_by_count(spans.elements()),
        scheme=detection,
        misaligned=tuple(misaligned),
        sentence_labels=_by_count(sentence.label for sentence in sentences if sentence.label is not None),
    )


def _by_count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items(), key=lambda item: (-item[1], item[0])))
