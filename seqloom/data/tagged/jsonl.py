"""JSON lines: a text with spans of characters, or a text with its words; one object per line.

``{"text": "...", "spans": [{"start": 0, "end": 3, "label": "PER"}]}`` - the list may also be called ``entities``,
``label`` or ``labels`` and hold ``[start, end, label]``, as doccano writes it; ``["...", {"entities": [...]}]`` is
spaCy's - or ``{"tokens": [...], "tags": [...]}``, where the one list may have a name such as ``ner_tags``, or, for word
segmentation, ``{"text": "...", "words": [{"w": "...", "start": 0, "end": 1}]}``. Offsets count characters (code points)
from 0; those of another unit are refused by its name. The label of the whole sentence is a string under ``intent`` or
``label``.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

from seqloom.data.files import open_text
from seqloom.data.tagged.columns import Lines
from seqloom.data.tagged.offsets import tokenize, trimmed, word_offsets
from seqloom.data.tagged.schemes import Span, spans_from, tags_from
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import DataError
from seqloom.outside import UnreadableError, parse_json

__all__ = [
    "Misaligned",
    "OnMisaligned",
    "Tokens",
    "format_spans_jsonl",
    "format_words_jsonl",
    "ignored_keys",
    "json_record",
    "jsonl_sentences",
    "read_jsonl",
]

OnMisaligned = Literal["error", "skip", "expand"]
Tokens = Literal["words", "characters"]

_LABEL_KEYS = ("intent", "label")
_SPAN_KEYS = ("spans", "entities", "label", "labels")
_TAG_KEYS = ("labels", "label", "ner", "pos")  # beside "tags" and what ends in "_tags": lists of strings beside tokens
_KNOWN_KEYS = frozenset(("text", "tokens", "words", "tags", "intent", "id", "meta", *_SPAN_KEYS))
_EXPECTED = "one JSON object per line"


@dataclass(frozen=True, slots=True)
class Misaligned:
    """A span that begins or ends inside a token."""

    where: str
    start: int
    end: int
    label: str
    text: str
    expanded: tuple[int, int]
    expanded_text: str
    unit: str = ""

    def __str__(self) -> str:
        """One line for people, with the nearest span that fits."""
        return (
            f"{self.where}: span [{self.start}, {self.end}) {self.label!r} {self.text!r} does not fall on token borders; "
            f"the tokens that it touches are [{self.expanded[0]}, {self.expanded[1]}) {self.expanded_text!r}"
            f"{self.unit}"
        )


def read_jsonl(
    path: str | Path,
    *,
    tokens: Tokens = "words",
    scheme: str = "bio",
    on_misaligned: OnMisaligned = "error",
    misaligned: list[Misaligned] | None = None,
    encoding: str = "utf-8",
) -> Iterator[Sentence]:
    """Sentences of a JSON-lines file.

    Args:
        tokens: how a text becomes tokens where the object has none: words and punctuation marks, or characters.
        scheme: in which the tags of the spans are written.
        on_misaligned: what to do with a span that begins or ends inside a token: stop, leave the span out, or expand
            it to the tokens that it touches. In the last two cases it is added to ``misaligned``.
    Raises:
        DataError: a line is not such an object, or a span does not fit; names the line.
    """
    lines = open_text(path, encoding, expected=_EXPECTED)
    return jsonl_sentences(
        lines, str(path), tokens=tokens, scheme=scheme, on_misaligned=on_misaligned, misaligned=misaligned
    )


def jsonl_sentences(
    lines: Lines,
    source: str,
    *,
    tokens: Tokens = "words",
    scheme: str = "bio",
    on_misaligned: OnMisaligned = "error",
    misaligned: list[Misaligned] | None = None,
    with_tags: bool = True,
    whole: bool = False,
) -> Iterator[Sentence]:
    """As `read_jsonl`, from numbered lines; blank lines are passed over, and tags where ``with_tags`` is false.

    Args:
        whole: how a text becomes words, see `seqloom.data.tagged.offsets.tokenize`.
    """
    for number, line in lines:
        if not line.strip():
            continue
        record = _Record(_object(line, f"{source}:{number}"), f"{source}:{number}", on_misaligned)
        texts, offsets = record.tokens(tokens, whole)
        tags = record.tags(texts, offsets, scheme) if with_tags else None
        if misaligned is not None:
            misaligned += record.misaligned
        yield Sentence(texts, tags, number, source, rows=(line,), offsets=offsets, label=record.label())


def format_spans_jsonl(
    sentences: Iterable[Sentence], tags: Iterable[Sequence[str]], scheme: str = "bio"
) -> Iterator[str]:
    """One object per sentence with the spans of its tags, offsets counting characters of ``text``.

    The other keys of the input's objects are kept; a sentence's label takes the place of the object's, or becomes its
    ``intent``. Plain tags, with ``scheme`` empty, are written as ``tags``.

    >>> sentence = Sentence("我在北京", line=1)
    >>> print(*format_spans_jsonl([sentence], [["O", "O", "B-LOC", "I-LOC"]]))
    {"text": "我在北京", "spans": [{"start": 2, "end": 4, "label": "LOC", "text": "北京"}]}
    """
    for sentence, chosen in zip(sentences, tags, strict=True):
        if len(chosen) != len(sentence.tokens):
            raise ValueError(f"{sentence.where()}: {len(chosen)} tags for {len(sentence.tokens)} tokens")
        record = _original(sentence)
        text = record.get("text", sentence.text)
        offsets = sentence.offsets or word_offsets(text, sentence.tokens)
        result = {"text": text, **record}
        for name in _tag_keys(record):
            result.pop(name)
        if sentence.label is not None:
            result[_label_key(record) or "intent"] = sentence.label
        key = next((name for name in _SPAN_KEYS if name in result and name != _label_key(record)), "spans")
        if not scheme:
            result |= {"tokens": list(sentence.tokens), "tags": list(chosen)}
        else:
            spans = []
            for first, end, label in spans_from(chosen, scheme):
                start, stop = trimmed(text, offsets[first][0], offsets[end - 1][1])
                if start < stop:
                    spans.append({"start": start, "end": stop, "label": label, "text": text[start:stop]})
            result[key] = spans
        is_pair = bool(record) and sentence.rows[0].lstrip().startswith("[")
        yield _dumped([result.pop("text"), result] if is_pair else result)


def format_words_jsonl(texts: Iterable[str], words: Iterable[Sequence[str]]) -> Iterator[str]:
    """One object per text with its words and their offsets in the text as it was given, white space included.

    >>> print(*format_words_jsonl(["我 是"], [["我", "是"]]))
    {"text": "我 是", "words": [{"w": "我", "start": 0, "end": 1}, {"w": "是", "start": 2, "end": 3}]}
    """
    for text, chosen in zip(texts, words, strict=True):
        places = word_offsets(text, chosen)
        entries = [{"w": word, "start": start, "end": end} for word, (start, end) in zip(chosen, places, strict=True)]
        yield _dumped({"text": text, "words": entries})


class _Record:
    """One object of the file while its tokens and tags are made."""

    def __init__(self, data: dict[str, Any], where: str, on_misaligned: OnMisaligned) -> None:
        self.data, self.where, self.on_misaligned = data, where, on_misaligned
        self.misaligned: list[Misaligned] = []
        self.text = data.get("text")
        if self.text is not None and not isinstance(self.text, str):
            raise DataError(f"{where}: 'text' is {self.text!r}; expected a string")

    def tokens(self, kind: Tokens, whole: bool) -> tuple[Sequence[str], tuple[tuple[int, int], ...] | None]:
        if "tokens" in self.data or "words" in self.data:
            return self._given_tokens()
        if self.text is None:
            raise DataError(
                f"{self.where}: the object has neither 'text' nor 'tokens'; its keys are {sorted(self.data)}"
            )
        if kind == "characters":
            return self.text, tuple((index, index + 1) for index in range(len(self.text)))
        offsets = tuple(tokenize(self.text, whole))
        return tuple(self.text[start:end] for start, end in offsets), offsets

    def _given_tokens(self) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...] | None]:
        key = "tokens" if "tokens" in self.data else "words"
        entries = self.data[key]
        if not isinstance(entries, list):
            raise DataError(f"{self.where}: {key!r} is no list")
        named = [entry.get("w", entry.get("text")) if isinstance(entry, dict) else entry for entry in entries]
        words = [word for word in named if isinstance(word, str) and word]
        if len(words) != len(named):
            raise DataError(f"{self.where}: {key!r} holds an entry that is no word")
        if self.text is None:
            return tuple(words), None
        try:
            offsets = word_offsets(self.text, words)
        except ValueError as problem:
            raise DataError(f"{self.where}: {problem}") from None
        for entry, (start, end) in zip(entries, offsets, strict=True):
            if isinstance(entry, dict) and (entry.get("start", start), entry.get("end", end)) != (start, end):
                claimed = f"[{entry.get('start')}, {entry.get('end')})"
                raise DataError(
                    f"{self.where}: word {self.text[start:end]!r} is said to stand at {claimed}; it is at [{start}, {end})"
                )
        return tuple(words), tuple(offsets)

    def tags(
        self, tokens: Sequence[str], offsets: tuple[tuple[int, int], ...] | None, scheme: str
    ) -> tuple[str, ...] | None:
        name = self._tag_key()
        given = self.data[name] if name is not None else None
        if given is not None:
            if isinstance(given, list) and given and all(isinstance(tag, int) for tag in given):
                raise DataError(
                    f"{self.where}: {name!r} holds numbers; write the names that they stand for, as strings"
                )
            if (
                not isinstance(given, list)
                or len(given) != len(tokens)
                or not all(isinstance(tag, str) for tag in given)
            ):
                raise DataError(f"{self.where}: {name!r} is not a list of {len(tokens)} strings, one per token")
            return tuple(given)
        key = next((name for name in _SPAN_KEYS if isinstance(self.data.get(name), list)), None)
        if key is None:
            return None
        if offsets is None:
            raise DataError(f"{self.where}: {key!r} needs a 'text' for its offsets to count in")
        aligned = [self._aligned(self._span(entry), offsets) for entry in self.data[key]]
        try:
            return tuple(tags_from([span for span in aligned if span is not None], len(tokens), scheme))
        except ValueError as problem:
            raise DataError(f"{self.where}: {problem} (counted in tokens)") from None

    def _tag_key(self) -> str | None:
        names = _tag_keys(self.data)
        if "tags" in names or not names:
            return "tags" if names else None
        if len(names) > 1:
            raise DataError(
                f"{self.where}: {', '.join(map(repr, names))} are lists of tags; call the one that is to be learned 'tags'"
            )
        return names[0]

    def label(self) -> str | None:
        """That of the whole sentence."""
        key = _label_key(self.data)
        if key is None:
            return None
        if not isinstance(self.data[key], str) or not self.data[key].strip():
            raise DataError(f"{self.where}: {key!r} is {self.data[key]!r}; expected the sentence's label as a string")
        label: str = self.data[key]
        return label

    def _span(self, entry: object) -> tuple[int, int, str]:
        if isinstance(entry, dict):
            start, end = (entry.get(name, entry.get(f"{name}_offset")) for name in ("start", "end"))
            entry = [start, end, entry.get("label")]
        match entry:
            case [int() as start, int() as end, str() as label] if label:
                if 0 <= start < end <= len(self.text or ""):
                    return start, end, label
                size = len(self.text or "")
                place = f"{self.where}: span [{start}, {end}) {label!r}"
                raise DataError(f"{place} does not lie within {size} characters{self._unit()}")
        raise DataError(f"{self.where}: {entry!r} is no span; expected start, end and label")

    def _unit(self) -> str:
        """What the offsets seem to count, where they do not fit as characters and all of them do otherwise."""
        text, key = self.text or "", next((name for name in _SPAN_KEYS if isinstance(self.data.get(name), list)), "")
        borders = tokenize(text)
        starts, ends = {start for start, _ in borders}, {end for _, end in borders}
        pairs = [_ends(entry) for entry in self.data[key]]
        if not all(pairs):
            return ""
        widths = {
            "UTF-16 units": [2 if ord(character) > 0xFFFF else 1 for character in text],
            "UTF-8 bytes": [len(character.encode("utf-8", "surrogatepass")) for character in text],
        }
        for unit, sizes in widths.items():
            places = {place: index for index, place in enumerate([0, *accumulate(sizes)])}
            if all(pair and places.get(pair[0]) in starts and places.get(pair[1]) in ends for pair in pairs):
                return f"; the offsets fit as {unit}: convert them to characters (code points)"
        if all(pair and pair[0] in starts and pair[1] + 1 in ends for pair in pairs):
            return "; the ends seem to name the last character: they must be one more"
        return ""

    def _aligned(self, span: tuple[int, int, str], offsets: tuple[tuple[int, int], ...]) -> Span | None:
        start, end, label = span
        given, (start, end) = (start, end), trimmed(self.text or "", start, end)
        touched = [index for index, (first, last) in enumerate(offsets) if first < end and last > start]
        text = self.text or ""
        if not touched or start == end:
            start, end = given
            raise DataError(f"{self.where}: span [{start}, {end}) {label!r} covers nothing but white space")
        expanded = offsets[touched[0]][0], offsets[touched[-1]][1]
        # White space at a span's border is no part of any token and no mistake.
        exact = text[start : expanded[0]].isspace() or start == expanded[0]
        exact = exact and (text[expanded[1] : end].isspace() or end == expanded[1])
        if not exact:
            start, end = given
            misaligned = Misaligned(
                self.where, start, end, label, text[start:end], expanded, text[slice(*expanded)], self._unit()
            )
            if self.on_misaligned == "error":
                raise DataError(f"{misaligned}; correct it, or choose to expand or to skip such spans (on_misaligned)")
            self.misaligned.append(misaligned)
            if self.on_misaligned == "skip":
                return None
        return Span(touched[0], touched[-1] + 1, label)


def _label_key(record: dict[str, Any]) -> str | None:
    """Where the object's sentence label stands: ``label`` may as well hold spans, or a number of no use here."""
    keys = (key for key in _LABEL_KEYS if record.get(key) is not None)
    return next((key for key in keys if key == "intent" or isinstance(record[key], str)), None)


def _ends(entry: object) -> tuple[int, int] | None:
    if isinstance(entry, dict):
        entry = [entry.get(name, entry.get(f"{name}_offset")) for name in ("start", "end")]
    match entry:
        case [int() as start, int() as end, *_]:
            return start, end
    return None


def _tag_keys(record: dict[str, Any]) -> list[str]:
    """The lists of tags of an object with tokens."""
    if "tags" in record:
        return ["tags"]
    if "tokens" not in record and "words" not in record:
        return []
    names = [
        name for name in record if isinstance(record[name], list) and (name.endswith("_tags") or name in _TAG_KEYS)
    ]
    return [name for name in names if all(isinstance(tag, str | int) for tag in record[name])]


def ignored_keys(record: dict[str, Any]) -> list[str]:
    """The keys of an object that may hold tags and that no reader here knows.

    >>> ignored_keys({"text": "Ann", "id": 1, "annotations": [[0, 3, "PER"]]})
    ['annotations']
    """
    return [
        name for name, value in record.items() if name not in _KNOWN_KEYS and isinstance(value, list | dict) and value
    ]


def json_record(row: str) -> dict[str, Any]:
    """The object of a line of such a file, empty where it is none.

    >>> json_record('["Ann", {"entities": []}]'), json_record("[1] Ann")
    ({'text': 'Ann', 'entities': []}, {})
    """
    try:
        return _object(row, "")
    except DataError:
        return {}


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        data = parse_json(line)
    except UnreadableError as problem:
        raise DataError(f"{where}: the line is not JSON ({problem}); expected {_EXPECTED}") from None
    match data:
        case [str() as text, dict() as rest]:  # spaCy's training data
            return {"text": text, **rest}
    if not isinstance(data, dict):
        raise DataError(f"{where}: the line is a JSON {type(data).__name__}; expected an object with 'text'")
    return data


def _original(sentence: Sentence) -> dict[str, Any]:
    if len(sentence.rows) == 1 and sentence.rows[0].lstrip().startswith(("{", "[")):
        return json_record(sentence.rows[0])
    return {}


def _dumped(record: object) -> str:
    text = json.dumps(record, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can spell
        return json.dumps(record)
    return text
