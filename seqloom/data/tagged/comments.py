"""The label of a sentence, such as its intent, in a comment before its tokens: ``# intent = PlayMusic``."""

import re
from collections.abc import Sequence

from seqloom.errors import DataError

__all__ = ["label_in", "with_label"]

_LABEL = re.compile(r"#\s*intent\s*=(.*)")


def label_in(row: str, where: str, before: str | None = None) -> str | None:
    """The label that a comment states, or ``before``, what the sentence has so far, where it states none.

    Raises:
        DataError: a comment without a label, or the second one of a sentence; begins with ``where``.

    >>> label_in("# intent = PlayMusic", "x:1"), label_in("# text = play", "x:2", "PlayMusic")
    ('PlayMusic', 'PlayMusic')
    """
    match = _LABEL.fullmatch(row)
    if match is None:
        return before
    label = match[1].strip()
    if not label:
        raise DataError(f"{where}: the intent is empty; expected such as '# intent = PlayMusic'")
    if before is not None:
        raise DataError(f"{where}: the sentence has the intent {before!r} already; expected one for each sentence")
    return label


def with_label(rows: Sequence[str], label: str | None, place: int) -> list[str]:
    """The lines of a sentence with its label in their comment, which is added where there is none.

    Args:
        label: ``None`` leaves the lines as they are.
        place: the line of the first token.

    >>> with_label(["# id = 1", "play\\tO", ""], "PlayMusic", 1)
    ['# id = 1', '# intent = PlayMusic', 'play\\tO', '']
    """
    if label is None:
        return list(rows)
    comments = [index for index, row in enumerate(rows[:place]) if _LABEL.fullmatch(row)]
    if not comments:
        return [*rows[:place], f"# intent = {label}", *rows[place:]]
    changed = list(rows)
    if label_in(rows[comments[0]], "") != label:
        changed[comments[0]] = f"# intent = {label}"
    return changed
