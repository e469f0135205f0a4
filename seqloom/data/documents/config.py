"""How documents are read and cut into tokens. No torch here: the command line reads this for its help."""

from dataclasses import dataclass
from typing import Literal

from seqloom.errors import ConfigError

__all__ = ["DocumentFormat", "DocumentReading", "TokenConfig"]

DocumentFormat = Literal["auto", "csv", "tsv", "jsonl", "fasttext", "folder", "lines"]


@dataclass(frozen=True)
class DocumentReading:
    """How documents are read.

    Args:
        format: how files are read; ``auto`` recognises the format and says so. ``fasttext`` are lines ``__label__x text``;
            ``folder`` is a folder for each class with a text in each file, or a file for each class with a text in each line.
        text: the column or key of the text, by its name or its number from 0; several as ``title,description``. Empty finds it.
        label: that of the class. Empty finds it; ``none`` where there are no classes.
        group: that of who or what a text is from, such as an author; empty where there is none.
        several: what stands between classes where texts have several, such as a comma; empty where they have one.
        header: whether the first row of a table names its columns; ``auto`` looks.
        encoding: character encoding.
    """

    format: DocumentFormat = "auto"
    text: str = ""
    label: str = ""
    group: str = ""
    several: str = ""
    header: Literal["auto", "yes", "no"] = "auto"
    encoding: str = "utf-8"


@dataclass(frozen=True)
class TokenConfig:
    """How a text becomes tokens.

    Args:
        tokens: ``words`` and punctuation marks; ``characters`` without white space; or ``auto``, where Chinese, Japanese and
            Korean characters stand for themselves and words elsewhere.
        lowercase: whether capital letters are read as small ones.
        fold_digits: whether every digit is read as 0.
        breaks: whether the line breaks of HTML, ``<br />``, are line breaks rather than text.
        longest: tokens of a text that are kept; 0 keeps all.
        keep: which end of a longer text is kept: its ``head``, its ``tail``, or half of each.
        sentences: sentences of a text that are kept, where it is read in sentences; 0 keeps all.
        longest_sentence: words of a sentence, where a text is read in sentences; longer ones are divided.
    """

    tokens: Literal["auto", "words", "characters"] = "auto"
    lowercase: bool = True
    fold_digits: bool = False
    breaks: bool = True
    longest: int = 0
    keep: Literal["head", "tail", "both"] = "head"
    sentences: int = 0
    longest_sentence: int = 60

    def __post_init__(self) -> None:
        for name in ("longest", "sentences"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 0 or more")
        if self.longest_sentence < 1:
            raise ConfigError(f"longest_sentence is {self.longest_sentence}; expected at least 1")
