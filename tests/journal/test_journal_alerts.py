"""The ALERTS stream: whole alerts and moves, in order, each revision once."""

import asyncio
from dataclasses import replace

import pytest
from journal_world import world

from tocsin.journal import publish_alert, publish_transition, read_alerts
from tocsin.journal.alerts import first_told_at
from tocsin.journal.codec import decode_alert, decode_transition, encode
from tocsin.kernel.fault import Skippable
from tocsin.model.alert import Alert, Evidence, Transition
from tocsin.model.severity import Severity

NOW = 1_500_000_000_123_456
EVIDENCE = Evidence(7 << 20, "calls", "c-1", "call.fire", "E2", NOW - 9, NOW, -122.33, 47.6, 3.25, "cm", "Öl brennt", "anchor", 12.5, -4)
ALERT = Alert(
    id="0123456789abcdef0123",
    rule="second.smoke",
    rule_version="aabbccddeeff",
    revision=1,
    status="raised",
    headline="Smoke near “Pier 54”",
    severity=Severity.EXTREME,
    urgency="immediate",
    certainty="likely",
    opened=NOW - 9,
    known_at=NOW,
    updated=NOW,
    lon=None,
    lat=None,
    radius_m=None,
    place="",
    count=2,
    sources=2,
    evidence=(EVIDENCE, replace(EVIDENCE, lon=None, value=None, text=None, distance_m=None, gap_us=None)),
    reasons=("2 of 2 sources", "290 m apart"),
    seq=7 << 20,
    late=True,
)
MOVE = Transition(ALERT.id, "acknowledged", "ann", NOW + 5, "on my way", None)


def test_alerts_and_moves_survive_json_unchanged():
    assert decode_alert(encode(ALERT)) == ALERT
    assert decode_transition(encode(MOVE)) == MOVE
    assert encode(ALERT) == encode(decode_alert(encode(ALERT)))


@pytest.mark.parametrize("broken", [b"", b"[]", b"{}", b"\xff", b'{"id": 5}', encode(ALERT).replace(b'"revision":1', b'"revision":"1"')])
def test_what_is_no_alert_is_skippable(broken):
    with pytest.raises(Skippable, match="this is no alert"):
        decode_alert(broken)


async def test_revisions_and_moves_come_back_in_order_and_once(tmp_path):
    async with world(tmp_path) as (_, journal, _writer):
        second = replace(ALERT, revision=2, status="amended")
        seqs = [
            (await publish_alert(journal, ALERT)).seq,
            (await publish_transition(journal, MOVE)).seq,
            (await publish_alert(journal, second)).seq,
        ]
        again = await publish_alert(journal, ALERT)
        moved_again = await publish_transition(journal, MOVE)
        assert seqs == [1, 2, 3]
        assert (again.duplicate, again.seq, moved_again.duplicate, moved_again.seq) == (True, 1, True, 2)
        found = [item async for item in read_alerts(journal, 1, follow=False)]
        assert [(seq, subject) for seq, subject, _ in found] == [
            (1, "alert.second_smoke"),
            (2, f"transition.{ALERT.id}"),
            (3, "alert.second_smoke"),
        ]
        assert found[0][2]["headline"] == ALERT.headline
        assert found[0][2]["evidence"][0]["text"] == "Öl brennt"
        assert found[1][2]["note"] == "on my way"
        assert [seq async for seq, _, _ in read_alerts(journal, 3, follow=False)] == [3]


async def test_following_the_alerts_and_leaving_out_what_is_none(tmp_path):
    damage = []
    async with world(tmp_path) as (_, journal, _writer):
        stream = read_alerts(journal, 1, on_damage=damage.append)
        first = asyncio.create_task(anext(stream))
        await journal.append("alert.x", b"not json", {"Nats-Msg-Id": "x"})
        await publish_alert(journal, ALERT)
        assert (await first)[0] == 2
        assert [(one.stream, one.first, one.kind) for one in damage] == [("ALERTS", 1, "damaged")]
        assert journal.counters.damaged == 1
        await stream.aclose()


async def test_where_the_telling_of_a_moment_begins(tmp_path):
    async with world(tmp_path) as (_, journal, _writer):
        assert await first_told_at(journal, NOW) == 1
        for number in range(5):
            await publish_alert(journal, replace(ALERT, id=f"{number:020}", updated=NOW + 10 * number))
        await journal.append("alert.x", b"not json", {"Nats-Msg-Id": "x"})
        await publish_transition(journal, replace(MOVE, at=NOW + 60))
        found = [await first_told_at(journal, NOW + after) for after in (-5, 0, 1, 10, 40, 41, 60, 61)]
        assert found == [1, 1, 2, 2, 5, 6, 6, 8]  # a damaged one is passed with what follows it
