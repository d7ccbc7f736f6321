"""Another plan in the middle of a stream: what goes on, goes on exactly; what is new starts the same on every machine."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import pytest
from correlate_harness import SECOND, TINY, Entry, columns, rule, selector
from correlate_worlds import OPERATORS, World, some_per, some_rules, worlds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import Fact
from test_series_parity import GUARDED, dressed
from test_series_parity import OPERATORS as HISTORIES
from test_series_parity import some_rules as history_rules

from tocsin.correlate.engine import Engine, Sizes
from tocsin.correlate.firing import Firings, What
from tocsin.correlate.kernels import layout
from tocsin.model.plan import Absence, Active, Cluster, Match, Per, Plan, RulePlan, Silence
from tocsin.model.predicate import Compare

quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
ROOMY = Sizes(10, 9, 8, 8)
Row = tuple[object, ...]


@dataclass
class Run:
    """One engine with the plans it gets on the way. `rows`: rule -> what it said, without numbers that depend on the plan."""

    engine: Engine

    def __post_init__(self) -> None:
        self.rows: dict[str, list[Row]] = {}
        self.names: dict[int, Row] = {}

    def step(self, entry: Entry, cuts: Sequence[int] = ()) -> None:
        engine = self.engine
        if entry.gone:
            self.read(engine.withdraw(entry.gone, entry.until))
        facts = [replace(fact, code=-1 if fact.source is None else engine.source_code(*fact.source)) for fact in entry.facts]
        if not facts:
            self.read(engine.tick(entry.ingest))
        for first, last in itertools.pairwise((0, *cuts, len(facts))) if facts else ():
            self.read(engine.push(columns(engine, facts[first:last]), entry.ingest))

    def switch(self, to: Plan) -> None:
        self.engine = self.engine.successor(to, None)

    def restart(self, sizes: Sizes) -> None:
        state, of = self.engine.snapshot(), self.engine.plan
        self.engine = Engine(of, sizes, None)
        self.engine.restore(state)

    def read(self, said: Firings) -> None:
        for i in range(len(said)):
            one = self.engine.plan.rules[int(said.rule[i])]
            name, what, group = f"{one.name} {one.version}", What(int(said.what[i])), int(said.group[i])
            source = int(said.source[i])
            who = self.engine.source_name(source) if 0 <= source < len(self.engine._names) else None
            told = tuple(said.evidence[said.offset[i] : said.offset[i + 1]].tolist())
            if what is What.RAISE:
                self.names[group] = (int(said.anchor[i]), int(said.time[i]))
            row = (what.name, int(said.anchor[i]), int(said.time[i]), who, int(said.count[i]), self.names[group], told)
            self.rows.setdefault(name, []).append(row)


def play(
    plans: Sequence[tuple[int, Plan]],
    entries: Sequence[Entry],
    sizes: Sizes = ROOMY,
    restarts: Sequence[int] = (),
    cuts: Sequence[Sequence[int]] = (),
) -> Run:
    """`plans`: (entry before which it comes into force, plan), the first at 0. A restart happens after the switch at its entry."""
    running = Run(Engine(plans[0][1], sizes, None))
    for i, entry in enumerate(entries):
        for at, to in plans[1:]:
            if at == i:
                running.switch(to)
        if i in restarts:
            running.restart(sizes)
        running.step(entry, cuts[i] if i < len(cuts) else ())
    return running


def plan(rules: Sequence[RulePlan], lateness: int = 30) -> Plan:
    return Plan(tuple(rules), delay=5 * SECOND, lateness=lateness * SECOND)


def named(prefix: str, rules: Sequence[RulePlan], version: str = "1") -> list[RulePlan]:
    return [replace(one, name=f"{prefix}{i}", version=version) for i, one in enumerate(rules)]


def shuffled(rules: Sequence[RulePlan], seed: int) -> list[RulePlan]:
    mixed = list(rules)
    Random(seed).shuffle(mixed)
    return mixed


def cut(random: Random, entry: Entry) -> list[int]:
    return sorted(random.sample(range(len(entry.facts) + 1), min(random.randint(0, 2), len(entry.facts))))


def without_order(rows: list[Row]) -> list[Row]:
    """What one event takes back has no order of its own, and the order of evidence follows from who else uses the store."""
    return sorted((*row[:-1], len(row[-1])) for row in rows)  # type: ignore[arg-type]


operators = st.sampled_from([(name,) for name in OPERATORS] + [tuple(OPERATORS)] * 3)


@quick
@given(st.integers(0, 1 << 30), worlds, operators, st.floats(0, 1))
def test_unchanged_rules_do_not_notice(seed: int, world: World, kinds: tuple[str, ...], where: float) -> None:
    both, gone, new = (named(p, some_rules(seed + i, kinds, n)) for i, (p, n) in enumerate((("both", 3), ("gone", 2), ("new", 2))))
    before, after, entries = plan(shuffled([*both, *gone], seed)), plan(shuffled([*new, *both], seed + 1)), world.stream()
    switched = play([(0, before), (round(where * len(entries)), after)], entries)
    for alone in (play([(0, before)], entries), play([(0, after)], entries)):
        for one in both:
            name = f"{one.name} 1"
            assert sorted(map(str, switched.rows.get(name, []))) == sorted(map(str, alone.rows.get(name, [])))


@quick
@given(st.integers(0, 1 << 30), worlds, operators, st.floats(0, 1))
def test_every_machine_switches_alike(seed: int, world: World, kinds: tuple[str, ...], where: float) -> None:
    random = Random(seed)
    both, gone, new = (named(p, some_rules(seed + i, kinds, 3)) for i, p in enumerate(("both", "gone", "new")))
    changed = [replace(one, version="2", alert=replace(one.alert, per=some_per(random))) for one in gone[:2]]
    before, after, entries = plan([*both, *gone]), plan(shuffled([*new, *both, *changed], seed)), world.stream()
    at = round(where * len(entries))
    plans = [(0, before), (at, after), (at + 5, before)]
    first = play(plans, entries)
    cuts = [cut(random, entry) for entry in entries]
    again = play(plans, entries, TINY, [at, *random.sample(range(len(entries)), min(3, len(entries)))], cuts)
    assert {name: without_order(rows) for name, rows in again.rows.items()} == {
        name: without_order(rows) for name, rows in first.rows.items()
    }


@quick
@given(st.integers(0, 1 << 30), worlds, operators, st.floats(0, 1))
def test_a_reworded_rule_forgets_nothing_it_waits_for(seed: int, world: World, kinds: tuple[str, ...], where: float) -> None:
    """Before the switch the old version raises, after it the new one: together what one version alone would have raised."""
    rules = [replace(one, alert=replace(one.alert, per=None), unless=()) for one in named("r", some_rules(seed, kinds, 3))]
    told_otherwise = [replace(one, version="2", alert=replace(one.alert, headline="in other words")) for one in rules]
    entries = world.stream()
    alone = play([(0, plan(rules))], entries)
    switched = play([(0, plan(rules)), (round(where * len(entries)), plan(shuffled(told_otherwise, seed)))], entries)
    for one in rules:
        together = [row for version in "12" for row in switched.rows.get(f"{one.name} {version}", [])]
        assert raises(together) == raises(alone.rows.get(f"{one.name} 1", []))


def test_a_reworded_rule_goes_on_with_its_history() -> None:
    """As above, for operators that keep one; what the new version does not know of is only which alerts the old one raised."""
    raised_after = 0

    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.integers(0, 1 << 30), worlds, st.floats(0.2, 0.8), st.sampled_from(sorted({*HISTORIES, *GUARDED} - {"outage"})))
    def compare(seed: int, world: World, where: float, operator: str) -> None:
        nonlocal raised_after
        made = history_rules(seed, (operator,), 2)
        rules = [replace(one, alert=replace(one.alert, per=None)) for one in named("r", made)]
        told_otherwise = [replace(one, version="2", alert=replace(one.alert, headline="in other words")) for one in rules]
        random, entries = Random(seed), world.stream()
        for entry in entries:
            entry.facts = [dressed(random, fact) for fact in entry.facts]
        alone = play([(0, plan(rules))], entries)
        switched = play([(0, plan(rules)), (round(where * len(entries)), plan(shuffled(told_otherwise, seed)))], entries, TINY)
        for one in rules:
            together = [row for version in "12" for row in switched.rows.get(f"{one.name} {version}", [])]
            assert raises(together) == raises(alone.rows.get(f"{one.name} 1", []))
            raised_after += len(raises(switched.rows.get(f"{one.name} 2", [])))

    compare()
    assert raised_after > 10


def raises(rows: Sequence[Row]) -> list[str]:
    return sorted(str(row) for row in rows if row[0] == "RAISE")


def fact(seq: int, time: int, kind: str = "a", source: str = "s", **more: object) -> Fact:
    return Fact(seq, time * SECOND, kind, source=("f", source), lon=10.0, lat=50.0, **more)  # type: ignore[arg-type]


def at(time: int, *facts: Fact) -> Entry:
    return Entry(time * SECOND, list(facts))


def raised(running: Run, name: str) -> list[object]:
    """Anchors of the alerts of a rule."""
    return [row[1] for row in running.rows.get(name, []) if row[0] == "RAISE"]


def test_a_new_rule_finds_what_was_kept_for_others() -> None:
    kept = named("old", [rule(Cluster(selector("a"), 500.0, 60 * SECOND, 3))])
    new = named("new", [rule(Cluster(selector("a"), 500.0, 60 * SECOND, 2)), rule(Cluster(selector("b"), 500.0, 60 * SECOND, 2))])
    entries = [at(0, fact(1, 0, "a", "s1"), fact(2, 0, "b", "s1")), at(10, fact(3, 10, "a", "s2"), fact(4, 10, "b", "s2"))]
    running = play([(0, plan(kept)), (1, plan([*kept, *new]))], entries)
    assert raised(running, "new0 1") == [3]  # the first `a` was in the store already
    assert not raised(running, "new1 1")  # nobody had asked for `b`


def test_a_new_rule_with_a_longer_window_does_not_see_what_happens_to_be_left() -> None:
    old = named("old", [rule(Cluster(selector("a"), 500.0, 20 * SECOND, 2))])
    new = named("new", [rule(Cluster(selector("a"), 500.0, 3_000 * SECOND, 2))])
    entries = [at(0, fact(1, 0, source="s1")), at(100), at(101, fact(2, 101, source="s2"))]
    running = play([(0, plan(old)), (2, plan([*old, *new]))], entries)
    assert not raised(running, "new0 1")  # expired for the old rule, although the store was never compacted
    entries[1] = at(40)
    assert raised(play([(0, plan(old)), (2, plan([*old, *new]))], [*entries[:2], at(45, fact(2, 45, source="s2"))]), "new0 1") == [2]


def test_thresholds_of_new_rules_are_not_guessed() -> None:
    """The store knows which thresholds a value reached, not the value: one between them is not taken for reached."""
    old = named("old", [rule(Cluster(selector("a", 1.0), 500.0, 60 * SECOND, 2))])
    new = named("new", [rule(Cluster(selector("a", low), 500.0, 60 * SECOND, 2)) for low in (0.5, 1.0, 2.0)])
    entries = [at(0, fact(1, 0, source="s1", value=3.0)), at(10, fact(2, 10, source="s2", value=3.0))]
    running = play([(0, plan(old)), (1, plan([*new]))], entries)
    assert [bool(raised(running, f"new{i} 1")) for i in range(3)] == [True, True, False]


def test_a_new_absence_counts_only_from_the_switch() -> None:
    """The arrival of B was nobody's business before, so the A before it must not be missed."""
    old = named("old", [rule(Absence(selector("a"), selector("b"), 500.0, 30 * SECOND))])
    new = named("new", [rule(Absence(selector("a"), selector("b.y"), 500.0, 30 * SECOND))])
    entries = [at(0, fact(1, 0)), at(5, fact(2, 5, "b.y")), at(10), at(11, fact(3, 9)), at(12, fact(4, 12)), at(100)]
    running = play([(0, plan(old)), (3, plan([*old, *new]))], entries)
    assert raised(running, "new0 1") == [4]
    assert raised(running, "old0 1") == [3, 4]


def test_a_declared_source_counts_from_the_switch_that_declared_it() -> None:
    def silent(*declared: str) -> list[RulePlan]:
        return [replace(rule(Silence(selector("a"), 30 * SECOND, "source", declared)), name="quiet", version=str(len(declared)))]

    entries = [at(0, fact(1, 0, source="s1")), at(20), at(29), at(36), at(60)]
    running = play([(0, plan(silent("f/s2", "f/s4", "f/s5"))), (2, plan(silent("f/s2", "f/s3")))], entries)
    heard = {str(row[3]): row[2] for row in running.rows["quiet 2"]}
    assert heard == {"('f', 's1')": 30 * SECOND, "('f', 's2')": 30 * SECOND, "('f', 's3')": 50 * SECOND}
    assert list(running.rows) == ["quiet 2"]  # nobody waits for s4 and s5 any more


def test_a_gap_that_was_reported_is_not_reported_again() -> None:
    quiet = rule(Silence(selector("a"), 30 * SECOND))
    plans = [(0, plan(named("r", [quiet]))), (2, plan(named("r", [quiet], "2")))]
    entries = [at(0, fact(1, 0)), at(40), at(41), at(50, fact(2, 50)), at(100)]
    running = play(plans, entries)
    assert (raised(running, "r0 1"), raised(running, "r0 2")) == ([1], [2])
    entries[3] = at(50, fact(2, 20))  # somebody was heard in the gap after all: the old version's alert stays as it is
    running = play(plans, entries)
    assert (raised(running, "r0 1"), raised(running, "r0 2")) == ([1], [2])
    assert [row[0] for rows in running.rows.values() for row in rows] == ["RAISE", "RAISE"]


def test_a_late_arrival_takes_back_the_alert_it_belongs_to() -> None:
    """The alert is found in its group, although another group has gone and the places have moved."""
    gone = named("gone", [rule(Match(selector("c")), Per(600 * SECOND))])
    both = named("both", [rule(Absence(selector("a"), selector("b"), 500.0, 10 * SECOND), Per(600 * SECOND))])
    entries = [at(0, fact(1, 0, "c"), fact(2, 0)), at(30), at(31, fact(3, 5, "b")), at(32, fact(4, 31)), at(60)]
    running = play([(0, plan([*gone, *both])), (2, plan(both))], entries)
    assert [(row[0], row[1]) for row in running.rows["both0 1"]] == [("RAISE", 2), ("RETRACT", 3), ("RAISE", 4)]


def test_open_alerts_of_another_version_are_not_joined() -> None:
    def smoke(version: str, hold: int) -> Plan:
        return plan(named("r", [rule(Match(selector("a")), Per(hold * SECOND))], version))

    entries = [at(0, fact(1, 0)), at(1, fact(2, 1)), at(2, fact(3, 2))]
    running = play([(0, smoke("1", 60)), (1, smoke("2", 61)), (2, smoke("1", 60))], entries)
    assert (raised(running, "r0 1"), raised(running, "r0 2")) == ([1, 3], [2])


def test_standing_facts_are_known_to_an_equal_exception() -> None:
    permit = Active(selector("b"), 500.0, 600 * SECOND)
    old = named("old", [rule(Match(selector("a")), unless=(permit,))])
    worded = Active(replace(permit.of, text="a burn permit"), 900.0, 600 * SECOND)
    new = named("new", [rule(Match(selector("a")), unless=(worded,)), rule(Match(selector("a")), unless=(replace(permit, valid_for=1),))])
    running = play([(0, plan(old)), (1, plan(new))], [at(0, fact(1, 0, "b")), at(9, fact(2, 9))])
    assert (raised(running, "new0 1"), raised(running, "new1 1")) == ([], [2])


def test_conditions_are_found_under_their_new_numbers() -> None:
    grave = [Compare("severity", ">=", n) for n in range(3)]
    rules = [rule(Cluster(selector("a", where=where), 500.0, 60 * SECOND, 2)) for where in grave]
    both, before = named("both", [rules[2]]), named("gone", [rules[1]])
    new = named("new", [rules[0], rules[1]])
    entries = [at(0, fact(1, 0, source="s1", severity=2)), at(9, fact(2, 9, source="s2", severity=2))]
    running = play([(0, plan([*before, *both])), (1, plan([*new, *both]))], entries)
    assert [raised(running, name) for name in ("both0 1", "new1 1", "new0 1")] == [[2], [2], []]


@pytest.mark.parametrize("lateness", [0, 3, 30, 300])
def test_time_settings_may_change(lateness: int) -> None:
    rules = named("r", [rule(Absence(selector("a"), selector("b"), 500.0, 30 * SECOND)), rule(Silence(selector("a"), 30 * SECOND))])
    entries = [at(0, fact(1, 0)), at(20), at(40), at(1_000)]
    running = play([(0, plan(rules)), (1, plan(rules, lateness)), (3, plan(rules))], entries)
    assert raised(running, "r0 1") == raised(running, "r1 1") == [1]
    running.step(at(3_000))
    assert running.engine._memory.meta[layout.RUNS_LIVE] == 0
    counters = running.engine.counters()
    assert (counters["absences_pending"], counters["matches"]) == (0, 2)


def test_a_switch_before_the_first_event() -> None:
    def silent(name: str) -> Plan:
        return plan([replace(rule(Silence(selector("a"), 30 * SECOND, "source", (name,))), name="quiet", version=name)])

    running = play([(0, silent("f/s1")), (0, silent("s2"))], [])
    running.switch(silent("s2"))
    running.restart(TINY)
    running.switch(silent("s3"))
    for entry in [at(0, fact(1, 0, source="s3")), at(100)]:
        running.step(entry)
    assert [row[3] for row in running.rows["quiet s3"]] == [("f", "s3")]


def test_no_rules_at_all_and_back() -> None:
    rules = named("r", [rule(Match(selector("a")), Per(60 * SECOND))])
    running = play([(0, plan([])), (1, plan(rules)), (2, plan([])), (3, plan(rules))], [at(i, fact(i + 1, i)) for i in range(5)])
    assert raised(running, "r0 1") == [2, 4]
