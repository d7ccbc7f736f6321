"""What a public repository must not contain, and what start-up must not load."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = {".py", ".ts", ".tsx", ".md", ".yaml", ".yml", ".toml", ".txt", ".json", ".sh", ".lock", ".in"}
INDEX = re.compile(r"(--(extra-)?index-url|--find-links|--trusted-host|registry\s*=|\"resolved\":)")


def tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def test_lock_files_name_no_package_index() -> None:
    locks = [path for path in tracked() if path.suffix == ".lock" or path.name in {"package-lock.json", ".npmrc"}]
    assert len(locks) >= 4
    found = [
        f"{path.relative_to(ROOT)}:{n}" for path in locks for n, line in enumerate(path.read_text().split("\n"), 1) if INDEX.search(line)
    ]
    assert not found


def test_python_locks_pin_with_hashes() -> None:
    for path in sorted((ROOT / "requirements").glob("*.lock")):
        pins = [line for line in path.read_text().splitlines() if re.match(r"^[A-Za-z0-9]", line)]
        assert pins and all("==" in line for line in pins), path.name
        assert path.read_text().count("--hash=sha256:") >= len(pins)


def test_stages_never_import_heavy_libraries_at_start() -> None:
    heavy = "{'numba', 'pyarrow', 'fastapi', 'shapely', 'sqlalchemy', 'nats', 'httpx'}"
    code = f"import sys, tocsin.cli; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert out.strip() == "[]", "`tocsin --help` must answer at once"


def test_nobody_waits_in_a_way_that_swallows_a_cancellation() -> None:
    """`asyncio.wait_for` of Python 3.11 returns its answer to somebody who was told to end in the same moment: he then never ends."""
    found = [path.name for path in (ROOT / "tocsin").rglob("*.py") if "asyncio.wait_for(" in path.read_text()]
    assert not found, "write `async with asyncio.timeout(...)`"


def test_the_example_city_is_small_and_carries_the_notices_of_what_it_ships() -> None:
    city = ROOT / "examples" / "seattle"
    size = sum(path.stat().st_size for path in tracked() if path.is_relative_to(city))
    assert size < 15_000_000
    told = [line for line in (city / "DATA.md").read_text().splitlines() if "MIT" in line and "notice" in line]
    notices = [city / name for line in told for name in re.findall(r"\[notice\]\(([^)]+)\)", line)]
    assert notices and all("Permission is hereby granted" in path.read_text() for path in notices)


def test_what_tests_need_and_is_not_there_is_named(tmp_path: Path) -> None:
    """On a machine without the packages, and without root to install them."""
    for name in ("sh", "ls", "mktemp", "rmdir"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    told = subprocess.run(
        ["sh", str(ROOT / "scripts" / "need.sh"), "test"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert told.returncode == 1
    assert "chromium" in told.stderr and "mosquitto-clients" in told.stderr and "As root: apt-get install" in told.stderr
    node = subprocess.run(
        ["sh", str(ROOT / "scripts" / "need.sh"), "node"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert node.returncode == 1 and "Node 20" in node.stderr
