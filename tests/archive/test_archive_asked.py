"""What an analyst asks of a real archive from the command line: mistakes in options, places without a time, pages that outlive a compaction."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from archive_world import DAY, START, batch, event, keeper

from tocsin.app.library import Library
from tocsin.archive.compact import compact
from tocsin.cli import main
from tocsin.model.asking import Filter, Patience, Search

SEATTLE = Path(__file__).parents[2] / "examples" / "seattle"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three days of ten events, a file each."""
    kept = keeper(tmp_path / "var" / "archive")
    for day in range(3):
        made = [event(day * 10 + n, time=START + day * DAY + n, lon=180.0 if n % 2 else -180.0, lat=10.0) for n in range(10)]
        kept.append([(day + 1, batch(made))], day + 1)
        kept.flush()
    kept.close()
    return tmp_path / "var"


def said(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main([words[0], str(SEATTLE), *words[1:], "--data", str(folder)])
    found = capsys.readouterr()
    return code, found.out, found.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("search", "--from", "yesterday"), "--from: found 'yesterday'; valid is a time like"),
        (("search", "--to", "2017-07-04 25:00"), "--to: found '2017-07-04 25:00'; valid is a time like"),
        (("search", "--from", "2017-07-05", "--to", "2017-07-04"), "--to: found '2017-07-04'; valid is a time after --from '2017-07-05'"),
        (("report", "volume", "--from", "soon"), "--from: found 'soon'; valid is a time like"),
        (("query", "SELECT 1", "--within", "1000000 years"), "--within: found '1000000 years'"),
    ],
)
def test_a_mistake_is_told_where_it_was_made(folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str) -> None:
    code, _, err = said(folder, capsys, *words)
    assert code == 1 and err.startswith(told)


def test_near_a_place_over_the_antimeridian_without_a_time(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(folder, capsys, "search", "--near", "180,10", "--radius", "1 km", "--json")
    items = json.loads(out)["items"]
    assert code == 0 and len(items) == 30 and {one["lon"] for one in items} == {180.0, -180.0}
    assert "distance_m" in items[0] and "gap_us" not in items[0]


def test_pages_outlive_a_compaction(folder: Path) -> None:
    """Day files become a month file between two pages: nothing is told twice, nothing is left out."""
    library = Library(folder / "archive", None, dict)
    asked, pages, cursor = Filter(), list[int](), None
    try:
        while True:
            answer = library.search(Search(asked, 4, cursor), Patience(60))
            pages += answer.table["seq"].to_pylist()
            if len(pages) == 8:
                kept = keeper(folder / "archive")
                compact(kept.catalog, START + 400 * DAY)
                assert kept.catalog.files("gone IS NULL AND tier = 'month'")
                kept.close()
            cursor = answer.next
            if cursor is None:
                break
    finally:
        library.close()
    assert len(pages) == 30 and pages == sorted(pages, reverse=True) and len(set(pages)) == 30
