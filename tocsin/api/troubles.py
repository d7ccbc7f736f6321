"""What keeps the live picture from being whole now, in words for the person who looks at it."""

from __future__ import annotations

from typing import Final

from .services import Services

#: Entries of the journal that matching may be behind before it is said; bursts are caught up with sooner.
BEHIND: Final = 1_000
_INGEST: Final = "nothing new comes in: ingest, which takes reports in, does not answer"
_MATCHING: Final = "new alerts do not ring: {}, which finds them, does not answer"


def troubles(services: Services) -> list[str]:
    """One sentence each, the same for as long as the trouble lasts. None in a replay: its past is whole whatever the node does."""
    if services.replay is not None:
        return []
    board = services.board
    words = list(services.not_ready())
    words += [_INGEST if name == "ingest" else _MATCHING.format(name) for name in services.processes if board.missing(name)]
    if not board.missing("correlate") and board.behind("correlate") > BEHIND:
        words.append("new alerts ring late: correlate, which finds them, has not kept up with what comes in")
    if reason := (board.archive() or {}).get("delayed"):
        words.append(f"history is delayed: {reason}; alerts go on")
    return words
