"""Ctrl-C, SIGTERM and SIGHUP during training: the first is obeyed where it costs nothing, the second stops at once."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, TypeVar

__all__ = ["Interruption", "Request", "TrainingInterrupted"]

T = TypeVar("T")

_HANGUP: int | None = getattr(signal, "SIGHUP", None)  # which Windows has not


class TrainingInterrupted(SystemExit):
    """Training was stopped from outside and everything is saved; uncaught, the process exits with status 130."""

    def __init__(self, message: str) -> None:
        super().__init__(130)
        self.message = message

    def __str__(self) -> str:
        return self.message


class Interruption:
    """Context in which the first SIGINT, SIGTERM or SIGHUP sets ``requested`` and the second raises KeyboardInterrupt.

    A terminal that closes may say so more than once, and a service that stops adds a SIGHUP to its SIGTERM, so that one
    never counts as the second. Where it is ignored, as under nohup, it stays so. Outside the main thread, where Python
    forbids handlers, this does nothing.
    """

    def __init__(self) -> None:
        self._requested = self._immediate = False
        self._previous: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether training is to stop."""
        return self._requested

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in _signals():
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def breakable(self, work: Callable[[], T]) -> T | None:
        """The result of ``work``, which the first signal already breaks off; None where it did.

        For work that changes nothing, such as an evaluation of several minutes.
        """
        try:
            self._immediate = True
            return None if self.requested else work()
        except KeyboardInterrupt:
            if not self.requested:
                raise
            return None
        finally:
            self._immediate = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again, self._requested = self._requested, True
        if (again and number != _HANGUP) or self._immediate:
            raise KeyboardInterrupt


def _signals() -> list[int]:
    wanted = [int(signal.SIGINT), int(signal.SIGTERM)]
    if _HANGUP is not None and signal.getsignal(_HANGUP) != signal.SIG_IGN:
        wanted.append(_HANGUP)
    return wanted


class Request(Interruption):
    """An interruption that is asked for by a callable and leaves signals alone."""

    def __init__(self, asked: Callable[[], bool]) -> None:
        super().__init__()
        self._asked = asked

    @property
    def requested(self) -> bool:
        return self._asked()

    def __enter__(self) -> "Request":
        return self
