"""Faults by what the caller must do.

TocsinError
  Misconfigured   fix the file: where, what was found, what would be valid
  Retriable       try again, after `after` seconds if given
  Skippable       this one record is bad; go on with the rest
  Fatal           stop: going on would lose or falsify data
    DamagedStore  a file of ours is not as it was written; all that does not need it goes on
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class TocsinError(Exception):
    """Root of all faults raised on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a configuration file. `line` counts from 1, 0 when the whole file is meant."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}"


class Misconfigured(TocsinError):
    """Every problem found, not only the first one."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Retriable(TocsinError):
    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Skippable(TocsinError):
    """A record that cannot be decoded. `where` points into it (`line 3, column lat`)."""

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(message)
        self.where = where


class Fatal(TocsinError):
    pass


class DamagedStore(Fatal):
    """A file of ours is not as it was written: which one, what is wrong, what can be done."""


def nearest(word: str, known: Iterable[str]) -> str:
    """What exists, nearest first, as the tail of an error message: `did you mean 'purpose'? known: a, b, c`."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(names)}"
