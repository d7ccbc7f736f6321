"""Shards over a journal in memory: what each of them found goes through bytes, as on the wire, and one correlator tells it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from runkit import LON, SMOKY, Entry, Journal, Stream, plan, rule, silence, smoke

from tocsin.correlate.engine import Sizes
from tocsin.correlate.horizon import Horizon
from tocsin.correlate.setting import Configure, Setting
from tocsin.correlate.shards.desk import Desk
from tocsin.correlate.shards.gather import GatheredEngine
from tocsin.correlate.shards.matcher import Matcher
from tocsin.correlate.shards.matches import decode
from tocsin.correlate.shards.meeting import Meeting
from tocsin.correlate.shards.regions import Regions
from tocsin.correlate.snapshots import decode as open_snapshot
from tocsin.correlate.snapshots import encode
from tocsin.correlate.worker import Correlator
from tocsin.model.plan import Absence, Active, Cluster, Match, Per, Plan, Step
from tocsin.model.plan import Sequence as Steps
from tocsin.model.predicate import Compare, Selector
from tocsin.model.severity import Action
from tocsin.model.time import MINUTE, SECOND

SMALL = Sizes(ring=3, heads=3, sources=2, pending=2)
#: Cuts through the middle of the places that the storms of these tests happen at.
ONE, TWO, FOUR = Regions(), Regions((LON,)), Regions((LON - 0.001, LON, LON + 0.001))


class Party:
    """All shards of a plan over one journal. `crash`: chance that a shard starts again from its newest snapshot before an entry."""

    def __init__(self, plan: Plan, journal: Journal, regions: Regions, crash: float = 0.0, **options: Any) -> None:
        self.setting = Setting(
            plan, corrects=options.get("corrects"), skews=options.get("skews") or {}, lateness=options.get("lateness") or {}
        )
        self.journal, self.regions, self.crash = journal, regions, crash
        self.configure: Configure | None = options.get("configure")
        self.shards = [self._made(shard, self.setting) for shard in range(regions.count)]
        self.meeting = Meeting(Desk(), regions.count)
        self.random = random.Random(7)
        self.saved: list[tuple[bytes, str, Setting] | None] = [None] * regions.count

    def _made(self, shard: int, setting: Setting) -> Matcher:
        return Matcher(setting, shard, self.regions, self.journal.fetch, self.configure, SMALL)

    async def entries(self) -> AsyncIterator[Entry]:
        async for entry in self.meeting.entries(self._fed()):
            yield entry

    async def _fed(self) -> AsyncIterator[Entry]:
        for entry in self.journal.entries:
            for shard in range(self.regions.count):
                await self._take(shard, entry)
            yield entry

    async def _take(self, shard: int, entry: Entry) -> None:
        if self.random.random() < self.crash:
            await self._start_again(shard)
        matches = await self.shards[shard].take(entry)
        assert matches is not None
        if matches:
            self.meeting.found(shard, decode(matches.encode()))
        self.meeting.passed(shard, entry.seq)
        if self.crash and self.random.random() < 0.3:
            matcher = self.shards[shard]
            self.saved[shard] = encode(matcher.snapshot(), matcher.version), matcher.version, matcher.setting

    async def _start_again(self, shard: int) -> None:
        """As after a kill: the newest snapshot, then the journal, and everything found is said again."""
        reached, saved = self.shards[shard].seq, self.saved[shard]
        self.shards[shard] = self._made(shard, self.setting if saved is None else saved[2])
        if saved is not None:
            self.shards[shard].restore(open_snapshot(saved[0], saved[1]))
        for entry in self.journal.entries[self.shards[shard].seq : reached]:
            matches = await self.shards[shard].take(entry)
            if matches:
                self.meeting.found(shard, decode(matches.encode()))

    def correlator(self, **options: Any) -> Correlator:
        plan = self.setting.plan
        longest = replace(plan, lateness=Horizon(plan, options.get("lateness")).longest)
        engine = GatheredEngine(longest, self.meeting.desk, self.regions, SMALL, options.get("corrects"))
        return Correlator(plan, self.journal.fetch, name_place=lambda _lon, _lat: "near Pike Place", engine=engine, **options)


async def told_by(regions: Regions, plan: Plan, journal: Journal, crash: float = 0.0, **options: Any) -> Stream:
    """Everything told about a journal whose matching is shared out."""
    party, stream = Party(plan, journal, regions, crash, **options), Stream()
    await party.correlator(**options).run(party.entries(), stream.publish, finish=True)
    return stream


def reloading(plans: Mapping[str, Plan], entries: Sequence[Entry], at: Mapping[int, str]) -> tuple[Journal, Configure]:
    """A journal of these entries in which, before some of them, another plan comes into force by its name; and what makes settings of the names."""

    async def configure(entry: Entry) -> Setting:
        name = entry.content.decode()
        return Setting(plans[name], lambda _lon, _lat: "near Pike Place", entry=entry.seq, version=name)

    journal = Journal()
    for number, entry in enumerate(entries):
        if number in at:
            journal.rules(at[number])
        journal.entries.append(replace(entry, seq=len(journal.entries) + 1))
    return journal, configure


def words(stream: Stream) -> Sequence[object]:
    """All that was told, revision by revision, in the order of alerts and revisions."""
    return sorted(stream.alerts, key=lambda alert: (alert.id, alert.revision))


METRE_EAST = 1 / (111_195.0 * 0.6743)  # degrees of longitude at this latitude
_KINDS = ("fire.smoke", "fire.smoke", "fire.smoke", "call", "call.fire", "call.fire", "unit.onscene", "ops.burn_permit")


def wide_storm(seed: int, entries: int = 24, crowd: int = 6, corrections: float = 0.15) -> Journal:
    """Random events on both sides of the cuts, exactly on them and without a place: late, moving sources, two feeds, corrections in any
    order, ticks, and now and then a long silence."""
    draw = random.Random(seed)
    journal, names, at = Journal(), [], 0.0
    for _ in range(entries):
        at += draw.choice((0.0, 0.05, 1.0, 20.0, 90.0, 90.0, 1500.0))
        if draw.random() < 0.2:
            journal.tick(at)
            continue
        rows = [_event(draw, at, names, corrections) for _ in range(draw.randint(1, crowd))]
        journal.add(at, rows)
    return journal.tick(at + 400).tick(at + 4000)


def _event(draw: random.Random, at: float, names: list[str], corrections: float) -> dict[str, Any]:
    kind = draw.choice(_KINDS)
    late = draw.choice((0, 0, 0, 3, 100, 200, 700))
    row = smoke(f"S-{draw.randint(0, 5)}", round(at - late, 2), draw.randint(0, 4) * 60, draw.choice((100, 160)))
    row |= {
        "id": f"e{len(names)}",
        "kind": kind,
        "lon": LON + draw.randint(-8, 8) * 40 * METRE_EAST,
        "feed": draw.choice(("sensors", "calls")),
    }
    if kind != "fire.smoke":
        row |= {"value": None, "unit": None}
    if draw.random() < 0.05:
        row |= {"lon": None, "lat": None}
    if draw.random() < 0.1:
        row |= {"source": None}
    if names and draw.random() < corrections:
        target = draw.choice((draw.choice(names), f"e{len(names) + draw.randint(1, 6)}"))
        row |= {"action": int(draw.choice((Action.UPDATE, Action.CANCEL))), "refers_to": target}
    names.append(str(row["id"]))
    return row


def wide_rules() -> Plan:
    """Every operator that is cut, thinned in every way, beside some that are not."""
    permit = Active(Selector("ops.burn_permit"), 200.0, 60 * MINUTE)
    far = Per(15 * MINUTE, 250.0)
    off = Selector("fire.smoke", where=Compare("value", "<=", 120))
    chain = Steps(Selector("call", text="call"), (Step(SMOKY, 400.0, 30 * MINUTE), Step(Selector("unit.onscene"), 300.0, 30 * MINUTE)))
    gone = Absence(Selector("call.fire"), Selector("unit.onscene"), 150.0, 3 * MINUTE)
    return plan(
        rule("each", Match(Selector("call.fire")), unless=(permit,)),
        rule("near", Match(Selector("call.fire")), per=far, unless=(permit,)),
        rule("own", Match(SMOKY), per=Per(5 * MINUTE, None, True)),
        rule("all", Match(SMOKY), per=Per(5 * MINUTE, None)),
        rule("steady", Match(SMOKY, 2, off), per=far),
        rule("steady-own", Match(SMOKY, 2), per=Per(15 * MINUTE, 250.0, True)),
        rule("steady-permitted", Match(SMOKY, 2), unless=(permit,)),
        rule("crowd", Cluster(SMOKY, 120.0, 10 * MINUTE, 2), per=far),
        rule("crowd-each", Cluster(Selector("fire"), 300.0, 10 * MINUTE, 2, 4)),
        rule("crowd-spaced", Cluster(Selector("call"), 300.0, 10 * MINUTE, 2, 3, 20 * SECOND), per=Per(60 * MINUTE, 500.0)),
        rule("chain", chain, per=far, unless=(permit,)),
        rule("chain-each", chain),
        rule("gone", gone, per=far, unless=(permit,)),
        rule("gone-each", gone),
        silence(),
    )


def wide_worlds(draw: random.Random) -> Plan:
    """Some of the rules, in any order, some of them never thinned."""
    rules = list(wide_rules().rules)
    draw.shuffle(rules)
    chosen = rules[: draw.randint(1, len(rules))]
    return plan(*(replace(one, alert=replace(one.alert, per=None)) if draw.random() < 0.2 else one for one in chosen))
