"""Severity, urgency and certainty as CAP 1.2 (OASIS, section 3.2.2) defines them, and our four screen ranks."""

from __future__ import annotations

from enum import IntEnum


class Severity(IntEnum):
    """CAP severity. The number is what is stored (int8) and orders from least to most severe."""

    UNKNOWN = 0
    MINOR = 1
    MODERATE = 2
    SEVERE = 3
    EXTREME = 4

    @property
    def rank(self) -> int:
        """1 (most severe) to 4: the number drawn on every symbol."""
        return {4: 1, 3: 2, 2: 3}.get(int(self), 4)


URGENCIES = ("immediate", "expected", "future", "past", "unknown")
CERTAINTIES = ("observed", "likely", "possible", "unlikely", "unknown")


class Action(IntEnum):
    """What a record does to the fact it speaks of (SEMANTICS 7)."""

    REPORT = 0
    UPDATE = 1
    CANCEL = 2
