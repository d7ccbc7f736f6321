"""`tocsin archive hold add --alert`: what lies around an alert is held, and the hold says which alert it was."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from archive_world import START, keeper

from tocsin.archive.catalog import Catalog
from tocsin.archive.tombstones import entries
from tocsin.cli import main
from tocsin.journal.alerts import publish_alert
from tocsin.journal.connection import connect
from tocsin.journal.server import EmbeddedServer
from tocsin.model.alert import Alert
from tocsin.model.severity import Severity
from tocsin.model.time import HOUR, to_iso
from tocsin.query.around import circle_box

SEATTLE = Path(__file__).parents[2] / "examples" / "seattle"
PLACED, BARE = f"{7:020x}", f"{8:020x}"


def alert(name: str, lon: float | None, lat: float | None) -> Alert:
    return Alert(
        id=name, rule="smoke", rule_version="aabbccddeeff", revision=1, status="raised", headline="Smoke", severity=Severity.SEVERE,
        urgency="immediate", certainty="likely", opened=START, known_at=START, updated=START, lon=lon, lat=lat, radius_m=300.0,
        place="the mill", count=1, sources=1, evidence=(), reasons=("a reason",), seq=1 << 20,
    )  # fmt: skip


async def raised(data: Path) -> None:
    async with EmbeddedServer(data, 0) as server, await connect(server.endpoint) as journal:
        for one in (alert(PLACED, -122.33, 47.6), alert(BARE, None, None)):
            await publish_alert(journal, one)


@pytest.fixture
def data(tmp_path) -> Path:
    """Of a stopped node: an archive, and two alerts of which one has no place."""
    found = tmp_path / "var"
    keeper(found / "archive").close()
    asyncio.run(raised(found))
    return found


@pytest.fixture
def hold(data, capsys):
    def run(action, *words, code=0):
        assert main(["archive", "hold", action, str(SEATTLE), "--data", str(data), *words]) == code
        told = capsys.readouterr()
        return told.out if code == 0 else told.err

    return run


def test_what_lies_around_an_alert_is_held_and_the_hold_says_so(hold, data):
    words = ("--reason", "incident 7", "--alert", PLACED)
    one = json.loads(hold("add", *words, "--within", "2 km", "--around", "3 h", "--json"))
    assert one["alert"] == PLACED
    assert (one["from"], one["to"]) == (to_iso(START - 3 * HOUR), to_iso(START + 3 * HOUR + 1)), (
        "its edges are inside, as in a question around"
    )
    assert one["box"] == list(circle_box(-122.33, 47.6, 2000.0))
    usual = json.loads(hold("add", *words, "--json"))
    assert usual["from"] == to_iso(START - HOUR) and usual["box"] == list(circle_box(-122.33, 47.6, 1000.0))
    listed = json.loads(hold("list", "--json"))["holds"]
    assert [held["alert"] for held in listed] == [PLACED, PLACED] and listed[0] == one
    assert f"1: incident 7, around the alert {PLACED} (by " in hold("list")
    hold("release", "1")
    assert json.loads(hold("list", "--all", "--json"))["holds"][0]["alert"] == PLACED
    catalog = Catalog(data / "archive", write=False)
    assert entries(catalog)[0]["hold"]["alert"] == PLACED, "it is in the signed record"
    catalog.close()


def test_a_hold_without_an_alert_has_none(hold):
    one = json.loads(hold("add", "--reason", "x", "--from", to_iso(START), "--json"))
    assert one["alert"] is None
    assert "alert" not in hold("list")


def test_an_alert_that_is_not_there_is_told_with_those_that_are(hold):
    told = hold("add", "--reason", "x", "--alert", "nothing", code=2)
    assert "there is no alert 'nothing'" in told and f"the newest are {BARE}, {PLACED}" in told
    assert "has no place" in hold("add", "--reason", "x", "--alert", BARE, code=2)
    assert "2 alerts begin with 000" in hold("add", "--reason", "x", "--alert", "000", code=2)
    assert hold("list") == "no holds\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--alert", PLACED, "--from", "2026-01-05T14:03:00Z"), "valid with it: --within, --around, --feed"),
        (("--within", "1 km"), "write --alert ID"),
        (("--alert", PLACED, "--within", "900 km"), "up to 200 km"),
        (("--alert", PLACED, "--around", "soon"), "--around 'soon'"),
    ],
)
def test_what_cannot_be_asked_says_what_can(hold, words, said):
    assert said in hold("add", "--reason", "x", *words, code=2)
