"""What `tocsin check CITY` says: every problem and warning of a city directory, for people and for programs."""

from __future__ import annotations

from typing import Any

from tocsin.kernel.fault import Problem

from .load import Report, read_city

__all__ = ["Report", "as_json", "as_text", "read_city"]


def as_text(report: Report) -> str:
    """One line a finding, problems first, and a last line that counts them."""
    lines = [str(problem) for problem in report.problems]
    lines += [f"{_place(warning)}: warning: {warning.message}" for warning in report.warnings]
    found = f"{_count(report.feeds, 'feed')}, {_count(report.rules, 'rule')}, {_count(report.tests, 'rule test')}"
    counts = f"{_count(len(report.problems), 'problem')}, {_count(len(report.warnings), 'warning')}"
    lines.append(f"{report.root}: {found}: {counts}")
    return "\n".join(lines)


def as_json(report: Report) -> dict[str, Any]:
    """`{ok, city, feeds, rules, tests, problems: [{file, line, message}], warnings: [...]}`."""
    return {
        "ok": not report.problems,
        "city": str(report.root),
        "feeds": report.feeds,
        "rules": report.rules,
        "tests": report.tests,
        "problems": [_json(one) for one in report.problems],
        "warnings": [_json(one) for one in report.warnings],
    }


def _json(one: Problem) -> dict[str, str | int]:
    return {"file": one.file, "line": one.line, "message": one.message}


def _place(one: Problem) -> str:
    return f"{one.file}:{one.line}" if one.line else one.file


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
