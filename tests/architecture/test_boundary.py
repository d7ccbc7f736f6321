"""The boundary's vocabulary appears in no identifier, schema field, operator, route or screen (BOUNDARY.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BANNED = ("suspect", "person_id", "face_id", "face_match", "plate_number", "watchlist", "risk_score", "licence_plate", "license_plate")
WORDS = re.compile("|".join(word.replace("_", "[_ -]?") for word in BANNED), re.IGNORECASE)
SUFFIXES = {".py", ".ts", ".tsx", ".yaml", ".yml", ".json", ".css", ".html"}


def sources() -> list[Path]:
    roots = [ROOT / "tocsin", ROOT / "console" / "src", ROOT / "examples", ROOT / "bench", ROOT / "scripts"]
    return [path for root in roots for path in root.rglob("*") if path.suffix in SUFFIXES and "recorded" not in path.parts]


def violations(text: str) -> list[str]:
    return [match.group() for match in WORDS.finditer(text)]


def test_no_banned_word_anywhere() -> None:
    found = {str(path.relative_to(ROOT)): hits for path in sources() if (hits := violations(path.read_text(errors="replace")))}
    assert not found, f"words that the boundary bans: {found}"


@pytest.mark.parametrize("text", ["suspectName", "plate_number", "plateNumber", "faceMatch", "WATCHLIST = []", "risk-score"])
def test_the_check_sees_what_it_must(text: str) -> None:
    assert violations(text)
