"""Work on sentences as they come, a bounded number at a time."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from seqloom.errors import DataError

__all__ = ["SentenceStream", "checked_sentences"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def checked_sentences(sentences: Iterable[Any]) -> list[Sequence[str]]:
    """Sentences that a person gave, each a sequence of tokens or a string of characters.

    Raises:
        DataError: they are a single string, or something among them is no sentence or no token; names which.
    """
    if isinstance(sentences, str) or not isinstance(sentences, Iterable):
        raise DataError(f"{sentences!r:.60} is given where sentences are expected; give a list, of one sentence too")
    given = [one if isinstance(one, str) or not isinstance(one, Iterable) else list(one) for one in sentences]
    for position, sentence in enumerate(given):
        if isinstance(sentence, str):
            continue
        if not isinstance(sentence, list):
            raise DataError(f"sentence[{position}] is {sentence!r:.60}; expected a list of tokens, or a string")
        for place, token in enumerate(sentence):
            if not isinstance(token, str):
                raise DataError(f"sentence[{position}] has {token!r:.60} as token {place}; expected a string")
    return given


class SentenceStream(Generic[Item, Result]):
    """A model of sentences at work on sentences as they come: none has to wait for another.

    Args:
        work: the results of some sentences.
    """

    def __init__(self, work: Callable[[Sequence[Item]], list[Result]]):
        self._work = work

    def push(self, sentences: Sequence[Item]) -> list[Result]:
        """The results of these sentences."""
        return self._work(sentences)

    def close(self) -> list[Result]:
        """Nothing: no sentence is kept."""
        return []
