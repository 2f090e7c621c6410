"""What was checked, and how it is shown."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.values import counted

SECTIONS = ("integration", "search", "performance", "reconciliation")
_MARKS = {True: ("ok", "green"), False: ("FAILED", "bold red"), None: ("", "dim")}


@dataclass(frozen=True)
class Finding:
    """One line of the report; `ok` is None where a figure is only told."""

    section: str
    name: str
    value: str
    ok: bool | None = None


@dataclass
class Report:
    """The findings, in the order in which they were made."""

    findings: list[Finding] = field(default_factory=list)

    def add(self, section: str, name: str, value: str, ok: bool | None = None) -> None:
        """Keep a finding."""
        self.findings.append(Finding(section, name, value, ok))

    @property
    def passed(self) -> bool:
        """Whether nothing has failed."""
        return all(finding.ok is not False for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """The report for programs."""
        return {"passed": self.passed, "findings": [asdict(each) for each in self.findings]}

    def show(self, console: Console) -> None:
        """Print the report for people."""
        for section in SECTIONS:
            found = [each for each in self.findings if each.section == section]
            if found:
                console.print(Text(f"\n{section}", "bold"))
                console.print(_table(found))
        failed = sum(finding.ok is False for finding in self.findings)
        verdict = "passed" if self.passed else f"{counted(failed, 'check')} FAILED"
        console.print(Text(f"\n{verdict}", "bold green" if self.passed else "bold red"))


def _table(findings: Sequence[Finding]) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 2))
    for finding in findings:
        table.add_row(Text(*_MARKS[finding.ok]), finding.name, finding.value)
    return table


def milliseconds(seconds: Sequence[float]) -> str:
    """The middle and the slow end of some durations."""
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"p50 {ordered[len(ordered) // 2] * 1000:.1f} ms, p95 {p95 * 1000:.1f} ms ({counted(len(ordered), 'call')})"
