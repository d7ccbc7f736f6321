"""What was found wrong or doubtful in rules, and the one rule that is being looked at."""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass, field

from tocsin.kernel.fault import Problem

from .nodes import Rule
from .produced import Produced


@dataclass(slots=True)
class Findings:
    """Problems stop the start, warnings do not. `refused`: what makes a rule useless, though it can be run; a configuration that was in force
    before this was looked for must go on."""

    problems: list[Problem] = field(default_factory=list)
    refused: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class Looked:
    """A rule under check. `feeds`: None when they are not known (a rule file on its own)."""

    rule: Rule
    feeds: Many[Produced] | None
    findings: Findings

    def bad(self, path: str, message: str) -> None:
        """A problem at a key. `path`: as in `when.cluster.within`."""
        self.findings.problems.append(Problem(self.rule.file, self.rule.line_of(path), f"{path}: {message}"))

    def refuse(self, path: str, message: str) -> None:
        """A problem at a key of a rule that can be run all the same."""
        self.findings.refused.append(Problem(self.rule.file, self.rule.line_of(path), f"{path}: {message}"))

    def doubt(self, path: str, message: str) -> None:
        """A warning at a key."""
        self.findings.warnings.append(Problem(self.rule.file, self.rule.line_of(path), f"{path}: {message}"))

    def wrote(self, path: str) -> bool:
        """Whether a key was written."""
        return path in self.rule.lines
