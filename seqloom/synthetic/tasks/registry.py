"""Tasks by name: the names that recipes and the command line use."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from seqloom.configuration.values import from_text
from seqloom.errors import ConfigError, did_you_mean
from seqloom.synthetic.tasks.task import SequenceTask

__all__ = ["make_task", "parse_task", "register", "settings", "task_names"]

_tasks: dict[str, type[SequenceTask]] = {}
_Class = TypeVar("_Class", bound="type[SequenceTask]")


def register(name: str) -> Callable[[_Class], _Class]:
    """Class decorator: give a task the name by which recipes find it."""

    def decorate(task_class: _Class) -> _Class:
        task_class.name = name
        _tasks[name] = task_class
        return task_class

    return decorate


def task_names() -> tuple[str, ...]:
    """The registered names, sorted."""
    return tuple(sorted(_tasks))


def make_task(name: str, length: int | None = None, options: Mapping[str, Any] | None = None) -> SequenceTask:
    """The task of that name.

    Args:
        length: its ``length``; None leaves its own default.
        options: further fields of its dataclass.
    Raises:
        ConfigError: there is no such task, it has no such field, or a value has the wrong type or is out of range.

    >>> make_task("adding", 50).length
    50
    >>> make_task("adding", options={"placment": "halves"})
    Traceback (most recent call last):
    seqloom.errors.ConfigError: adding has no option 'placment'; did you mean 'placement'?
    """
    if name not in _tasks:
        raise ConfigError(f"{name!r} is not a known task{did_you_mean(name, _tasks)}")
    task_class: Any = _tasks[name]
    fields = {field.name: field for field in dataclasses.fields(task_class)}
    values = {**(options or {}), **({} if length is None else {"length": length})}
    for key, value in values.items():
        if key not in fields:
            raise ConfigError(f"{name} has no option {key!r}{did_you_mean(key, fields)}")
        default = fields[key].default
        if isinstance(value, bool) != isinstance(default, bool) or not isinstance(
            value, (int, float) if isinstance(default, float) else type(default)
        ):
            raise ConfigError(f"{name}: {key} is {value!r}, expected a value like {default!r}")
    task: SequenceTask = task_class(**values)
    return task


def parse_task(text: str) -> SequenceTask:
    """A task from one word, such as ``adding`` or ``parity:length=20,test_length=500``.

    >>> parse_task("copy:length=30").longest
    50
    """
    name, _, options = text.partition(":")
    values: dict[str, Any] = {}
    for part in filter(None, options.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise ConfigError(f"{text!r}: {part!r} is not KEY=VALUE; expected such as {name}:length=200")
        values[key.strip()] = from_text(value)
    return make_task(name, options=values)


def settings(task: SequenceTask) -> dict[str, Any]:
    """The fields of a task, by which :func:`make_task` makes it again."""
    return dataclasses.asdict(task)  # type: ignore[call-overload, no-any-return]
