"""What a replay says of the alerts at a moment is what a view says that has read no further."""

from alerts_world import RULES, START, Wanted, alert, message, move
from hypothesis import given, settings
from hypothesis import strategies as st
from test_alerts_rebuild import STREAMS, new

from tocsin.alerts.known import KnownAlerts
from tocsin.alerts.view import AlertsView


def heard_by(stream, at):
    """The messages up to the last one heard at city time `at`."""
    heard, found = 0, []
    for seq, subject, content in stream:
        heard = max(heard, content.get("updated", 0), content.get("at", 0))
        if heard > at:
            break
        found.append((seq, subject, content))
    return found


def everything(view):
    """All that can be asked, without the parent-child lists, which depend on the newest parent."""
    listed, _ = view.find(Wanted(), 1000, None)
    whole = [view.get(one["id"]) for one in listed]
    return listed, whole, dict(view.counts()), dict(view.counts_by_rule()), [alert for _, alert in view.changes(0, 1000)]


@settings(max_examples=120, deadline=None)
@given(STREAMS, st.lists(st.integers(-1, 31), min_size=1, max_size=4))
def test_at_every_moment_it_is_what_a_shorter_stream_gives(stream, moments):
    live = new()
    live.apply(stream)
    known = KnownAlerts(live, AlertsView(live, RULES))
    known.jump(START + moments[0])
    for at in sorted(moments, key=lambda at: at if at >= moments[0] else 99):
        (known.advance if at >= moments[0] else known.jump)(START + at)
        shorter = new()
        shorter.apply(heard_by(stream, START + at))
        assert everything(known) == everything(AlertsView(shorter, RULES))
        shorter.close()
    live.close()


@settings(max_examples=60, deadline=None)
@given(STREAMS, st.integers(0, 30), st.integers(0, 30))
def test_changes_since_are_those_that_became_known_since(stream, one, other):
    early, late = sorted((one, other))
    live = new()
    live.apply(stream)
    known = KnownAlerts(live, AlertsView(live, RULES))
    since = known.jump(START + early)
    before = {item["id"]: item for item in known.find(Wanted(), 1000, None)[0]}
    known.advance(START + late)
    changed = {item["id"]: item for _, item in known.changes(since, 1000)}
    after = {item["id"]: item for item in known.find(Wanted(), 1000, None)[0]}
    assert before | changed == after
    assert all(seq > since for seq, _ in known.changes(since, 1000))
    live.close()


def test_who_stood_under_it_then():
    live = new()
    stream = [
        alert("a"),
        alert("b", at=1, parent="a", folded="fold"),
        alert("b", revision=2, status="amended", at=9, parent="a", folded="fold"),
    ]
    live.apply([message(seq, what) for seq, what in enumerate([*stream, move("b", "acknowledged", 10)], 1)])
    known = KnownAlerts(live, AlertsView(live, RULES))
    known.jump(START)
    assert known.get("a")["children"] == []
    known.advance(START + 9)
    assert [(child["id"], child["state"]) for child in known.get("a")["children"]] == [("b", "open")]
    known.advance(START + 10)
    assert [(child["id"], child["state"]) for child in known.get("a")["children"]] == [("b", "acknowledged")]
    live.close()
