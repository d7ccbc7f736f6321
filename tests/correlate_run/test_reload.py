"""Other rules come into force in the middle of a journal: the same alerts after a crash anywhere, with other batches, and nothing noticed
by rules that stay."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runkit import (
    T0,
    Entry,
    Journal,
    Stream,
    call_then_smoke,
    correlator,
    no_engine,
    plan,
    rule,
    silence,
    smoke,
    smoke_cluster,
    smoke_match,
)
from test_recovery import same, storm

from tocsin.correlate.fingerprint import alerts_hash
from tocsin.correlate.setting import Setting
from tocsin.correlate.snapshots import setting_of
from tocsin.correlate.worker import Correlator
from tocsin.kernel.fault import Fatal
from tocsin.model.alert import Alert
from tocsin.model.plan import Active, Match, Per, RulePlan
from tocsin.model.predicate import Compare, Selector
from tocsin.model.severity import Action
from tocsin.model.time import MINUTE, SECOND

PERMIT = Active(Selector("ops.burn_permit"), 200.0, 60 * MINUTE)
STAY = (smoke_match(Per(3 * MINUTE, 300.0)), no_engine(), silence(), rule("permitted", Match(Selector("call.fire")), unless=(PERMIT,)))
GO = (call_then_smoke(), rule("own", Match(Selector("fire.smoke", where=Compare("source", "in", ("S-1", "S-2"))))))
COME = (smoke_cluster(2, Per(5 * MINUTE, 200.0)), rule("calls", Match(Selector("call")), per=Per(MINUTE)))
PLANS = {"A": plan(*GO, *STAY), "B": plan(*COME, *reversed(STAY))}


async def configure(entry: Entry) -> Setting:
    name = entry.content.decode()
    return Setting(PLANS[name], lambda _lon, _lat: "near Pike Place", entry=entry.seq, version=name)


def switching(journal: Journal, start: str = "A", at: int = 0, **options: Any) -> Correlator:
    return correlator(PLANS[start], journal, in_force=(at, start), configure=configure, **options)


async def told(journal: Journal, start: str = "A", **options: Any) -> Stream:
    stream = Stream()
    await switching(journal, start, **options).run(journal.read(), stream.publish, finish=True)
    return stream


def switched(journal: Journal, at: dict[int, str]) -> Journal:
    """A copy with changes of rules before these entries (numbers of the first journal)."""
    made = Journal()
    for number, entry in enumerate(journal.entries):
        if number in at:
            made.rules(at[number])
        made.entries.append(replace(entry, seq=len(made.entries) + 1))
    return made


def of(alerts: list[Alert], rules: tuple[RulePlan, ...]) -> list[Alert]:
    names = {one.name for one in rules}
    return [alert for alert in alerts if alert.rule in names]


@pytest.mark.parametrize("seed", range(8))
async def test_rules_that_stay_tell_the_same(seed: int) -> None:
    journal = storm(seed, 40)
    at = random.Random(seed).randint(0, 40)
    both = await told(switched(journal, {at: "B"}))
    for alone in (await told(journal, "A"), await told(journal, "B")):
        assert alerts_hash(of(both.alerts, STAY)) == alerts_hash(of(alone.alerts, STAY))
        assert content(of(both.alerts, STAY)) == content(of(alone.alerts, STAY))
    assert len(of(both.alerts, STAY)) > 5


def content(alerts: list[Alert]) -> list[str]:
    """Every revision to the last letter but for what names entries of the journal, which has one more."""
    return sorted(
        repr(replace(alert, seq=0, evidence=tuple(replace(event, seq=0) for event in alert.evidence), reasons=alert.reasons))
        for alert in alerts
    )


@pytest.mark.parametrize("seed", range(3))
async def test_a_crash_after_any_entry_tells_every_revision_once(tmp_path: Path, seed: int) -> None:
    journal = switched(storm(seed), {9: "B", 14: "A", 19: "B"})
    whole = await told(journal)
    for stop in range(1, len(journal.entries)):
        stream, file = Stream(), tmp_path / f"{seed}-{stop}.snap"
        before = switching(journal, snapshot=file)
        await before.run(listed(journal.entries[:stop]), stream.publish)
        assert before.save()
        at = setting_of(file)
        assert at is not None
        after = switching(journal, journal.entries[at - 1].content.decode() if at else "A", at, snapshot=file, published=stream.published())
        assert after.resume() == stop
        await after.run(journal.read(stop + 1), stream.publish, finish=True)
        same(stream, whole)


@pytest.mark.parametrize("seed", range(3))
async def test_a_replay_over_the_switch_does_not_tell_again(tmp_path: Path, seed: int) -> None:
    """Killed after the switch, with the newest snapshot from before it."""
    journal, file = switched(storm(seed), {9: "B", 14: "A"}), tmp_path / "s"
    whole, stream = await told(journal), Stream()
    first = switching(journal, snapshot=file)
    await first.run(listed(journal.entries[:6]), stream.publish)
    first.save()
    second, stream = switching(journal), Stream()
    await second.run(listed(journal.entries[:17]), stream.publish)
    third = switching(journal, snapshot=file, published=stream.published())
    assert third.resume() == 6
    await third.run(journal.read(7), stream.publish, finish=True)
    same(stream, whole)


@pytest.mark.parametrize("seed", range(4))
async def test_other_batches_give_the_same_alerts(seed: int) -> None:
    journal = switched(storm(seed), {9: "B", 14: "A"})
    whole = alerts_hash((await told(journal)).alerts)
    draw = random.Random(seed)
    again = journal.recut(iter(lambda: draw.randint(1, 4), 0))
    assert alerts_hash((await told(again)).alerts) == whole


async def test_what_a_leaving_rule_still_had_to_say_is_said() -> None:
    journal = Journal().add(0, [smoke("a", 0)])
    for second in range(1, 6):
        journal.add(second / 10, [smoke(f"b{second}", second / 10, 20)])
    PLANS["held"], PLANS["none"] = plan(smoke_match(Per(30 * MINUTE, 300.0))), plan()
    stream = await told(journal.rules("none").add(60, [smoke("c", 60, 20)]).tick(900), "held")
    assert [alert.count for alert in stream.alerts] == [1, 6]
    assert stream.alerts[-1].updated == T0 + SECOND // 2


async def test_alerts_of_a_rule_that_has_gone_stay_as_they_are() -> None:
    PLANS["held"], PLANS["none"] = plan(smoke_match(Per(30 * MINUTE, 300.0))), plan()
    cancel = smoke("x", 60) | {"action": int(Action.CANCEL), "refers_to": "a@0"}
    stream = await told(Journal().add(0, [smoke("a", 0)]).rules("none").add(60, [cancel]).tick(900), "held")
    assert [alert.status for alert in stream.alerts] == ["raised"]


async def test_a_rule_that_comes_back_goes_on_with_the_revisions_of_its_alert() -> None:
    """A declared source that is never heard is the same alert every time."""
    quiet = replace(silence().when, declared=("sensors/never",))  # type: ignore[type-var]
    PLANS["held"], PLANS["none"] = plan(rule("quiet", quiet)), plan()
    journal = Journal().tick(0).tick(200).rules("none").tick(300).rules("held").tick(310).tick(600)
    stream = await told(journal, "held")
    assert len(stream.last()) == 1
    assert [alert.revision for alert in stream.alerts] == [1, 2]


async def test_what_was_decided_before_is_said_in_the_words_of_before() -> None:
    """An amendment waits while other places come into force: it still names the old ones, the next one the new."""
    per = Per(30 * MINUTE, 300.0)
    PLANS["old"] = PLANS["new"] = plan(smoke_match(per))

    async def places(entry: Entry) -> Setting:
        name = entry.content.decode()
        return Setting(PLANS[name], lambda _lon, _lat: f"in the {name} place", entry=entry.seq, version=name)

    journal = Journal().add(0, [smoke("a", 0)]).add(2, [smoke("b", 2, 20)]).rules("new").add(9, [smoke("c", 9, 20)])
    running = Correlator(
        PLANS["old"], journal.fetch, name_place=lambda _lon, _lat: "in the old place", in_force=(0, "old"), configure=places
    )
    stream = Stream()
    await running.run(journal.read(), stream.publish, finish=True)
    assert [(alert.count, alert.place) for alert in stream.alerts] == [
        (1, "in the old place"),
        (2, "in the old place"),
        (3, "in the new place"),
    ]


async def test_equal_rules_change_nothing() -> None:
    journal = Journal().add(0, [smoke("a", 0)]).rules("A").add(1, [smoke("b", 1)])
    running = switching(journal)
    engine = running._engine
    await running.run(journal.read(), Stream().publish)
    assert running._engine is engine
    assert running.setting.entry == 2


async def test_a_change_that_nobody_can_read_stops_the_correlator() -> None:
    journal = Journal().rules("B")
    with pytest.raises(Fatal, match="journal entry 1 puts other rules in force"):
        await correlator(PLANS["A"], journal).run(journal.read(), Stream().publish)


async def test_metrics_go_on_counting() -> None:
    rows = [smoke("a", 0, lat=91.0)]
    journal = Journal().add(0, rows).rules("B").add(1, [smoke("b", 1, lat=91.0)])
    running = switching(journal)
    await running.run(journal.read(), Stream().publish)
    text = running.metrics()
    for line in ("bad_coordinates_total 2", "settings_total 1", "setting_sequence 2", f"rules {len(PLANS['B'].rules)}"):
        assert f"tocsin_correlate_{line}\n" in text


def test_the_setting_of_a_snapshot_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "s"
    assert setting_of(file) is None
    for content in (b"", b"TOCSNAP1", b"x" * 100, b"TOCSNAP1" + b"\xff" * 60):
        file.write_bytes(content)
        assert setting_of(file) is None


async def listed(entries: list[Entry]) -> AsyncIterator[Entry]:
    for entry in entries:
        yield entry
