"""How tags spell spans: BIO, IOB1, BIOES, BILOU, BMES; reading, writing, conversion.

A tag is ``O``, or a position letter and a label (``B-PER``), or a bare letter where there is one kind of span, as in
word segmentation (``B M E S``). `spans_from` is the single place where tags become spans.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seqloom.errors import ConfigError, did_you_mean

__all__ = [
    "OUTSIDE",
    "SCHEMES",
    "Scheme",
    "Span",
    "as_scheme",
    "convert",
    "scheme_named",
    "spans_from",
    "split_tag",
    "tags_from",
]

OUTSIDE = "O"


class Span(NamedTuple):
    """Tokens ``start`` to ``end - 1`` carry ``label``."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Scheme:
    """The letters of a tagging scheme.

    ``last`` and ``single`` equal ``inside`` and ``begin`` where the scheme does not mark ends; in IOB1 a span opens
    with ``I``, and ``B`` only parts it from a span of the same label right before it (Ramshaw & Marcus 1995).
    """

    name: str
    begin: str
    inside: str
    last: str
    single: str

    @property
    def letters(self) -> frozenset[str]:
        """The position letters that may stand before a label."""
        return frozenset((self.begin, self.inside, self.last, self.single))

    @property
    def marks_ends(self) -> bool:
        """Whether a span's last token is told from its others."""
        return self.last != self.inside


SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme("bio", "B", "I", "I", "B"),
        Scheme("iob1", "B", "I", "I", "B"),
        Scheme("bioes", "B", "I", "E", "S"),
        Scheme("bilou", "B", "I", "L", "U"),
        Scheme("bmes", "B", "M", "E", "S"),
    )
}
_ALIASES = {"iob2": "bio", "iob": "bio", "iobes": "bioes", "bmeso": "bmes", "bieso": "bioes", "bieo": "bioes"}


def scheme_named(name: str) -> Scheme:
    """The scheme of a name in any case; ``iob2`` is ``bio`` and ``iobes`` is ``bioes``. Raises ConfigError."""
    lower = name.lower()
    found = SCHEMES.get(_ALIASES.get(lower, lower))
    if found is None:
        raise ConfigError(f"{name!r} is not a known tagging scheme{did_you_mean(lower, [*SCHEMES, *_ALIASES])}")
    return found


def split_tag(tag: str) -> tuple[str, str]:
    """The position letter and the label of a tag; the label may hold further hyphens.

    >>> split_tag("B-time-of-day"), split_tag("O"), split_tag("S")
    (('B', 'time-of-day'), ('O', ''), ('S', ''))
    """
    letter, _, label = tag.partition("-")
    return letter, label


def spans_from(tags: Sequence[str], scheme: Scheme | str, strict: bool = False) -> list[Span]:
    """The spans that tags spell.

    Where the tags are legal, both modes agree. Where they are not:

    - lenient, the default, is the rule of the CoNLL scorer: a span goes on while the letter is one that continues and
      the label stays the same; anything else but ``O`` opens a new one;
    - strict keeps only spans that are spelled in full: opened by the letter that opens and, where the scheme marks
      ends, closed by the one that closes.

    Raises:
        ValueError: a tag whose letter the scheme does not have; names the token.

    >>> spans_from(["I-PER", "I-PER", "O", "B-LOC"], "bio")
    [Span(start=0, end=2, label='PER'), Span(start=3, end=4, label='LOC')]
    >>> spans_from(["I-PER", "I-PER", "O", "B-LOC"], "bio", strict=True)
    [Span(start=3, end=4, label='LOC')]
    """
    chosen = as_scheme(scheme)
    parts = [_checked_parts(tag, index, chosen) for index, tag in enumerate(tags)]
    return _strict_spans(parts, chosen) if strict else _lenient_spans(parts, chosen)


def tags_from(spans: Iterable[Span], length: int, scheme: Scheme | str) -> list[str]:
    """The tags that spell spans, ``O`` elsewhere: the inverse of `spans_from`.

    Raises:
        ValueError: spans that overlap, are empty or lie outside ``length`` tokens.

    >>> tags_from([Span(0, 2, "PER"), Span(2, 3, "PER")], 4, "bioes")
    ['B-PER', 'E-PER', 'S-PER', 'O']
    """
    chosen = as_scheme(scheme)
    tags = [OUTSIDE] * length
    before: Span | None = None
    for span in sorted(spans):
        start, end, label = span
        if not 0 <= start < end <= length:
            raise ValueError(f"span [{start}, {end}) {label!r} does not lie within {length} tokens")
        if before is not None and start < before.end:
            raise ValueError(f"spans [{before.start}, {before.end}) and [{start}, {end}) overlap")
        letters = (
            [chosen.begin, *chosen.inside * (end - start - 2), chosen.last] if end - start > 1 else [chosen.single]
        )
        touches = before is not None and before.end == start and before.label == label
        if chosen.name == "iob1" and not touches:
            letters[0] = chosen.inside
        tags[start:end] = [f"{letter}-{label}" if label else letter for letter in letters]
        before = span
    return tags


def convert(tags: Sequence[str], source: Scheme | str, target: Scheme | str) -> list[str]:
    """The same spans in another scheme.

    >>> convert(["I-PER", "B-PER", "O"], "iob1", "bioes")
    ['S-PER', 'S-PER', 'O']
    """
    return tags_from(spans_from(tags, source), len(tags), target)


def as_scheme(scheme: Scheme | str) -> Scheme:
    """A scheme given as itself or by its name."""
    return scheme if isinstance(scheme, Scheme) else scheme_named(scheme)


def _checked_parts(tag: str, index: int, scheme: Scheme) -> tuple[str, str]:
    letter, label = split_tag(tag)
    if letter not in scheme.letters and tag != OUTSIDE:
        raise ValueError(f"tags[{index}] is {tag!r}, which is not a tag of the scheme {scheme.name}")
    return letter, label


def _lenient_spans(parts: list[tuple[str, str]], scheme: Scheme) -> list[Span]:
    spans, start, before = [], 0, (OUTSIDE, "")
    for index, (letter, label) in enumerate([*parts, (OUTSIDE, "")]):
        goes_on = (
            before[0] in (scheme.begin, scheme.inside) and letter in (scheme.inside, scheme.last) and label == before[1]
        )
        if before[0] != OUTSIDE and not goes_on:
            spans.append(Span(start, index, before[1]))
        if letter != OUTSIDE and not goes_on:
            start = index
        before = (letter, label)
    return spans


def _strict_spans(parts: list[tuple[str, str]], scheme: Scheme) -> list[Span]:
    spans, index = [], 0
    opens = _opening_rule(scheme)
    while index < len(parts):
        if not opens(parts[index - 1] if index else (OUTSIDE, ""), parts[index]):
            index += 1
            continue
        start, (letter, label) = index, parts[index]
        index += 1
        while (
            index < len(parts)
            and letter in (scheme.begin, scheme.inside)
            and parts[index][0] in (scheme.inside, scheme.last)
            and parts[index][1] == label
        ):
            letter = parts[index][0]
            index += 1
        if not scheme.marks_ends or letter in (scheme.last, scheme.single):
            spans.append(Span(start, index, label))
    return spans


def _opening_rule(scheme: Scheme) -> Callable[[tuple[str, str], tuple[str, str]], bool]:
    if scheme.name == "iob1":
        return _opens_in_iob1
    opening = {scheme.begin, scheme.single}
    return lambda _, part: part[0] in opening


def _opens_in_iob1(before: tuple[str, str], part: tuple[str, str]) -> bool:
    if part[0] == "I":  # after B only where that B was itself out of place and opened nothing
        return before[0] != "I" or before[1] != part[1]
    return part[0] == "B" and before[0] != OUTSIDE and before[1] == part[1]
