"""Chains of updates and cancels: at most one live fact each, whatever the order of arrival and however batches are cut."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from runkit import T0, Journal, plan, smoke, smoke_cluster, smoke_match

from tocsin.correlate.corrections import Corrections, correcting, reach
from tocsin.model.feed import Choice, FeedSpec, FieldMap
from tocsin.model.ids import split_seq
from tocsin.model.plan import Active, Silence
from tocsin.model.predicate import Selector
from tocsin.model.severity import Action
from tocsin.model.time import DAY, HOUR, MINUTE, SECOND


def event(name: str, at: float = 0.0, action: Action = Action.REPORT, refers_to: str | None = None, **more: Any) -> dict[str, Any]:
    return smoke("S", at) | {"id": name, "action": int(action), "refers_to": refers_to} | more


def live(journal: Journal, corrections: Corrections | None = None, restart: bool = False) -> list[str]:
    """Ids of the facts that stand after a journal, as the engine would have them."""
    corrections = corrections or Corrections(plan(smoke_match()))
    facts: dict[int, str] = {}
    for entry in journal.entries:
        if restart:
            state = json.loads(json.dumps(corrections.snapshot()))
            corrections = Corrections(plan(smoke_match()))
            corrections.restore(state)
        assert entry.batch is not None
        runs = corrections.runs(entry.batch, entry.ingest, entry.seq)
        ids = entry.batch.column("id").to_pylist()
        for run in [(0, len(ids), ())] if runs is None else runs:
            for seq in run[2]:
                assert seq in facts, "only a standing fact can be taken back"
                del facts[seq]
            facts |= {entry.seq << 20 | row: ids[row] for row in range(run[0], run[1])}
    return sorted(facts.values())


def test_a_cancel_takes_its_target_back_and_is_no_fact() -> None:
    assert live(Journal().add(0, [event("a"), event("b")]).add(1, [event("c", 1, Action.CANCEL, "a")])) == ["b"]


def test_an_update_replaces_what_it_refers_to() -> None:
    assert live(Journal().add(0, [event("a")]).add(1, [event("u", 1, Action.UPDATE, "a")])) == ["u"]


def test_references_resolve_to_the_first_report_of_a_chain() -> None:
    corrections = Corrections(plan(smoke_match()))
    journal = Journal().add(0, [event("a")]).add(1, [event("u", 1, Action.UPDATE, "a")]).add(2, [event("v", 2, Action.UPDATE, "u")])
    assert live(journal, corrections) == ["v"]
    assert [corrections.root("sensors", name) for name in "auvx"] == ["a", "a", "a", "x"]
    assert live(journal.add(3, [event("w", 3, Action.UPDATE, "a")])) == ["w"]
    assert live(journal.add(4, [event("x", 4, Action.CANCEL, "v")])) == []
    assert live(journal.add(5, [event("y", 5, Action.UPDATE, "a")])) == [], "a cancel is final"


def test_a_correction_may_come_before_its_target_within_lateness() -> None:
    early = Journal().add(0, [event("c", 0, Action.CANCEL, "a")])
    assert live(early.add(600, [event("a")])) == []
    late = Journal().add(0, [event("c", 0, Action.CANCEL, "a")])
    assert live(late.add(600.000001, [event("a")])) == ["a"]


def test_in_one_batch_order_of_rows_decides() -> None:
    rows = [event("a"), event("c", 0, Action.CANCEL, "a"), event("b"), event("u", 0, Action.UPDATE, "b"), event("d")]
    corrections = Corrections(plan(smoke_match()))
    journal = Journal().add(0, rows)
    entry = journal.entries[0]
    assert entry.batch is not None
    runs = corrections.runs(entry.batch, entry.ingest, 1)
    assert runs is not None
    assert [(run.start, run.stop, [split_seq(seq)[1] for seq in run.withdrawn], run.by) for run in runs] == [
        (0, 1, [], Action.CANCEL),
        (2, 3, [0], Action.CANCEL),
        (3, 5, [2], Action.UPDATE),
    ]
    assert live(Journal().add(0, rows[::-1])) == ["d", "u"], "corrections before their targets"


def test_feeds_do_not_correct_one_another() -> None:
    assert live(Journal().add(0, [event("a")]).add(1, [event("c", 1, Action.CANCEL, "a", feed="other")])) == ["a"]


def test_a_correction_without_a_target_is_counted() -> None:
    corrections = Corrections(plan(smoke_match()))
    journal = (
        Journal()
        .add(0, [event("a")])
        .add(1, [event("u", 1, Action.UPDATE), event("c", 1, Action.CANCEL), event("s", 1, Action.CANCEL, "s")])
    )
    assert live(journal, corrections) == ["a", "u"]
    assert corrections.dangling == 3


def test_a_fact_out_of_reach_is_still_found_while_it_is_valid_or_an_alert_rests_on_it() -> None:
    for hours, valid, held, left in ((2, None, False, ["a"]), (2, 3, False, []), (4, 3, False, ["a"]), (4, None, True, [])):
        corrections = Corrections(plan(smoke_match()))
        journal = Journal().add(0, [event("a", valid_until=None if valid is None else T0 + valid * HOUR)])
        live(journal, corrections)
        if held:
            corrections.hold("sensors", "a", 1 << 20, T0 + 5 * HOUR)
        corrections.prune(T0 + hours * HOUR)
        entry = journal.add(hours * 3600, [event("c", hours * 3600, Action.CANCEL, "a")]).entries[-1]
        assert entry.batch is not None
        runs = corrections.runs(entry.batch, entry.ingest, entry.seq)
        assert runs is not None
        assert [run.withdrawn for run in runs] == ([] if left else [(1 << 20,)])


def test_what_is_out_of_reach_is_forgotten() -> None:
    corrections = Corrections(plan(smoke_match()))
    live(Journal().add(0, [event("a", valid_until=T0 + HOUR)]).add(1, [event("u", 1, Action.UPDATE, "a")]), corrections)
    corrections.prune(T0 + 2 * DAY)
    state = corrections.snapshot()
    assert not any(state[name] for name in ("slices", "held", "chains", "roots"))


def test_only_feeds_that_can_correct_are_remembered() -> None:
    corrections = Corrections(plan(smoke_match()), frozenset({"cap"}))
    assert live(Journal().add(0, [event("a"), event("b")]), corrections) == ["a", "b"]
    assert not corrections.snapshot()["slices"]
    assert live(Journal().add(0, [event("a", feed="cap")]).add(1, [event("c", 1, Action.CANCEL, "a", feed="cap")]), corrections) == []


def test_which_feeds_can_correct() -> None:
    def feed(name: str, form: str, **mapping: FieldMap) -> FeedSpec:
        return FeedSpec(name, name, "p", "o", DAY, "public", Choice("replay"), Choice(form), mapping)

    specs = [
        feed("plain", "csv"),
        feed("warnings", "cap"),
        feed("calls", "csv", refers_to=FieldMap("x")),
        feed("cad", "json", action=FieldMap("y")),
    ]
    assert correcting(specs) == {"warnings", "calls", "cad"}


def test_reach_covers_the_longest_window_of_any_rule() -> None:
    assert reach(plan(smoke_match())) == 10 * MINUTE + 5 * SECOND
    long = smoke_cluster()
    quiet = Silence(Selector("x"), 3 * HOUR)
    permit = Active(Selector("ops.burn_permit"), 1.0, DAY)
    for rule, longest in ((long, 10 * MINUTE), (type(long)("q", "v", "", "", quiet, long.alert), 3 * HOUR)):
        assert reach(plan(rule)) == longest + 10 * MINUTE + 5 * SECOND
    assert reach(plan(type(long)("p", "v", "", "", long.when, long.alert, (permit,)))) == DAY + 10 * MINUTE + 5 * SECOND


@st.composite
def streams(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Events where number i refers to one before it or to none, arriving in any order."""
    count = draw(st.integers(1, 9))
    rows = []
    for i in range(count):
        target = draw(st.integers(-1, i - 1)) if i else -1
        action = Action.REPORT if target < 0 else draw(st.sampled_from([Action.UPDATE, Action.UPDATE, Action.CANCEL]))
        rows.append(event(f"e{i}", 0, action, None if target < 0 else f"e{target}"))
    return draw(st.permutations(rows))


def chain_of(name: str, refers: dict[str, str | None]) -> str:
    while refers[name] is not None:
        name = str(refers[name])
    return name


@settings(max_examples=300, deadline=None)
@given(streams(), st.lists(st.integers(1, 4), min_size=9, max_size=9))
def test_one_live_fact_per_chain_in_any_order_and_any_cut(rows: list[dict[str, Any]], sizes: list[int]) -> None:
    refers = {row["id"]: row["refers_to"] for row in rows}
    chains: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        chains.setdefault(chain_of(row["id"], refers), []).append(row)
    whole = Journal().add(0, rows)
    standing = live(whole)
    for members in chains.values():
        mine = [row["id"] for row in members if row["id"] in standing]
        assert len(mine) == (0 if any(row["action"] == Action.CANCEL for row in members) else 1)
        newest = members[-1]
        if mine and newest["refers_to"] is not None and not any(row["refers_to"] == newest["id"] for row in members):
            assert mine == [newest["id"]], "the newest correction that nothing corrects is the fact"
    assert live(whole.recut(sizes)) == standing
    assert live(whole.recut(sizes), restart=True) == standing
