"""Docs that fail when they lie: the generated pages are current, and every command and link that is written exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_generated_pages_are_current() -> None:
    done = subprocess.run([sys.executable, "scripts/make_docs.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_links_in_markdown_lead_somewhere() -> None:
    dead = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
                dead.append(f"{page.relative_to(ROOT)} -> {target}")
    assert not dead


def test_paths_named_in_the_top_pages_exist() -> None:
    pages = [ROOT / name for name in ("README.md", "BOUNDARY.md", "CONTRIBUTING.md", "SECURITY.md")]
    named = {name for page in pages for name in re.findall(r"`((?:docs|examples|tocsin|tests|bench|console)/[\w./-]*)`", page.read_text())}
    assert named
    assert not [name for name in named if not (ROOT / name).exists()]


def test_make_targets_named_in_docs_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    named = {name for page in pages for name in re.findall(r"(?:`|^    )make ([a-z-]+)", page.read_text(), re.MULTILINE)}
    assert named and named <= targets


def test_every_command_is_documented() -> None:
    from tocsin.cli import COMMANDS

    text = (ROOT / "docs" / "commands.md").read_text()
    assert not [name for name in COMMANDS if f"## tocsin {name}" not in text]


PROOF = (ROOT / "docs" / "semantics-proof.md").read_text()


def test_every_row_of_the_proof_names_tests_that_exist() -> None:
    rows = [line for line in PROOF.splitlines() if line.startswith("|") and not re.match(r"\| (statement|what) \||\|---", line)]
    assert len(rows) > 60
    assert not [row for row in rows if "::" not in row]
    named = set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PROOF))
    assert len(re.findall("::", PROOF)) == len(re.findall(r"`tests/[\w/]+\.py::\w+`", PROOF)), "all of them are looked at"
    assert not [f"{path}::{name}" for path, name in named if not _defines(ROOT / path, name)]


def test_every_module_and_function_of_the_proof_exists() -> None:
    named = set(re.findall(r"`((?:\w+/)+(?:\w+\.py)?)(?::(\w+))?`", PROOF)) - {("tocsin/", "")}
    assert len(named) > 40
    assert not [(path, name) for path, name in named if not _defines(ROOT / "tocsin" / path, name)]


def _defines(path: Path, name: str) -> bool:
    """Whether a file, or a folder, is there, and defines a function of this name when one is given."""
    return path.exists() and (not name or re.search(rf"^ *(?:async )?def {name}\(", path.read_text(), re.MULTILINE) is not None)
