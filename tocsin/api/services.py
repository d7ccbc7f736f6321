"""What the API needs from the rest of the house, as interfaces; `app.py` fills them in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tocsin.model.access import Actor, Decision
from tocsin.model.alert import Transition
from tocsin.model.asking import Answer, Around, Cells, History, Patience, Points, Search, Series, Statement, Tile
from tocsin.model.city import City
from tocsin.model.explanation import Explanation, Question
from tocsin.model.reporting import MakeReport

from .block import Entry
from .eventjson import Json
from .health_board import HealthBoard
from .live import AlertChanges, Limits
from .recent import RecentEvents

if TYPE_CHECKING:
    from .backtests import Backtests

#: The processes a node consists of, beside serve, where correlation is not shared out.
PROCESSES: Final = ("ingest", "correlate")

#: (actor, action, resource, purpose) -> decision; `accountability.access.authorize`.
Authorize = Callable[[Actor, str, str, str], Decision]


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """`at`: as it was known at this journal clock (µs), None for now. Empty tuples filter nothing."""

    states: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    at: int | None = None


class AlertsView(AlertChanges, Protocol):
    """The alerts as a view of the journal (`alerts/store.py`). JSON as docs/wiring.md says."""

    def find(self, wanted: AlertFilter, limit: int, cursor: str | None) -> tuple[Sequence[Json], str | None]:
        """List views and the cursor of the next page. Raises ValueError for a cursor it did not give."""
        ...

    def get(self, alert: str) -> Json | None:
        """The single view with `evidence` and `history`."""
        ...

    def counts(self) -> Mapping[str, int]:
        """Alerts by state."""
        ...

    def counts_by_rule(self) -> Mapping[str, int]: ...


class AlertsThen(AlertsView, Protocol):
    """The alerts as they were known at a moment (city time, µs) that is moved from outside."""

    def jump(self, clock: int) -> int:
        """To any moment."""
        ...

    def advance(self, clock: int) -> int:
        """To a later moment."""
        ...


class Past(Protocol):
    """Where replays read from."""

    def alerts(self) -> AlertsThen: ...

    def events(self, at: int, stop: int, by: str, notes: list[str]) -> AsyncGenerator[tuple[int, Entry]]:
        """Entries with the moment (city time, µs) each is due, in that order, up to `stop`; first those that make the picture at `at`.
        `by`: `known` or `event`. What is missing is said in `notes`. Raises Retriable."""
        ...


class Exercises(Protocol):
    """Exercises of this node; JSON as docs/wiring.md says."""

    async def listed(self) -> Json: ...
    async def running(self) -> Json | None: ...
    async def control(self, do: str, name: str, by: str) -> Json:
        """`do`: `start` or `stop`. Gives `{ok, run, name, title}` or `{ok: false, reason}`; raises `Retriable`."""
        ...

    async def score(self, run: str, city: City) -> Json | None:
        """None for a run that never was."""
        ...


class CityClock(Protocol):
    """City time in µs, and how fast it runs."""

    def now(self) -> int: ...
    @property
    def speed(self) -> float: ...


#: Journals a transition and returns its sequence number in the alerts stream once it is durable; raises `Retriable`.
PublishTransition = Callable[[Transition], Awaitable[int]]


class QuarantineEntry(Protocol):
    """A record that could not be decoded. Times in µs; `raw` None where it is not kept or not asked for."""

    id: str
    feed: str
    received: int
    expires: int
    seen: int
    size: int
    state: str
    personal: bool
    reason: str
    where: str
    origin: str
    content_type: str
    raw: bytes | None
    whole: bool


class QuarantineView(Protocol):
    async def list(self, feed: str | None, limit: int) -> Sequence[QuarantineEntry]: ...
    async def get(self, record: str) -> QuarantineEntry | None: ...


#: Asks ingest to try a quarantined record again (`ctl.quarantine.retry`) and returns its answer; raises `Retriable`.
RetryRecord = Callable[[str], Awaitable[Json]]


#: Answers why a rule rang or did not. Raises `explanation.NoSuchRule`, `Retriable`.
Explain = Callable[[Question], Awaitable[Explanation]]


class ArchiveView(Protocol):
    """Questions to the archive (`query/ask.py`) and their answers as bytes. All of it for any thread; all may raise `Refused`, `TooMuch`,
    `TooSlow`, `Stopped`."""

    def search(self, asked: Search, patience: Patience) -> Answer: ...
    def around(self, asked: Around, patience: Patience) -> Answer: ...
    def series(self, asked: Series, patience: Patience) -> Answer: ...
    def cells(self, asked: Cells, patience: Patience) -> Answer: ...
    def history(self, asked: History, patience: Patience) -> Answer: ...
    def event(self, seq: int, patience: Patience) -> Answer: ...
    def points(self, asked: Points, patience: Patience) -> Answer: ...
    def tile(self, asked: Tile, patience: Patience) -> Answer: ...
    def sql(self, asked: Statement, patience: Patience) -> Answer: ...
    def items(self, answer: Answer) -> list[Json]:
        """Rows as JSON objects."""
        ...

    def known_format(self, form: str) -> None: ...
    def encoded(self, answer: Answer, form: str) -> tuple[bytes, str, str]:
        """The file, its media type, its name."""
        ...

    def columns(self, answer: Answer) -> tuple[bytes, str]: ...
    def vector_tile(self, answer: Answer) -> tuple[bytes, str]: ...


class LayerView(Protocol):
    """A checked map layer. `body`: GeoJSON; `bbox`: west, south, east, north."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def licence(self) -> str: ...
    @property
    def name_field(self) -> str: ...
    @property
    def features(self) -> int: ...
    @property
    def bbox(self) -> tuple[float, float, float, float] | None: ...
    @property
    def body(self) -> bytes: ...
    @property
    def etag(self) -> str: ...


class TileView(Protocol):
    """A checked PMTiles archive."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def licence(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def tile_type(self) -> str: ...
    @property
    def min_zoom(self) -> int: ...
    @property
    def max_zoom(self) -> int: ...
    @property
    def bbox(self) -> tuple[float, float, float, float]: ...


@dataclass(slots=True)
class Services:
    """Everything the API stands on. `not_ready`: what keeps serve from being ready, one sentence each, empty when nothing does.
    `console`: the built console's folder, None when it is not built. `hosts`: further host names to answer to.
    `explain`: answers why a rule rang or did not, None where there is no journal to ask. `archive`: gives years
    of events, None where none are kept; may take a moment when first called. `reports`: makes reports, in any thread. `backtests`: rules tried on the archive, None where there is none. `config`: the journal entry that put city, layers
    and tiles in force; they change together. `processes`: those that a ready node consists of, beside serve itself. `past`: what replays
    read, None where there is no journal. `replay`: what these services are a replay of, None for the live ones.
    `exercises`: None where there is no journal; `running`: the exercise that goes on now."""

    city: City
    clock: CityClock
    recent: RecentEvents
    alerts: AlertsView
    publish_transition: PublishTransition
    board: HealthBoard
    quarantine: QuarantineView
    retry_record: RetryRecord
    authorize: Authorize
    version: str
    layers: Mapping[str, LayerView] = field(default_factory=dict)
    tiles: Mapping[str, TileView] = field(default_factory=dict)
    not_ready: Callable[[], Sequence[str]] = lambda: ()
    console: Path | None = None
    hosts: tuple[str, ...] = ()
    config: int = 0
    explain: Explain | None = None
    archive: Callable[[], ArchiveView] | None = None
    reports: MakeReport | None = None
    backtests: Backtests | None = None
    access_words: str = "read and write for everyone on this machine, nobody else"
    limits: Limits = field(default_factory=Limits)
    processes: tuple[str, ...] = PROCESSES
    past: Past | None = None
    replay: Callable[[], Json] | None = None
    exercises: Exercises | None = None
    running: Json | None = None
