"""What people see of an alert over its life, and what the queue answers."""

import sqlite3
from dataclasses import replace

import pytest
from alerts_world import EVIDENCE, RULES, START, Wanted, alert, message, messages, move

from tocsin.alerts.store import AlertStore
from tocsin.alerts.view import AlertsView
from tocsin.model.plan import Budget
from tocsin.model.severity import Severity
from tocsin.model.time import HOUR, to_iso

#: What the view must have of an alert, and no more.
GOOD = {"id": "x", "rule": "r", "status": "raised", "headline": "h", "revision": 1, "known_at": 1, "updated": 1, "severity": 1}


@pytest.fixture
def store(backend):
    opened = backend.new()
    yield opened
    opened.close()


@pytest.fixture
def view(store):
    return AlertsView(store, RULES)


def states(view, **wanted):
    return {item["id"]: item["state"] for item in view.find(Wanted(**wanted), 1000, None)[0]}


def test_an_alert_is_shown_as_the_wiring_says(store, view):
    store.apply(messages(alert()))
    found = view.get("a")
    assert found == {
        "id": "a",
        "rule": "smoke",
        "rule_version": "0123456789ab",
        "title": "Smoke",
        "why": "why smoke",
        "headline": "a 1",
        "instruction": "do this",
        "severity": "severe",
        "rank": 2,
        "urgency": "immediate",
        "certainty": "likely",
        "state": "open",
        "owner": None,
        "status": "raised",
        "opened": to_iso(START - 10),
        "known_at": to_iso(START),
        "updated": to_iso(START),
        "lon": -122.3,
        "lat": 47.6,
        "radius_m": 120.0,
        "place": "Pier 54",
        "count": 1,
        "sources": 2,
        "revision": 1,
        "seq": 5 << 20,
        "late": False,
        "exercise": False,
        "reasons": ["reason 1"],
        "evidence": [
            {
                "seq": 5 << 20,
                "feed": "gauges",
                "id": "e1",
                "kind": "water.level",
                "source": "s1",
                "event_time": to_iso(START - 5),
                "ingest_time": to_iso(START),
                "lon": -122.3,
                "lat": 47.6,
                "value": 3.5,
                "unit": "cm",
                "text": None,
                "role": "anchor",
                "distance_m": 0.0,
                "gap_s": 0.0,
                "severity": None,
                "ahead_s": 0.0,
            }
        ],
        "history": [{"at": to_iso(START), "from": None, "to": "open", "by": "engine", "note": "a 1"}],
        "closed": None,
        "parent": None,
        "folded": "",
        "over_budget": 0,
        "budget": None,
        "context": [],
        "children": [],
        "run": None,
    }
    [listed], _ = view.find(Wanted(), 10, None)
    assert listed == {name: value for name, value in found.items() if name not in {"evidence", "history", "context", "children"}}
    assert view.get("nobody") is None


def test_an_alert_that_its_rule_closes_is_resolved_by_the_rule(store, view):
    store.apply(messages(alert(), move("a", "acknowledged", 1), alert(revision=2, status="amended", at=2, closed=START + 2)))
    assert states(view) == {"a": "resolved"}
    assert [(step["to"], step["by"]) for step in view.get("a")["history"]] == [
        ("open", "engine"),
        ("acknowledged", "ann"),
        ("resolved", "rule"),
    ]
    assert view.get("a")["closed"] == to_iso(START + 2)


def test_an_alert_that_turns_out_not_to_be_over_is_open_again(store, view):
    closed = alert(revision=2, status="amended", at=2, closed=START + 2)
    store.apply(messages(alert(), closed, alert(revision=3, status="amended", at=3)))
    assert states(view) == {"a": "open"}
    assert [(step["to"], step["by"]) for step in view.get("a")["history"]] == [("open", "engine"), ("resolved", "rule"), ("open", "rule")]


def test_what_people_have_resolved_stays_resolved(store, view):
    closed = alert(revision=2, status="amended", at=2, closed=START + 2)
    again = alert(revision=3, status="amended", at=4)
    store.apply(messages(alert(), closed, move("a", "open", 3), move("a", "resolved", 3), again))
    assert states(view) == {"a": "resolved"}


def test_a_retracted_alert_that_has_closed_is_not_open_when_it_returns(store, view):
    back = alert(revision=3, status="amended", at=3, closed=START + 2)
    store.apply(messages(alert(), alert(revision=2, status="retracted", at=1), back))
    assert states(view) == {"a": "resolved"}


def test_an_alert_knows_what_is_shown_under_it(store, view):
    under = alert("b", parent="a", folded="budget", over_budget=3)
    store.apply(messages(alert(), under, alert("c", parent="x", folded="fold")))
    assert [(child["id"], child["state"], child["folded"]) for child in view.get("a")["children"]] == [("b", "open", "budget")]
    assert (view.get("b")["parent"], view.get("b")["over_budget"], view.get("b")["children"]) == ("a", 3, [])


def test_an_alert_says_the_budget_of_the_rule_in_force(store, view):
    store.apply(messages(alert(over_budget=1)))
    smoke = RULES["smoke"]
    view.declare(RULES | {"smoke": replace(smoke, alert=replace(smoke.alert, budget=Budget(12, 12 * HOUR)))})
    assert view.get("a")["budget"] == {"alerts": 12, "per_s": 43_200.0}
    assert view.find(Wanted(), 10, None)[0][0]["budget"] == {"alerts": 12, "per_s": 43_200.0}


def test_context_is_shown_as_evidence_is(store, view):
    store.apply(messages(alert(context=(EVIDENCE,))))
    assert view.get("a")["context"] == view.get("a")["evidence"]


def test_the_way_through_the_states(store, view):
    store.apply(
        messages(
            alert(),
            move("a", "acknowledged", 1, note="seen"),
            move("a", "in_progress", 2, by="bob"),
            alert(revision=2, status="amended", at=3),
            move("a", "on_hold", 4, by="bob", owner="cid"),
            move("a", "resolved", 5, by="cid", note="out"),
        )
    )
    found = view.get("a")
    assert (found["state"], found["owner"], found["revision"], found["status"]) == ("resolved", "cid", 2, "amended")
    assert [(step["from"], step["to"], step["by"], step["note"]) for step in found["history"]] == [
        (None, "open", "engine", "a 1"),
        ("open", "acknowledged", "ann", "seen"),
        ("acknowledged", "in_progress", "bob", ""),
        ("in_progress", "on_hold", "bob", ""),
        ("on_hold", "resolved", "cid", "out"),
    ]


@pytest.mark.parametrize(
    ("before", "to"),
    [
        ("open", "on_hold"),
        ("open", "open"),
        ("acknowledged", "retracted"),
        ("resolved", "acknowledged"),
        ("on_hold", "open"),
        ("open", "nonsense"),
    ],
)
def test_a_move_that_is_not_possible_changes_nothing(store, view, before, to):
    ways = {"open": [], "acknowledged": ["acknowledged"], "resolved": ["resolved"], "on_hold": ["in_progress", "on_hold"]}[before]
    store.apply(messages(alert(), *(move("a", step) for step in ways), move("a", to, by="eve")))
    assert view.get("a")["state"] == before
    assert "eve" not in {step["by"] for step in view.get("a")["history"]}


def test_who_is_first_is_first(store, view):
    store.apply(messages(alert(), move("a", "resolved", 1, by="ann"), move("a", "acknowledged", 2, by="bob")))
    assert (view.get("a")["state"], view.get("a")["owner"]) == ("resolved", "ann")


def test_a_retraction_shows_unless_people_have_closed_the_alert(store, view):
    store.apply(
        messages(
            alert("a"),
            move("a", "acknowledged"),
            alert("a", 2, "retracted", 1),
            alert("b"),
            move("b", "resolved"),
            alert("b", 2, "retracted", 1),
        )
    )
    assert states(view) == {"a": "retracted", "b": "resolved"}
    assert view.get("a")["history"][-1] == {
        "at": to_iso(START + 1),
        "from": "acknowledged",
        "to": "retracted",
        "by": "engine",
        "note": "reason 2",
    }
    store.apply([message(7, move("a", "resolved", 2))])
    assert states(view) == {"a": "resolved", "b": "resolved"}


@pytest.mark.parametrize("cleared", [False, True])
def test_an_alert_that_holds_again_after_a_retraction_is_open_again(store, view, cleared):
    moves = [move("a", "resolved", 2)] if cleared else []
    store.apply(
        messages(
            alert(),
            move("a", "acknowledged"),
            alert(revision=2, status="retracted", at=1),
            *moves,
            alert(revision=3, status="raised", at=3),
        )
    )
    assert (view.get("a")["state"], view.get("a")["owner"]) == ("open", None)


def test_more_evidence_does_not_open_a_resolved_alert_nor_take_its_owner(store, view):
    store.apply(
        messages(
            alert("a"),
            move("a", "resolved"),
            alert("a", 2, "amended", 1),
            alert("b"),
            move("b", "acknowledged"),
            move("b", "open", owner="dan"),
            alert("b", 2, "amended", 2),
        )
    )
    assert states(view) == {"a": "resolved", "b": "open"}
    assert view.get("b")["owner"] == "dan"


def test_nothing_counts_twice(store, view):
    stream = messages(alert(), move("a", "acknowledged"), alert(revision=2, status="amended", at=1))
    store.apply(stream)
    before = view.get("a")
    assert store.apply(stream) == 3
    assert store.apply([message(4, alert(revision=2, status="retracted", at=9)), message(5, alert(revision=1, at=9))]) == 5
    assert view.get("a") == before
    assert view.last_seq == 5


def test_filters_pages_and_counts(store, view):
    severities = [Severity.EXTREME, Severity.SEVERE, Severity.MINOR]
    store.apply(
        messages(
            *(alert(f"n{i:02}", known_at=START + i // 2, rule=("smoke", "flood")[i % 2], severity=severities[i % 3]) for i in range(20)),
            move("n03", "acknowledged", 50),
            move("n04", "resolved", 50),
        )
    )
    everything = [f"n{i:02}" for i in range(19, -1, -1)]
    assert [item["id"] for item in view.find(Wanted(), 100, None)[0]] == everything
    paged, cursor = [], None
    while True:
        items, cursor = view.find(Wanted(), 3, cursor)
        paged += [item["id"] for item in items]
        if cursor is None:
            break
    assert paged == everything
    assert view.find(Wanted(), 20, None)[1] is None
    assert set(states(view, states=("acknowledged", "resolved"))) == {"n03", "n04"}
    assert set(states(view, rules=("flood",))) == {f"n{i:02}" for i in range(1, 20, 2)}
    assert set(states(view, severities=("extreme", "minor"))) == {f"n{i:02}" for i in range(20) if i % 3 != 1}
    assert set(states(view, rules=("flood",), severities=("extreme",), states=("acknowledged",))) == {"n03"}
    assert view.counts() == {"open": 18, "acknowledged": 1, "resolved": 1}
    assert view.counts_by_rule() == {"smoke": 10, "flood": 10}
    for wrong in ("", "x", "12", "12.", "x.a", "-5.a"):
        with pytest.raises(ValueError, match="cursor"):
            view.find(Wanted(), 3, wrong)


def test_as_it_was_known_then(store, view):
    store.apply(
        messages(
            alert("a", at=0),
            alert("b", at=10, known_at=START + 10),
            move("a", "acknowledged", 20, by="ann"),
            alert("a", 2, "amended", 30, severity=Severity.EXTREME),
            alert("b", 2, "retracted", 40),
            move("a", "resolved", 50),
        )
    )
    shown = {at: states(view, at=START + at) for at in (-1, 0, 9, 10, 20, 39, 40, 50, 10**9)}
    assert shown == {
        -1: {},
        0: {"a": "open"},
        9: {"a": "open"},
        10: {"a": "open", "b": "open"},
        20: {"a": "acknowledged", "b": "open"},
        39: {"a": "acknowledged", "b": "open"},
        40: {"a": "acknowledged", "b": "retracted"},
        50: {"a": "resolved", "b": "retracted"},
        10**9: {"a": "resolved", "b": "retracted"},
    }
    then = {item["id"]: item for item in view.find(Wanted(at=START + 25), 10, None)[0]}
    assert (then["a"]["revision"], then["a"]["headline"], then["a"]["owner"], then["a"]["severity"]) == (1, "a 1", "ann", "severe")
    assert states(view, at=START + 25, severities=("severe",), states=("acknowledged",)) == {"a": "acknowledged"}
    assert states(view, at=START + 35, severities=("extreme",)) == {"a": "acknowledged"}


def test_changes_since_a_sequence_number(store, view):
    store.apply(messages(alert("a"), alert("b"), move("a", "acknowledged"), alert("c"), move("c", "on_hold")))
    assert [(seq, item["id"]) for seq, item in view.changes(0, 10)] == [(2, "b"), (3, "a"), (4, "c")]
    assert [(seq, item["id"]) for seq, item in view.changes(2, 1)] == [(3, "a")]
    assert view.changes(4, 10) == []


def test_a_rule_that_is_gone_leaves_its_name(store, view):
    store.apply(messages(alert(rule="old-rule")))
    assert (view.get("a")["title"], view.get("a")["why"], view.get("a")["instruction"]) == ("old-rule", "", "")


@pytest.mark.parametrize(
    ("subject", "content", "words"),
    [
        ("alert.x", {}, "revision is None"),
        ("alert.x", {"revision": "1"}, "revision is '1'"),
        ("alert.x", {"revision": 1, "known_at": 1, "updated": 1, "severity": 1, "id": 5}, "id is 5"),
        ("transition.a", {"to": "open"}, "at is None"),
        ("alert.x", {"revision": 1, "known_at": 1 << 63, "updated": 1, "severity": 1}, "known_at is 9223372036854775808"),
        ("alert.x", {"revision": 1 << 31, "known_at": 1, "updated": 1, "severity": 1}, "revision is 2147483648"),
        ("alert.x", GOOD | {"id": "x" * 501}, "at most 500 characters"),
        ("alert.x", GOOD | {"rule": "a\0b"}, "without NUL"),
        ("alert.x", GOOD | {"parent": 7}, "parent is '7'"),
        ("transition.a", {"at": 5, "alert": "a", "to": None, "by": "x"}, "to is None"),
        ("transition.a", {"at": -(1 << 63) - 1, "alert": "a", "to": "open", "by": "x"}, "at is -9223372036854775809"),
        ("transition.a", {"at": 5, "alert": "a", "to": "resolved", "by": "x", "owner": 5}, "owner is 5"),
        ("transition.zz", {"at": 5, "alert": "zz", "to": "open", "by": "x"}, "no alert 'zz'"),
    ],
)
def test_what_is_no_alert_is_left_out_and_the_rest_goes_on(store, view, caplog, subject, content, words):
    store.apply([message(1, alert()), (2, subject, content), message(3, move("a", "acknowledged"))])
    assert states(view) == {"a": "acknowledged"}
    assert store.position == 3
    assert store.unreadable == 1
    assert words in caplog.text


def test_texts_with_odd_characters_are_stored(store, view):
    odd = "a\0b \u202e \U0001f525 ' \" \\ %s {x}"
    store.apply(messages(alert(headline=odd, place=odd), move("a", "acknowledged", by=odd, note=odd)))
    found = view.get("a")
    assert (found["headline"], found["place"]) == (odd, odd)
    assert [(step["by"], step["note"]) for step in found["history"]][1] == (odd.replace("\0", "\ufffd"),) * 2
    assert found["owner"] == odd.replace("\0", "\ufffd")


def test_names_are_in_the_order_of_their_bytes(store, view):
    names = ["B", "a", "Z", "ä", "_", "10", "9", "É"]
    store.apply(messages(*(alert(name) for name in names)))
    paged, cursor = [], None
    while True:
        items, cursor = view.find(Wanted(), 3, cursor)
        paged += [item["id"] for item in items]
        if cursor is None:
            break
    assert paged == sorted(names, reverse=True)


def test_a_view_of_another_stream_is_read_anew(tmp_path, caplog):
    """A SQLite file is this node's alone; PostgreSQL may be others' (test_alerts_postgres)."""
    store = AlertStore.open(f"sqlite:///{tmp_path / 'alerts.db'}")
    assert store.start(0, "monday") == 1
    store.apply(messages(alert("a")))
    assert store.start(1, "monday") == 2
    assert store.start(5, "tuesday") == 1
    assert states(AlertsView(store, RULES)) == {}
    assert (store.stream, store.position) == ("tuesday", 0)
    store.close()


def test_a_view_ahead_of_its_stream_is_read_anew(store, view):
    store.apply(messages(alert("a"), alert("b"), alert("c")))
    assert store.start(3) == 4
    assert store.start(2) == 1
    assert states(view) == {}
    store.apply(messages(alert("z")))
    assert states(view) == {"z": "open"}


def test_tables_of_another_version_are_replaced(tmp_path, caplog):
    path = tmp_path / "alerts.db"
    with sqlite3.connect(path) as old:
        old.execute("create table alert (id text, colour text)")
        old.execute("create table position (name text, seq integer)")
        old.execute("insert into position values ('alerts', 7)")
    old.close()
    store = AlertStore.open(f"sqlite:///{path}")
    assert store.position == 0
    assert "another version" in caplog.text
    store.apply(messages(alert()))
    store.close()
    again = AlertStore.open(f"sqlite:///{path}")
    assert again.position == 1
    again.close()


@pytest.mark.parametrize("damage", ["garbage", "torn"])
def test_a_damaged_file_is_set_aside_and_the_view_made_anew(tmp_path, caplog, damage):
    path = tmp_path / "alerts.db"
    store = AlertStore.open(f"sqlite:///{path}")
    store.apply(messages(*(alert(f"n{i}") for i in range(300))))
    store.close()
    data = bytearray(path.read_bytes())
    if damage == "garbage":
        data[:] = b"not a database" * 1000
    else:
        data[4096 : 4096 * 6] = bytes(4096 * 5)
    path.write_bytes(data)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    again = AlertStore.open(f"sqlite:///{path}")
    assert again.position == 0
    assert "is damaged" in caplog.text
    assert path.with_name("alerts.db.damaged").exists()
    again.apply(messages(alert("z")))
    assert states(AlertsView(again, RULES)) == {"z": "open"}
    again.close()


def test_sqlite_is_durable(tmp_path):
    store = AlertStore.open(f"sqlite:///{tmp_path / 'alerts.db'}")
    with store.engine.connect() as db:
        assert db.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert db.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    store.close()
