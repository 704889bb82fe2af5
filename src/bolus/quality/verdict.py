"""Whether an exam can be trusted, and why not."""

from __future__ import annotations

from dataclasses import dataclass

from bolus.types import Finding, Grade, Results

WORDS = {Grade.NOTE: "passed", Grade.WARNING: "read with care", Grade.FAIL: "not reliable"}
"""The verdict in the report and in ``summary.json``."""


@dataclass(frozen=True)
class Verdict:
    """The worst grade of all checks and findings, with every reason above the grade of a note."""

    grade: Grade
    reasons: tuple[Finding, ...]
    """Failures first, then warnings."""

    @property
    def word(self) -> str:
        """passed, read with care, or not reliable."""
        return WORDS[self.grade]


def verdict(results: Results) -> Verdict:
    """The verdict that the report opens with.

    A warning about the exam's timing, for example, is not a quality check but a reason for care, so
    findings count like checks.
    """
    checks = [Finding(c.name, c.grade, c.message, c.remedy) for c in results.checks]
    concerns = [f for f in (*checks, *results.all_findings) if f.grade > Grade.NOTE]
    by_message: dict[str, Finding] = {}
    for finding in concerns:  # a check and a finding may state the same
        by_message.setdefault(finding.message, finding)
    reasons = sorted(by_message.values(), key=lambda finding: -finding.grade)
    return Verdict(results.grade, tuple(reasons))
