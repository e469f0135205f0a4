"""How tags spell spans: BIO, IOB1, BIOES, BILOU, BMES, direct tagging; reading, writing, conversion.

A tag is ``O``, or a position letter and a label (``B-PER``; in direct tagging ``BN``), or a bare letter where there is
one kind of span, as in word segmentation (``B M E S``). `spans_from` is the single place where tags become spans.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seqloom.errors import ConfigError, did_you_mean

__all__ = [
    "DIRECT_LABELS",
    "OUTSIDE",
    "SCHEMES",
    "Scheme",
    "Span",
    "as_scheme",
    "convert",
    "label_table",
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
    with ``I``, and ``B`` only parts it from a span of the same label right before it (Ramshaw & Marcus 1995). In direct
    tagging of characters (``BN MN EN BA MA EA BO MO EO O``) nothing parts letter and label, and a span of one token is
    ``B`` alone: it is closed where neither ``M`` nor ``E`` of its label follows.
    """

    name: str
    begin: str
    inside: str
    last: str
    single: str
    separator: str = "-"

    @property
    def letters(self) -> frozenset[str]:
        """The position letters that may stand before a label."""
        return frozenset((self.begin, self.inside, self.last, self.single))

    @property
    def opening(self) -> frozenset[str]:
        """The letters after which a span may go on."""
        return frozenset((self.begin, self.inside))

    @property
    def continuing(self) -> frozenset[str]:
        """The letters that need an open span before them."""
        return frozenset((self.inside, self.last))

    @property
    def closing(self) -> frozenset[str]:
        """The letters after which a span may end."""
        return frozenset((self.last, self.single))

    def tag(self, letter: str, label: str) -> str:
        """The tag of a position letter and a label.

        >>> SCHEMES["bio"].tag("B", "PER"), SCHEMES["direct"].tag("B", "N"), SCHEMES["bmes"].tag("S", "")
        ('B-PER', 'BN', 'S')
        """
        return f"{letter}{self.separator}{label}" if label else letter

    def split(self, tag: str) -> tuple[str, str]:
        """The position letter and the label of a tag: the inverse of `tag`."""
        if self.separator:
            return split_tag(tag)
        return tag[:1], tag[1:]

    def has(self, tag: str) -> bool:
        """Whether a tag belongs to the scheme."""
        return tag == OUTSIDE or self.split(tag)[0] in self.letters


SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme("bio", "B", "I", "I", "B"),
        Scheme("iob1", "B", "I", "I", "B"),
        Scheme("bioes", "B", "I", "E", "S"),
        Scheme("bilou", "B", "I", "L", "U"),
        Scheme("bmes", "B", "M", "E", "S"),
        Scheme("direct", "B", "M", "E", "B", separator=""),
    )
}
# Direct tagging has one letter for a label: person Name, plAce, Organisation.
DIRECT_LABELS = {"N": "PER", "A": "LOC", "O": "ORG"}
_ALIASES = {"iob2": "bio", "iob": "bio", "iobes": "bioes", "bmeso": "bmes", "bieso": "bioes", "bieo": "bioes"}


def scheme_named(name: str) -> Scheme:
    """The scheme of a name in any case; ``iob2`` is ``bio`` and ``iobes`` is ``bioes``. Raises ConfigError."""
    lower = name.lower()
    scheme = SCHEMES.get(_ALIASES.get(lower, lower))
    if scheme is None:
        raise ConfigError(f"{name!r} is not a known tagging scheme{did_you_mean(lower, [*SCHEMES, *_ALIASES])}")
    return scheme


def split_tag(tag: str) -> tuple[str, str]:
    """The position letter and the label of a tag with a hyphen between them; the label may hold further hyphens.

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
    - strict keeps only spans that are spelled in full: opened by the letter that opens, closed by one that closes.

    Raises:
        ValueError: a tag whose letter the scheme does not have; names the token.

    >>> spans_from(["I-PER", "I-PER", "O", "B-LOC"], "bio")
    [Span(start=0, end=2, label='PER'), Span(start=3, end=4, label='LOC')]
    >>> spans_from(["I-PER", "I-PER", "O", "B-LOC"], "bio", strict=True)
    [Span(start=3, end=4, label='LOC')]
    """
    chosen = as_scheme(scheme)
    parts = _checked_parts(tags, chosen)
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
        tags[start:end] = [chosen.tag(letter, label) for letter in letters]
        before = span
    return tags


def convert(
    tags: Sequence[str], source: Scheme | str, target: Scheme | str, labels: Mapping[str, str] | None = None
) -> list[str]:
    """The same spans in another scheme.

    Args:
        labels: new names of labels, such as `label_table` gives; those that it does not have stay as they are.

    >>> convert(["I-PER", "B-PER", "O"], "iob1", "bioes")
    ['S-PER', 'S-PER', 'O']
    >>> convert(["BN", "MN", "EN", "O", "BA"], "direct", "bio", DIRECT_LABELS)
    ['B-PER', 'I-PER', 'I-PER', 'O', 'B-LOC']
    """
    spans = spans_from(tags, source)
    if labels:
        spans = [Span(start, end, labels.get(label, label)) for start, end, label in spans]
    return tags_from(spans, len(tags), target)


def label_table(source: Scheme | str, target: Scheme | str) -> dict[str, str]:
    """How labels are renamed between direct tagging and the other schemes: `DIRECT_LABELS` or its inverse, else nothing.

    >>> label_table("bio", "direct"), label_table("bio", "bioes")
    ({'PER': 'N', 'LOC': 'A', 'ORG': 'O'}, {})
    """
    direct = [not as_scheme(scheme).separator for scheme in (source, target)]
    if direct == [True, False]:
        return dict(DIRECT_LABELS)
    return {name: letter for letter, name in DIRECT_LABELS.items()} if direct == [False, True] else {}


def as_scheme(scheme: Scheme | str) -> Scheme:
    """A scheme given as itself or by its name."""
    return scheme if isinstance(scheme, Scheme) else scheme_named(scheme)


def _checked_parts(tags: Sequence[str], scheme: Scheme) -> list[tuple[str, str]]:
    parts = list(map(scheme.split, tags))
    letters = scheme.letters
    for index, (letter, _) in enumerate(parts):
        if letter not in letters and tags[index] != OUTSIDE:
            raise ValueError(f"tags[{index}] is {tags[index]!r}, which is not a tag of the scheme {scheme.name}")
    return parts


def _lenient_spans(parts: list[tuple[str, str]], scheme: Scheme) -> list[Span]:
    spans, start, before = [], 0, (OUTSIDE, "")
    opening, continuing = scheme.opening, scheme.continuing
    for index, (letter, label) in enumerate([*parts, (OUTSIDE, "")]):
        goes_on = before[0] in opening and letter in continuing and label == before[1]
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
            and letter in scheme.opening
            and parts[index][0] in scheme.continuing
            and parts[index][1] == label
        ):
            letter = parts[index][0]
            index += 1
        if letter in scheme.closing:
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
