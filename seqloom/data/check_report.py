"""The report of a check of data, whatever their kind: figures, distributions, and what is worth a look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seqloom.data.findings import Finding, Severity

__all__ = ["CheckReport", "Section"]

_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Section:
    """What data hold, for people to compare with what they expect.

    Attributes:
        facts: name and value of each figure, as text.
        distributions: what is counted, in the singular, such as ``label`` -> how often each occurs, in the order in which
            they are shown.
        title: what the section is about; empty where its facts say it.
    """

    facts: Sequence[tuple[str, str]] = ()
    distributions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    title: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The same, for JSON."""
        return {
            "title": self.title,
            "facts": dict(self.facts),
            "distributions": {name: dict(counts) for name, counts in self.distributions.items()},
        }


@dataclass(frozen=True)
class CheckReport:
    """What was found in the data of a training.

    Attributes:
        findings: errors first, then warnings, then notes; they are put into this order.
        sections: what the data hold, such as one for each file.
    """

    findings: tuple[Finding, ...]
    sections: tuple[Section, ...] = ()

    def __post_init__(self) -> None:
        ordered = sorted(self.findings, key=lambda finding: _ORDER[finding.severity])
        object.__setattr__(self, "findings", tuple(ordered))

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

    def contents(self) -> dict[str, Any]:
        """What the data hold, for JSON; a kind of data may have more to say to a program than to a person."""
        return {"sections": [section.to_dict() for section in self.sections]}

    def to_dict(self) -> dict[str, Any]:
        """The report, for JSON."""
        return {
            **self.contents(),
            "findings": [finding.to_dict() for finding in self.findings],
            "errors": self.count("error"),
            "warnings": self.count("warning"),
            "notes": self.count("note"),
        }
