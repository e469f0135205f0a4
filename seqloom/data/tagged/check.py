"""``seqloom check``: read files as a training would, and say all that is wrong or odd with them before it starts."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seqloom.data.embeddings import Coverage, load_embeddings
from seqloom.data.files import STDIN, checksum
from seqloom.data.sources import aligned_files
from seqloom.data.tagged.comparisons import (
    foreign_labels,
    mixed_schemes,
    repeated_sentences,
    unknown_tokens,
    width_mismatch,
)
from seqloom.data.tagged.corpus import Corpus, CorpusReport
from seqloom.data.tagged.findings import (
    Finding,
    Severity,
    label_troubles,
    line_troubles,
    listed,
    long_sentences,
    tag_troubles,
)
from seqloom.data.tagged.formats import ReadOptions, read
from seqloom.errors import ConfigError, DataError

__all__ = ["CheckReport", "check"]

_PLACE = re.compile(r"(?P<where>.*?:\d+): (?P<message>.*)", re.DOTALL)
_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found in the files of a training.

    Attributes:
        corpora: the counts of each file that could be read, by split.
        findings: errors first, then warnings, then notes.
        checksums: the SHA-256 of each file, by split.
        coverage: how the training file's words, or else the first file's, are found among word vectors.
    """

    corpora: dict[str, CorpusReport]
    findings: tuple[Finding, ...]
    checksums: dict[str, str]
    coverage: Coverage | None = None

    def count(self, severity: Severity) -> int:
        """How many findings are of this severity."""
        return sum(finding.severity == severity for finding in self.findings)

    @property
    def is_usable(self) -> bool:
        """Whether nothing was found that stops a training or spoils its figures."""
        return not self.count("error")

    def rows(self) -> list[tuple[str, str, str]]:
        """Severity, place and sentence of each finding, as text."""
        return [(finding.severity, finding.where, finding.message) for finding in self.findings]

    def to_dict(self) -> dict[str, Any]:
        """The same, for JSON."""
        return {
            "corpora": {split: report.to_dict() for split, report in self.corpora.items()},
            "checksums": self.checksums,
            "embeddings": self.coverage.to_dict() if self.coverage is not None else None,
            "findings": [finding.to_dict() for finding in self.findings],
            "errors": self.count("error"),
            "warnings": self.count("warning"),
            "notes": self.count("note"),
        }


def check(
    paths: Mapping[str, str | Path],
    format: str = "auto",
    options: ReadOptions | None = None,
    *,
    limit: int = 10,
    embeddings: str | Path | None = None,
) -> CheckReport:
    """Check the files of a training, without stopping at the first trouble.

    Args:
        paths: file by split, such as ``{"train": ..., "dev": ..., "test": ...}``. The split ``train`` is what the
            others are compared with.
        format: as for `read`.
        limit: how many findings of a kind to list for each file.
        embeddings: a file of word vectors, to report how many words it has.
    Raises:
        DataError: the file of word vectors is wrong.
        ConfigError: no file, the standard input, or an unknown format, encoding, column or scheme.

    Of a file whose lines cannot be read, the first such line is reported; a reader cannot know where the next
    sentence would begin.
    """
    if not paths or any(str(path) == STDIN for path in paths.values()):
        raise ConfigError("check reads its files several times; give the names of files")
    chosen = replace(options or ReadOptions(), on_misaligned="skip")  # so that every misaligned span is listed
    findings: list[Finding] = []
    corpora: dict[str, Corpus] = {}
    checksums: dict[str, str] = {}
    for split, path in paths.items():
        try:
            corpora[split] = read(path, format, chosen)
        except DataError as problem:
            findings.append(_finding_of(problem, str(path)))
        files = _files(path)
        if files:
            checksums[split] = checksum(path)
        found = corpora[split].report.format if split in corpora else format
        for file in files:
            findings += _lines(file, chosen.encoding, found in ("segmented", "plain"), limit)
    for split, corpus in corpora.items():
        findings += listed(_alone(corpus), limit)
        findings += listed(_compared(split, corpus, corpora.get("train")), limit)
    findings += mixed_schemes(corpora)
    findings.sort(key=lambda finding: _ORDER[finding.severity])
    coverage = _coverage(corpora, embeddings) if embeddings is not None else None
    return CheckReport(
        {split: corpus.report for split, corpus in corpora.items()}, tuple(findings), checksums, coverage
    )


def _files(path: str | Path) -> tuple[Path, ...]:
    """The files behind a name, none where reading could not find them either."""
    try:
        return aligned_files(path) or ((Path(path),) if Path(path).is_file() else ())
    except DataError:
        return ()


def _coverage(corpora: Mapping[str, Corpus], path: str | Path) -> Coverage | None:
    corpus = corpora.get("train") or next(iter(corpora.values()), None)
    if corpus is None:
        return None
    words = dict.fromkeys(token for sentence in corpus.sentences for token in sentence.tokens)
    return load_embeddings(path, list(words)).coverage


def _lines(path: str | Path, encoding: str, keeps_empty_lines: bool, limit: int) -> list[Finding]:
    if encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32")):
        return []  # these files are not made of byte lines; reading them has checked their encoding
    try:
        return list(listed(line_troubles(path, encoding, keeps_empty_lines), limit))
    except DataError:
        return []  # the file cannot be opened or unpacked, which reading has reported


def _alone(corpus: Corpus) -> Iterator[Finding]:
    yield from label_troubles(corpus)
    yield from tag_troubles(corpus)
    yield from long_sentences(corpus)


def _compared(split: str, corpus: Corpus, training: Corpus | None) -> Iterator[Finding]:
    yield from repeated_sentences(split, corpus, training)
    if training is None or training is corpus:
        return
    if training.report.format != corpus.report.format:
        message = f"{split} is {corpus.report.format} while the training file is {training.report.format}"
        yield Finding("note", "formats", corpus.report.source, message)
    yield from foreign_labels(split, corpus, training)
    yield from unknown_tokens(split, corpus, training)
    yield from width_mismatch(split, corpus, training)


def _finding_of(problem: DataError, path: str) -> Finding:
    found = _PLACE.match(str(problem))
    if found is None:
        return Finding("error", "reading", path, str(problem).removeprefix(f"{path}: ").removeprefix(f"{path} "))
    return Finding("error", "reading", found["where"], found["message"])
