"""Files of tagged sentences read as a training would, with all that is wrong or odd about them said before it starts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from seqloom.data.check_report import CheckReport, Section
from seqloom.data.embeddings import Coverage, load_embeddings
from seqloom.data.files import DAMAGE, STDIN, checksum
from seqloom.data.findings import Finding, finding_of, limited, line_findings
from seqloom.data.location import aligned_files
from seqloom.data.tagged.comparisons import (
    foreign_labels,
    mixed_schemes,
    repeated_sentences,
    unknown_tokens,
    width_mismatch,
)
from seqloom.data.tagged.corpus import CorpusReport, TaggedCorpus
from seqloom.data.tagged.findings import label_findings, long_sentences, reading_findings, tag_findings
from seqloom.data.tagged.formats import ReadOptions, read
from seqloom.errors import ConfigError, DataError

__all__ = ["TaggedReport", "check"]


@dataclass(frozen=True)
class TaggedReport(CheckReport):
    """What was found in the files of a training on tagged sentences.

    Attributes:
        corpora: the counts of each file that could be read, by split.
        checksums: the SHA-256 of each file, by split.
        coverage: how the training file's words, or else the first file's, are found among word vectors.
    """

    corpora: dict[str, CorpusReport] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    coverage: Coverage | None = None

    def contents(self) -> dict[str, Any]:
        """The counts of the files as numbers."""
        return {
            "corpora": {split: report.to_dict() for split, report in self.corpora.items()},
            "checksums": self.checksums,
            "embeddings": self.coverage.to_dict() if self.coverage is not None else None,
        }


def check(
    paths: Mapping[str, str | Path],
    format: str = "auto",
    options: ReadOptions | None = None,
    *,
    limit: int = 10,
    embeddings: str | Path | None = None,
) -> TaggedReport:
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
    corpora: dict[str, TaggedCorpus] = {}
    checksums: dict[str, str] = {}
    for split, path in paths.items():
        try:
            corpora[split] = read(path, format, chosen)
        except DataError as problem:
            findings.append(finding_of(problem, path))
        files = _files(path)
        if files:
            checksums[split] = checksum(path)
        input_format = corpora[split].report.format if split in corpora else format
        for file in files:
            findings += _lines(file, chosen.encoding, input_format in ("segmented", "plain"), limit)
    for split, corpus in corpora.items():
        findings += limited(_alone(corpus), limit)
        findings += limited(_compared(split, corpus, corpora.get("train")), limit)
    findings += mixed_schemes(corpora)
    coverage = _coverage(corpora, embeddings) if embeddings is not None else None
    reports = {split: corpus.report for split, corpus in corpora.items()}
    sections = [_section(report, checksums.get(split, "")) for split, report in reports.items()]
    if coverage is not None:
        sections.append(Section(coverage.rows()))
    return TaggedReport(tuple(findings), tuple(sections), reports, checksums, coverage)


def _section(report: CorpusReport, sha256: str) -> Section:
    counted = {"labels": report.labels, "spans": report.spans, "sentence labels": report.sentence_labels}
    rows = [(name, value) for name, value in report.rows() if name not in counted]
    distributions = {name.removesuffix("s"): counts for name, counts in counted.items()}
    return Section([*rows, ("sha256", sha256)], distributions)


def _files(path: str | Path) -> tuple[Path, ...]:
    """The files behind a name, none where reading could not find them either."""
    try:
        return aligned_files(path) or ((Path(path),) if Path(path).is_file() else ())
    except DataError:
        return ()


def _coverage(corpora: Mapping[str, TaggedCorpus], path: str | Path) -> Coverage | None:
    corpus = corpora.get("train") or next(iter(corpora.values()), None)
    if corpus is None:
        return None
    words = dict.fromkeys(token for sentence in corpus.sentences for token in sentence.tokens)
    return load_embeddings(path, list(words)).coverage


def _lines(path: str | Path, encoding: str, keeps_empty_lines: bool, limit: int) -> list[Finding]:
    try:
        return list(limited(line_findings(path, encoding, keeps_empty_lines), limit))
    except (DataError, *DAMAGE):
        return []  # the file cannot be opened or unpacked, which reading has reported


def _alone(corpus: TaggedCorpus) -> Iterator[Finding]:
    yield from reading_findings(corpus)
    yield from label_findings(corpus)
    yield from tag_findings(corpus)
    yield from long_sentences(corpus)


def _compared(split: str, corpus: TaggedCorpus, training: TaggedCorpus | None) -> Iterator[Finding]:
    yield from repeated_sentences(split, corpus, training)
    if training is None or training is corpus:
        return
    if training.report.format != corpus.report.format:
        message = f"{split} is {corpus.report.format} while the training file is {training.report.format}"
        yield Finding("note", "formats", corpus.report.source, message)
    yield from foreign_labels(split, corpus, training)
    yield from unknown_tokens(split, corpus, training)
    yield from width_mismatch(split, corpus, training)
