"""Whether tags keep to their scheme: legality with positions, masks for decoding, and detection of the scheme."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from seqloom.data.tagged.schemes import DIRECT_LABELS, OUTSIDE, SCHEMES, Scheme, as_scheme, split_tag
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import DataError

if TYPE_CHECKING:  # files are read and checked without it
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Detection", "check_tags", "constraints", "detect_scheme", "illegal_tags", "looks_like_span"]

_LETTERS = frozenset("BIESMLU")
_PER_SLIP = 10  # tags of spans for each that is none
_NEAR_SPAN = re.compile(r"[BIESMLU][_:.|+/]\S+|[biesmlu][-_:.|+/][A-Z]\S*|[A-Za-z]\S*[-_:.|+/][BIESMLU]|[BIESMLU]-")


def illegal_tags(tags: Sequence[str], scheme: Scheme | str) -> list[tuple[int, str]]:
    """Each place where tags break the scheme: the token's index and what is wrong there.

    An unclosed span is reported at its last token.

    >>> illegal_tags(["O", "I-PER", "O"], "bio")
    [(1, "'I-PER' continues no span of 'PER' (after 'O')")]
    """
    chosen = as_scheme(scheme)
    legal = _rule(chosen)
    violations = []
    for index, (before, tag) in enumerate(pairwise((None, *tags, None))):
        if tag is not None and not chosen.has(tag):
            violations.append((index, f"{tag!r} is not a tag of the scheme {chosen.name}"))
        elif not legal(before, tag):
            violations.append(_describe(index, before, tag, chosen))
    return violations


def check_tags(sentence: Sentence, scheme: Scheme | str) -> None:
    """Raise DataError, with the file and line of the first token whose tag breaks the scheme."""
    for index, reason in illegal_tags(sentence.tags or (), scheme):
        name = as_scheme(scheme).name
        raise DataError(
            f"{sentence.where(index)}: tag {reason} in the scheme {name}; correct the tag, or name the file's scheme"
        )


def constraints(
    tags: Sequence[str], scheme: Scheme | str
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Which transitions a scheme allows, for decoding.

    Args:
        tags: the K tags of a vocabulary.
    Returns:
        (K, K) allowed[from, to]; (K,) allowed at the start; (K,) allowed at the end.
    Raises:
        ValueError: a tag that the scheme does not have.

    >>> constraints(["O", "B", "I"], "bio")[0].astype(int).tolist()
    [[1, 1, 0], [1, 1, 1], [1, 1, 1]]
    """
    import numpy as np

    chosen = as_scheme(scheme)
    for index, tag in enumerate(tags):
        if not chosen.has(tag):
            raise ValueError(f"tags[{index}] is {tag!r}, which is not a tag of the scheme {chosen.name}")
    legal = _rule(chosen)
    between = np.array([[legal(before, tag) for tag in tags] for before in tags], bool).reshape(len(tags), len(tags))
    start = np.array([legal(None, tag) for tag in tags], bool)
    end = np.array([legal(tag, None) for tag in tags], bool)
    return between, start, end


@dataclass(frozen=True, slots=True)
class Detection:
    """What a file's tags are, and why it is thought so.

    Attributes:
        scheme: the scheme, or ``None`` for plain tags such as parts of speech.
        reason: one line for people.
        letters: how often each position letter occurs.
        conflicts: places that the chosen scheme forbids: 0 in a clean file.
        converted_from: the scheme that they had in the file, where they were converted.
    """

    scheme: Scheme | None
    reason: str
    letters: dict[str, int]
    conflicts: int
    converted_from: Scheme | None = None

    @property
    def origin(self) -> Scheme | None:
        """The scheme of the file itself."""
        return self.converted_from or self.scheme


def detect_scheme(sequences: Iterable[Sequence[str]], given: Scheme | None = None) -> Detection:
    """The scheme in which tag sequences are written.

    Letters right before their labels (``BN``) are direct tagging. ``M`` means BMES, ``L`` or ``U`` BILOU, ``E`` or
    ``S`` BIOES. With ``B`` and ``I`` alone, an ``I`` that opens a span speaks for IOB1 and a ``B`` that parts nothing
    for BIO; the scheme with fewer conflicts is chosen, BIO where they are equal.

    Args:
        given: the scheme, where it is known; tags that spell no spans have none all the same.

    >>> detect_scheme([["I-PER", "I-PER", "O"]]).reason
    'IOB1: I- opens a span 1 time, B- only between touching spans'
    >>> detect_scheme([["NOUN", "VERB"]]).scheme is None
    True
    """
    distinct: Counter[str] = Counter()
    bigrams: Counter[tuple[str | None, str | None]] = Counter()
    for tags in sequences:
        distinct.update(tags)
        bigrams.update(pairwise((None, *tags, None)))
    letters: Counter[str] = Counter()
    for tag, count in distinct.items():
        letters[split_tag(tag)[0]] += count
    is_direct = _is_direct(distinct)
    if not is_direct and not _spells_spans(distinct) and (given is None or not _are_meant(distinct, given)):
        return Detection(None, "plain tags: no position letters", {}, 0)
    if given is not None:
        chosen, reason = given, f"{given.name} as given"
    elif is_direct:
        chosen, reason = SCHEMES["direct"], "direct tagging: B, M or E right before a label"
    else:
        odd = _odd_tags(distinct)
        kept = {letter for letter in letters if any(split_tag(tag)[0] == letter and tag not in odd for tag in distinct)}
        chosen, reason = _choose(kept, bigrams)
    if not chosen.separator:
        letters = Counter()
        for tag, count in distinct.items():
            letters[chosen.split(tag)[0]] += count
    legal = _rule(chosen)
    unknown = sum(count for tag, count in distinct.items() if not chosen.has(tag))
    conflicts = unknown + sum(count for pair, count in bigrams.items() if not legal(*pair))
    if conflicts:
        reason += "; 1 place breaks it" if conflicts == 1 else f"; {conflicts} places break it"
    return Detection(chosen, reason, dict(letters), conflicts)


def looks_like_span(tag: str) -> bool:
    """Whether a tag is meant as one of a span but is spelled otherwise than every scheme has it.

    >>> [tag for tag in ("B_PER", "b-PER", "PER-B", "B-PER", "NOUN", "B") if looks_like_span(tag)]
    ['B_PER', 'b-PER', 'PER-B']
    """
    return _NEAR_SPAN.fullmatch(tag) is not None


def _are_meant(tags: Iterable[str], scheme: Scheme) -> bool:
    """Whether tags that break a stated scheme are its tags all the same, and not parts of speech."""
    names = set(tags) - {OUTSIDE}
    has_label = any(tag[1:2] == "-" and tag[2:] and scheme.has(tag) for tag in names)
    return bool(scheme.separator and has_label) or (bool(names) and all(map(looks_like_span, names)))


def _odd_tags(counts: Counter[str]) -> set[str]:
    """Tags among those of spans that are none: a slip, a header. Few of them, or the tags are no spans at all."""
    spelled = {tag for tag in counts if split_tag(tag)[0] in _LETTERS and split_tag(tag)[1]}
    odd = set(counts) - spelled - {OUTSIDE}
    many, few = sum(counts[tag] for tag in spelled), sum(counts[tag] for tag in odd)
    return odd if few and (_PER_SLIP * few <= many or (few == 1 and many > 1)) else set()


def _spells_spans(counts: Counter[str]) -> bool:
    """Every tag is O, letter-label, or a bare letter of BMES, but for a few slips; and not all of them are O."""
    names = set(counts) - {OUTSIDE} - _odd_tags(counts)
    labelled = all(split_tag(tag)[0] in _LETTERS and split_tag(tag)[1] for tag in names)
    bare = names <= _LETTERS and bool(names & set("BI") or names == {"S"})
    return bool(names) and (labelled or bare)


def _is_direct(tags: Iterable[str]) -> bool:
    """Every tag is O, or B, M, E and a label without a hyphen between.

    Labels other than the usual ones need all three letters, so that parts of speech such as MD or EX are none.
    """
    names = set(tags) - {OUTSIDE}
    if not names or any(len(tag) < 2 or tag[0] not in "BME" or tag[1] == "-" for tag in names):
        return False
    labels = {letter: {tag[1:] for tag in names if tag[0] == letter} for letter in "BME"}
    usual = set().union(*labels.values()) <= set(DIRECT_LABELS)
    return usual or (bool(labels["M"] and labels["E"]) and labels["M"] | labels["E"] <= labels["B"])


def _choose(letters: set[str], bigrams: Counter[tuple[str | None, str | None]]) -> tuple[Scheme, str]:
    if "M" in letters:
        return SCHEMES["bmes"], "BMES: the letter M occurs"
    if letters & {"L", "U"}:
        return SCHEMES["bilou"], "BILOU: the letter L or U occurs"
    if letters <= {"B", "E", "S"} and letters & {"E", "S"}:
        return SCHEMES["bmes"], "BMES: the letter E or S occurs, neither I nor O does"
    if letters & {"E", "S"}:
        return SCHEMES["bioes"], "BIOES: the letter E or S occurs"
    broken = {
        name: sum(count for pair, count in bigrams.items() if not _rule(SCHEMES[name])(*pair))
        for name in ("bio", "iob1")
    }
    if broken["bio"] > broken["iob1"]:
        times = "1 time" if broken["bio"] == 1 else f"{broken['bio']} times"
        return SCHEMES["iob1"], f"IOB1: I- opens a span {times}, B- only between touching spans"
    return SCHEMES["bio"], "BIO (IOB2): each span opens with B-"


def _rule(scheme: Scheme) -> Callable[[str | None, str | None], bool]:
    """Whether one tag may follow another; ``None`` stands for the sentence's start and end."""
    opening, continuing, unfinished = scheme.opening, scheme.continuing, scheme.opening - scheme.closing

    def legal(before: str | None, tag: str | None) -> bool:
        left, left_label = scheme.split(before) if before is not None else (OUTSIDE, "")
        right, right_label = scheme.split(tag) if tag is not None else (OUTSIDE, "")
        same = left_label == right_label
        if scheme.name == "iob1":
            return right != scheme.begin or (left != OUTSIDE and same)
        return (left in opening and same) if right in continuing else left not in unfinished

    return legal


def _describe(index: int, before: str | None, tag: str | None, scheme: Scheme) -> tuple[int, str]:
    letter, label = scheme.split(tag) if tag is not None else (OUTSIDE, "")
    if scheme.name == "iob1":
        return index, f"{tag!r} parts no two spans of {label!r}; a span opens with 'I'"
    if letter in scheme.continuing:
        follows = f"after {before!r}" if before is not None else "at the start"
        return index, f"{tag!r} continues no span of {label!r} ({follows})"
    return index - 1, f"{before!r} leaves its span open; expected {scheme.inside!r} or {scheme.last!r} after it"
