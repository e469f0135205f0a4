"""Words as coloured chips: a segmentation beside its reference, with what differs marked in form as well as in colour."""

from collections.abc import Collection, Sequence
from itertools import accumulate, pairwise
from typing import Any

from seqloom.app.report.markup import Html, element, join

__all__ = ["as_words", "compared", "spans", "tagged", "words_chips"]

Span = tuple[int, int]


def as_words(value: Any) -> list[str]:
    """The words of an entry, whatever stands there."""
    if value is None:
        return []
    return [str(word) for word in value] if isinstance(value, list) else [str(value)]


def spans(words: Sequence[str]) -> list[Span]:
    """Start and end of each word in the text that they make together.

    >>> spans(["ab", "c"])
    [(0, 2), (2, 3)]
    """
    return list(pairwise(accumulate(map(len, words), initial=0)))


def words_chips(words: Sequence[str], right: Collection[Span] | None = None, *, mark: str = "wrong") -> Html:
    """Words in alternating colours; those whose span is not among the right ones are marked.

    Args:
        words: the words of one line.
        right: spans that are right; None marks nothing.
        mark: ``wrong`` for a word that should not be, ``missed`` for one that was not found.
    """
    reasons = {"wrong": "not a word of the reference", "missed": "not found"}
    chips = []
    for index, (word, span) in enumerate(zip(words, spans(words), strict=True)):
        colour = "ab"[index % 2]
        if right is None or span in right:
            chips.append(element("span", word, class_=f"chip {colour}"))
        else:
            chips.append(element("mark", word, class_=f"chip {colour} {mark}", title=reasons[mark]))
    return element("span", *chips, class_="chips")


def compared(gold: Sequence[str], predicted: Sequence[str]) -> Html:
    """Two rows: the reference with the words that were missed, the prediction with the words that are wrong."""
    if "".join(gold) == "".join(predicted):
        rows = [
            ("gold", words_chips(gold, set(spans(predicted)), mark="missed")),
            ("found", words_chips(predicted, set(spans(gold)))),
        ]
    else:
        # Not two readings of one text, so no span of one can be found in the other.
        rows = [("gold", words_chips(gold)), ("found", words_chips(predicted))]
    return join(element("div", element("span", name, class_="side"), chips, class_="reading") for name, chips in rows)


def tagged(tokens: Sequence[str], gold: Sequence[str] | None, predicted: Sequence[str]) -> Html:
    """Tokens over their tags; where the tag differs from the gold one, both stand there."""
    cells = []
    for index, (token, tag) in enumerate(zip(tokens, predicted, strict=True)):
        colour = "ab"[index % 2]
        if gold is None or gold[index] == tag:
            cells.append(element("span", token, element("small", tag), class_=f"chip tag {colour}"))
        else:
            both = element("small", element("del", tag), " ", element("ins", gold[index]))
            cells.append(element("mark", token, both, class_=f"chip tag {colour} wrong", title=f"gold: {gold[index]}"))
    return element("div", element("span", *cells, class_="chips"), class_="reading")
