"""Why a rule rang, or did not: reads the journal round the time asked about and puts the explainer's answer together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tocsin.correlate.explain.explainer import Explainer, Inquiry, inquire
from tocsin.correlate.explain.gather import Knowing
from tocsin.correlate.explain.pauses import Pace
from tocsin.correlate.explain.told import Told, told
from tocsin.correlate.setting import Setting
from tocsin.feeds.health import STALE_AFTER
from tocsin.journal.alerts import first_told_at, read_alerts
from tocsin.journal.changes import change_before
from tocsin.journal.connection import Journal, connect
from tocsin.journal.nats_conf import subject_token
from tocsin.journal.reader import DamagedEntry, fetch, last_seq, skim
from tocsin.journal.server import EmbeddedServer
from tocsin.journal.streams import EVENTS
from tocsin.kernel.fault import Fatal, Retriable, Skippable, nearest
from tocsin.model.city import City
from tocsin.model.explanation import FAILED, Clause, Explanation, NoSuchRule, Question, about
from tocsin.model.plan import RulePlan
from tocsin.model.time import MINUTE, to_iso

from . import inforce
from .health import endpoint_of
from .layout import Layout, NodeFile
from .reconcile import first_known_at

Json = dict[str, Any]
#: Journal entries read for one answer at most; of more, the newest.
ENTRIES_MAX: Final = 400_000
#: Entries taken in before others get a turn.
_TURN: Final = 64


@dataclass(frozen=True, slots=True)
class Subject:
    """A rule with the setting it is asked about in. `absent`: words when it was not in force at that time."""

    rule: RulePlan
    setting: Setting
    city: City
    absent: str = ""


async def explain(journal: Journal, root: Path, layout: Layout, question: Question) -> Explanation:
    """The answer. Raises NoSuchRule, Fatal (a configuration that cannot be read), Retriable (the journal is away)."""
    last = await last_seq(journal)
    now = await _clock_at(journal, last)
    subject = await _subject(journal, root, layout, question, last)
    setting = subject.setting
    knowing = Knowing(setting.plan, setting.corrects, setting.skews, setting.lateness)
    inquiry = inquire(subject.rule, knowing, question, now)
    explainer = Explainer(inquiry, {feed.name: kinds_of(feed) for feed in subject.city.feeds}, paces_of(subject.city))
    await _read(journal, inquiry, explainer, last)
    known = inquiry.scope.known
    found = await asyncio.to_thread(explainer.answer, await _told(journal, inquiry, known))
    return _absent(found, subject.absent) if subject.absent else found


def kinds_of(feed: Any) -> tuple[str, ...]:
    """Kinds that a feed's declaration names."""
    field = feed.mapping.get("kind")
    if field is None:
        return ()
    named = [field.constant, field.default, *(field.table or {}).values()]
    return tuple(dict.fromkeys(kind for kind in named if isinstance(kind, str)))


def paces_of(city: City) -> dict[str, Pace]:
    """How often each feed speaks that says so, by the last part of its subject."""
    declared = {feed.name: feed.expected_every for feed in city.feeds}
    return {subject_token(name): Pace(name, every, STALE_AFTER * every) for name, every in declared.items() if every is not None}


def _absent(found: Explanation, words: str) -> Explanation:
    """The rule was not in force: that alone kept it from ringing."""
    clause = Clause("rule", FAILED, words, "not in force", "in force")
    verdict = found.verdict if found.verdict in ("rang", "joined", "retracted") else "silent"
    summary = found.summary if verdict != "silent" else f"It did not ring: {words}"
    return replace(found, verdict=verdict, summary=summary, clauses=(clause, *found.clauses))


async def _subject(journal: Journal, root: Path, layout: Layout, question: Question, last: int) -> Subject:
    """The rule as it was in force at the time asked about; else as it is now."""
    start = await first_known_at(journal, question.at)
    entry = await change_before(journal, min(start.seq, last))
    then = inforce.opened(entry, root, layout) if entry is not None else await inforce.at_entry(journal, 0, root, layout)
    now = await inforce.current(journal, root, layout) if entry is not None else then
    for found, absent in (
        (then, ""),
        (now, f"the rule was not in force at {to_iso(question.at)}; it came into force with journal entry {now.entry}"),
    ):
        setting = inforce.setting(found)
        rule = next((one for one in setting.plan.rules if one.name == question.rule), None)
        if rule is not None:
            return Subject(rule, setting, found.city, absent)
    known = {rule.name for found in (then, now) for rule in found.city.plan.rules}
    raise NoSuchRule(f"there is no rule {question.rule!r}; {nearest(question.rule, known)}")


async def _clock_at(journal: Journal, seq: int) -> int:
    """The journal clock at an entry: that of the newest entry up to it that knows a time."""
    while seq > 0:
        try:
            entry = await fetch(journal, seq)
        except Skippable:
            seq -= 1
            continue
        if entry.ingest > 0:
            return entry.ingest
        seq -= 1
    return 0


async def _read(journal: Journal, inquiry: Inquiry, explainer: Explainer, last: int) -> None:
    """The entries that can hold a fact of the scope."""
    start = await first_known_at(journal, inquiry.first)
    first = start.seq
    state = await journal.state(EVENTS)
    if not start.complete and state.first > 1:
        explainer.notes.append("the journal no longer holds the entries of all of that time; the archive may")
    end = min(last, (await first_known_at(journal, inquiry.until + 1)).seq)
    if end - first > ENTRIES_MAX:
        explainer.notes.append(f"only the newest {ENTRIES_MAX:,} of {end - first:,} journal entries of that time were read")
        first = end - ENTRIES_MAX
    names = [kind.encode() for kind in inquiry.scope.kinds]
    corrects = inquiry.knowing.corrects
    always = None if corrects is None else frozenset(map(subject_token, corrects))
    damaged: list[DamagedEntry] = []
    taken = 0
    async with aclosing(skim(journal, first, end, names, always, damaged.append)) as entries:  # type: ignore[type-var]
        async for entry in entries:
            if entry.ingest > inquiry.until:
                break
            explainer.take(entry)
            taken += 1
            if taken % _TURN == 0:
                await asyncio.sleep(0)
    if damaged:
        explainer.notes.append(f"{sum(one.last - one.first + 1 for one in damaged)} journal entries of that time cannot be read")


async def _told(journal: Journal, inquiry: Inquiry, known: int) -> Told:
    """Alerts of the rules concerned, as they were known."""
    hold = inquiry.rule.alert.per.hold if inquiry.rule.alert.per is not None else 0
    first = await first_told_at(journal, inquiry.scope.start - hold - MINUTE)
    rules = frozenset(inquiry.rules)
    messages = []
    async for seq, subject, content in read_alerts(journal, first, follow=False):
        if content.get("rule") in rules or subject.startswith("transition."):
            messages.append((seq, subject, content))
    return told(messages, known)


@asynccontextmanager
async def opened(layout: Layout) -> AsyncIterator[Journal]:
    """The journal of a data directory: of its running node, or read by a server of our own when it is stopped. Raises Fatal without one."""
    if not layout.journal.is_dir():
        raise Fatal(f"{layout.data} holds no journal; name the data directory of a node with --data")
    try:
        lock = layout.lock()
    except Fatal:
        node = NodeFile.read(layout)
        async with await connect(endpoint_of(node), name="explain", within=10.0) as journal:
            yield journal
        return
    try:
        async with EmbeddedServer(layout.data, 0) as server, await connect(server.endpoint, name="explain") as journal:
            yield journal
    finally:
        lock.close()


async def answered(root: Path, data: Path, question: Question) -> Explanation:
    """The answer for a command. A rule that does not exist may be an alert's id, or the beginning of one; `at` below 0 is now."""
    layout = Layout(data)
    async with opened(layout) as journal:
        if question.at < 0:
            question = replace(question, at=await _clock_at(journal, await last_seq(journal)))
        try:
            return await explain(journal, root, layout, question)
        except NoSuchRule:
            alert = await alert_named(journal, question.rule)
            if alert is None:
                raise
        anchor = alert["evidence"][0]["seq"] if alert["evidence"] else None
        place = None if alert["lon"] is None or alert["lat"] is None else (alert["lon"], alert["lat"])
        return await explain(journal, root, layout, about(alert["rule"], alert["opened"], alert["known_at"], place, anchor, alert["late"]))


async def alert_named(journal: Journal, name: str) -> Json | None:
    """The newest revision of the alert whose id begins so. Raises Fatal when several do."""
    found: dict[str, Json] = {}
    async for _, subject, content in read_alerts(journal, 1, follow=False):
        if subject.startswith("alert.") and content["id"].startswith(name):
            found[content["id"]] = content
    if len(found) > 1:
        raise Fatal(f"{len(found)} alerts begin with {name}: {', '.join(sorted(found)[:5])}; write more digits")
    return next(iter(found.values()), None)


def answering(node: NodeFile) -> Callable[[Question], Awaitable[Explanation]]:
    """Explanations for serve: one at a time, on a thread and a connection of their own, so that no viewer waits for them."""
    busy = asyncio.Lock()

    async def work(question: Question) -> Explanation:
        async with await connect(endpoint_of(node), name="explain", within=10.0) as journal:
            return await explain(journal, Path(node.city), node.layout, question)

    async def answer(question: Question) -> Explanation:
        if busy.locked():
            raise Retriable("another explanation is being worked out; ask again in a moment", after=2)
        async with busy:
            return await asyncio.to_thread(lambda: asyncio.run(work(question)))

    return answer
