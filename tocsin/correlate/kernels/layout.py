"""The tables the kernels work on: record types, which table is which, and the names of the numbers in `meta`.

Everything is a flat array, so a snapshot is a copy of arrays and a kernel never allocates. A record type holds what is read
together in one or two cache lines. Times are microseconds since 1970, places unit vectors (`geometry.py`), -1 means "none".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NEVER = np.int64(np.iinfo(np.int64).max)
LONG_AGO = np.int64(np.iinfo(np.int64).min // 2)
EVIDENCE = 64  # as firing.EVIDENCE_MAX
ROOT = 3  # where the heap of deadlines starts
CELLS_MAX = 1024  # cells a circle can touch
COVERS = 17  # places whose cells a circle keeps: those of the events that are approached, and of whatever else was asked for last
COVER_STRIDE = CELLS_MAX + 16  # covers begin in different sets of the processor's cache
PICKED = 256  # rows of a batch that are picked at once
CELL_BITS = 40  # row and column of a cell; the lane stands above them
SCANS_MAX = 10  # of one channel: levels, coalescing or not
NO_UNTIL = -2  # instead of the predicate of `until`
UNDECIDED, DECIDED = -1, -2  # instead of an alert's number: the gap after a run is open; it is real, but suppressed
STEPS_MAX = 20  # firing roles 10 to 29

# ---- what a role does with an event that passes its selector
PLAIN, CLUSTER, STEP, AFTER, EXPECTED, HEARD = range(6)
# ---- numbers that kernels hand on are int64 like everything they compute; a bare literal would compile a function again
NONE, ZERO, ONE = np.int64(-1), np.int64(0), np.int64(1)
# ---- what an output row says, and the roles of evidence (firing.py)
RAISE, JOIN, RETRACT = np.int64(0), np.int64(1), np.int64(2)
ANCHOR, MEMBER, FIRST_STEP, AFTER_ROLE = np.int64(0), np.int64(1), 10, np.int64(30)
# ---- whose events may be updated or cancelled (`meta[CORRECTS]`)
NOBODY, SOME, ALL = range(3)
# ---- states of an entry in the recent store
LIVE, SHADOW, DEAD = range(3)
# ---- why a kernel returns before it is done: which table has no room for one more event; a code that was never given, columns that do not fit
DONE, FULL_RECENT, FULL_OUT, FULL_GROUPS, FULL_PENDING, FULL_TRACKS, FULL_RUNS, FULL_VERDICTS, FULL_STANDING, BAD_CODE, BAD_SHAPE = range(
    11
)

# ---- the numbers in `meta`: the clock, how full the tables are, and counters
(
    CLOCK, WATERMARK, MOVED, HORIZON, LATENESS, DELAY, WIDEST, TALK, WORDS, PUSH, NUMBER, STAMP,
    STORED, TOP_TIME, NEWEST, FIRED,
    ROW, ROWS, SAID,
    GROUPS_TOP, GROUPS_FREE, GROUPS_LIVE,
    TIMERS, PENDING_TOP, PENDING_FREE, PENDING_LIVE,
    TRACKED, TRACK_WORDS, WATCHED, RUNS_TOP, RUNS_FREE, RUNS_LIVE, STANDING, ANSWERED, CORRECTS, VERDICTS_FROM, VERDICTS_TO,
    MATCHES, ENTRIES, VISITED, OVERWRITTEN, TOO_LATE, STALE, SUPPRESSED, GIVEN_UP, META_SIZE,
) = range(46)  # fmt: skip


def _record(spec: str) -> np.dtype:
    """`"time:i8 rank:i4"` -> an aligned record type."""
    return np.dtype([tuple(field.split(":")) for field in spec.split()], align=True)


FLAG, I4, I8, F8, U8 = (np.dtype(name) for name in ("u1", "i4", "i8", "f8", "u8"))
# ---- the plan: who looks at which kind (kinds -> listens -> channels -> roles by rising threshold), and for what
KIND = _record("first:i8 last:i8 low:f8 near:f8 rest:f8 series:i8 watch:i8")
CHANNEL = _record("role:i8 role_end:i8 hears:i8 hears_end:i8 lane:i8 lane_end:i8 active:i8 active_end:i8")
ROLE = _record("threshold:f8 what:i8 rule:i8 predicate:i8 detail:i8 search:i8")
HEARS = _record("series:i8 own:i8")
SERIES = _record("channel:i8 off_channel:i8 track:i8 track_end:i8 lowest:f8")
TRACK = _record("on:f8 off:f8 on_predicate:i8 off_predicate:i8 samples:i8 rule:i8")
LANE = _record("keep:i8 rank:i8 rank_end:i8 level:i8 coalesce:i8 open:i8 asks:i8 channel:i8 newest:i8")
SEARCH = _record("limit:f8 lane:i8 rank:i8 predicate:i8 circle:i8")
SCAN = _record("limit:f8 lane:i8 rank:i8 circle:i8 span:i8 place:i8 event:i8 page:i8 n:i8 done:i8 near:i8 cell:i8 at:i8 chain:i8")
CIRCLE = _record("angle:f8 reach:f8 level:i8")
RULE = _record(
    "window:i8 min_gap:i8 hold:i8 place:f8 place_circle:i8 search:i8 scan:i8 sources:i8 events:i8 step:i8 steps:i8 stage:i8 overlap:i8 unless:i8 unless_end:i8"
    " thinned:i8 placed:i8 by_source:i8 since:i8"
)
LINK = _record("min_gap:i8 max_gap:i8 back:i8 ahead:i8")
STAGE = _record("threshold:f8 predicate:i8 channel:i8")
DEADLINE_SET = _record("window:i8 threshold:f8 first:i8 last:i8")
DEADLINE_RULE = _record("threshold:f8 rule:i8 predicate:i8")
WATCH = _record("window:i8 rule:i8 by_feed:i8")
ACTIVE = _record("threshold:f8 valid_for:i8 predicate:i8 list:i8")
UNLESS = _record("limit:f8 list:i8")
LEVEL = _record("first:i8 rows:i8")
SOURCE = _record("feed:i8 named:i8 corrects:i8")
# ---- the state
RECENT = _record("time:i8 x:f8 y:f8 z:f8 key:i8 older:i4 newer:i4 rank:i4 source:i4 lag:i4 state:i4")
assert RECENT.itemsize == 64, "one visited entry is one cache line"
RECENT_MORE = _record("seq:i8 expires:i8 passed:i8 shade:i8 over:i8")
HEAD = _record("main:i4 shadow:i4 newest:u4 keys:u4")
CELL = _record("key:i8 at:i8")
GROUP = _record("number:i8 newest:i8 count:i8 row:i8 push:i8 x:f8 y:f8 z:f8 rule:i8 source:i8 kept:i8 live:i8 next:i8 placed:i8")
TRACK_STATE = _record("key:i8 last:i8 words:i8 active:i8")
TIMER = _record("deadline:i8 at:i8")
PENDING = _record("seq:i8 time:i8 value:f8 x:f8 y:f8 z:f8 source:i8 set:i8 next:i8 alive:i8")
WATCH_STATE = _record("key:i8 first:i8 last:i8")
RUN = _record(
    "start:i8 end:i8 seq:i8 group:i8 prev:i8 next:i8 placed:i8 timers:i8 x:f8 y:f8 z:f8 slot:i8 alive:i8 watch:i8 subject:i8 pad:i8"
)
VERDICT = _record("time:i8 x:f8 y:f8 z:f8 key:i8 older:i8 given:i8 seq:i8 group:i8 slot:i8 source:i8 alive:i8")
FACT = _record("time:i8 until:i8 seq:i8 x:f8 y:f8 z:f8 list:i8 next:i8")
# ---- output (`firing.Firings`) and working memory
OUT = _record("group:i8 anchor:i8 time:i8 count:i8 first:i8 last:i8 rule:i4 source:i4 what:i8")
TOLD = _record("seq:i8 role:i8")
# ---- what shards found; `falls`: a source whose events may be taken back, or -1; `number`, `slot`: of its alert, filled in for RAISE,
#      given for RETRACT
GATHERED = _record("rule:i8 what:i8 seq:i8 time:i8 source:i8 falls:i8 first:i8 last:i8 number:i8 slot:i8 match:i8 lon:f8 lat:f8")
FOUND = _record("seq:i8 at:i8 time:i8 source:i8 role:i8")
PATH = _record("time:i8 at:i8 taint:i8")
COVER = _record("count:i8 x:f8 y:f8 z:f8")
PLACE = _record("x:f8 y:f8 z:f8 across:f8 latitude:f8 turn:f8 known:i8 pad:i8")
CANDIDATE = _record("time:i8 passed:i8 square:f8 at:i4 source:i4 rank:i4")
NEAR = _record("key:i8 main:i8 shadow:i8 newest:i8")

# ---- every table, in the order of the directory that the kernels get (`memory.py`)
TABLES = (
    ("directory", I8), ("meta", I8),
    ("kinds", KIND), ("listens", I8), ("member", FLAG), ("channels", CHANNEL), ("roles", ROLE), ("hears", HEARS), ("series", SERIES),
    ("tracks", TRACK), ("lanes", LANE), ("lane_bits", U8), ("ranks", F8), ("searches", SEARCH), ("scans", SCAN), ("circles", CIRCLE), ("rules", RULE), ("links", LINK), ("stages", STAGE),
    ("sets", DEADLINE_SET), ("set_rules", DEADLINE_RULE), ("watches", WATCH), ("actives", ACTIVE), ("unless", UNLESS),
    ("levels", LEVEL), ("columns", I8), ("sources", SOURCE),
    ("seq", I8), ("time", I8), ("kind", I4), ("source", I4), ("lon", F8), ("lat", F8), ("value", F8), ("bits", U8), ("until", I8),
    ("hot", RECENT), ("more", RECENT_MORE), ("kept_bits", U8), ("heads", HEAD), ("latest", CELL),
    ("groups", GROUP), ("group_heads", I4), ("evidence", I8),
    ("track_states", TRACK_STATE), ("track_words", I4),
    ("heap", TIMER), ("pending", PENDING), ("pending_bits", U8),
    ("watched", WATCH_STATE), ("runs", RUN), ("verdicts", VERDICT), ("verdict_heads", I8),
    ("facts", FACT), ("fact_heads", I4),
    ("out", OUT), ("told", TOLD),
    ("picked", I8), ("places", PLACE), ("covers", COVER), ("cells", I8), ("near", NEAR), ("candidates", CANDIDATE), ("found", FOUND), ("path", PATH), ("dead", I8),
)  # fmt: skip
(
    T_DIRECTORY, T_META,
    T_KINDS, T_LISTENS, T_MEMBER, T_CHANNELS, T_ROLES, T_HEARS, T_SERIES,
    T_TRACKS, T_LANES, T_LANE_BITS, T_RANKS, T_SEARCHES, T_SCANS, T_CIRCLES, T_RULES, T_LINKS, T_STAGES,
    T_SETS, T_SET_RULES, T_WATCHES, T_ACTIVES, T_UNLESS,
    T_LEVELS, T_COLUMNS, T_SOURCES,
    T_SEQ, T_TIME, T_KIND, T_SOURCE, T_LON, T_LAT, T_VALUE, T_BITS, T_UNTIL,
    T_HOT, T_MORE, T_KEPT_BITS, T_HEADS, T_LATEST,
    T_GROUPS, T_GROUP_HEADS, T_EVIDENCE,
    T_TRACK_STATES, T_TRACK_WORDS,
    T_HEAP, T_PENDING, T_PENDING_BITS,
    T_WATCHED, T_RUNS, T_VERDICTS, T_VERDICT_HEADS,
    T_FACTS, T_FACT_HEADS,
    T_OUT, T_TOLD,
    T_PICKED, T_PLACES, T_COVERS, T_CELLS, T_NEAR, T_CANDIDATES, T_FOUND, T_PATH, T_DEAD,
) = range(len(TABLES))  # fmt: skip


class Spot(NamedTuple):
    """A place: unit vector, distance from the axis (cosine of the latitude), latitude in radians, longitude as a fraction of a
    turn from the antimeridian. `known` is False without usable coordinates: such an event matches no spatial condition. `cover`: which
    of the covers of a circle are its cells."""

    x: float
    y: float
    z: float
    across: float
    latitude: float
    turn: float
    known: bool
    cover: np.int64


class Event(NamedTuple):
    """The event in hand. `row`: its row in the batch (or, at a deadline, in the pending table), where its predicate bits are."""

    seq: int
    time: int
    source: int
    value: float
    spot: Spot
    row: int
