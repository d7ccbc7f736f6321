"""Real samples decode to what is written beside them."""

from __future__ import annotations

import json

import pytest
from golden_cases import CASES, GOLDEN, answer, expected_path

FOLDERS = sorted({case.partition("/")[0] for case in CASES})


@pytest.mark.parametrize("case", CASES)
def test_decodes_to_what_is_written(case: str) -> None:
    assert answer(case) == json.loads(expected_path(case).read_text())


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_sample_has_an_answer_and_a_line_in_the_readme(folder: str) -> None:
    files = {path.name for path in (GOLDEN / folder).iterdir()} - {"README.md"}
    samples = {case.partition("/")[2] for case in CASES if case.startswith(folder + "/")}
    assert files == samples | {expected_path(f"{folder}/{name}").name for name in samples}
    readme = (GOLDEN / folder / "README.md").read_text()
    assert "icence" in readme or "Written for these tests" in readme
    assert folder == "cloudevents" or all(f"`{name}`" in readme for name in samples)


def test_the_seattle_offset_is_overridden() -> None:
    """The first call of 2017 was at 00:19 Pacific time, though the text says +0000."""
    assert answer("csv/seattle-fire-911.csv")["events"][0]["event_time"] == "2017-01-01T08:19:00Z"
