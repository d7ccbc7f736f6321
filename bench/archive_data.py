"""A made-up city's history for the archive benchmark: one UTC day at a time, in the order it was learnt. The same arguments give the same rows.

A day has about 3 million rows: 70 % readings of 12,000 fixed sensors in 8 networks (four are asked as a whole every few minutes and say whole
seconds, four push every reading by itself with milliseconds), 25 % positions of 1,000 vehicles at work for eight hours, 5 % calls and alarms with
attributes. 12 feeds, 40 kinds. No real place, person or agency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

DAY: Final = 86_400_000_000
FIRST: Final = 1_704_067_200_000_000  # 2024-01-01
LON0, LAT0 = -74.0, 40.7
NETWORKS: Final = ("air", "weather", "river", "grid", "smoke", "noise", "pump", "radiation")
PERIODS: Final = (300, 600, 600, 900, 300, 900, 600, 300)  # seconds between two readings of a sensor
SENSORS, VEHICLES, CALLS = 12_000, 1_000, 150_000
FLEETS: Final = ("fleet.rescue", "fleet.works")
DESKS: Final = ("calls", "alarms")
STREETS: Final = ("Mill", "Harbor", "Oak", "Bridge", "Station", "Market", "North", "Hill", "Church", "Canal", "Park", "Dock")
TYPES: Final = ("medical", "fire.structure", "fire.outdoor", "alarm", "traffic", "hazmat", "water", "rescue", "outage", "other")
INSTANT: Final = pa.timestamp("us", tz="UTC")
FIXED_KINDS: Final = tuple(f"{network}.{what}" for network in NETWORKS for what in ("level", "state", "flow"))
KINDS: Final = (
    *FIXED_KINDS,
    *(f"call.{kind}" for kind in TYPES),
    *(f"alarm.{kind}" for kind in TYPES[:4]),
    "asset.position",
    "asset.status",
)


@dataclass(frozen=True, slots=True)
class City:
    """What does not change from day to day. `place`: degrees of each sensor; `kind`: index into KINDS; `phase`: seconds into its period."""

    place: NDArray[np.float64]
    kind: NDArray[np.int32]
    phase: NDArray[np.int64]
    spots: NDArray[np.float64]


def city(seed: int = 7) -> City:
    rng = np.random.default_rng(seed)
    spots = np.column_stack([LON0 + rng.uniform(-0.3, 0.3, 12), LAT0 + rng.uniform(-0.25, 0.25, 12)])
    network = np.arange(SENSORS) % 8
    kind = network * 3 + rng.choice(3, SENSORS, p=[0.6, 0.1, 0.3])
    period = np.array(PERIODS)[network]
    return City(_places(rng, spots, SENSORS), kind.astype(np.int32), (rng.random(SENSORS) * period).astype(np.int64), spots)


def day(made: City, number: int, seed: int = 7, share: float = 1.0) -> pa.Table:
    """The rows of day `number` after FIRST, in the order they were learnt. `share` of its sensors, vehicles and calls."""
    rng = np.random.default_rng([seed, number])
    start = FIRST + number * DAY
    parts = [_readings(rng, made, start, network, share) for network in range(8)]
    parts += [_positions(rng, made, start, fleet, share) for fleet in range(2)]
    parts += [_calls(rng, made, start, number, desk, share) for desk in range(2)]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name not in {"id", "attrs", "text"}}
    order = np.argsort(whole["ingest_time"], kind="stable")
    columns = {name: values[order] for name, values in whole.items()}
    return _table(columns, [pa.concat_arrays([part[name] for part in parts]).take(pa.array(order)) for name in ("id", "attrs", "text")])


def _places(rng: np.random.Generator, spots: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    near = spots[rng.integers(0, 12, count)] + rng.normal(0, 1, (count, 2)) * np.array([0.02, 0.015])
    anywhere = np.column_stack([LON0 + rng.uniform(-0.35, 0.35, count), LAT0 + rng.uniform(-0.27, 0.27, count)])
    return np.round(np.where((rng.random(count) < 0.6)[:, None], near, anywhere), 6)


def _learnt(rng: np.random.Generator, time: NDArray[np.int64]) -> NDArray[np.int64]:
    """Every reading by itself: on its way for 0.8 s in the mean; the journal joins what comes within 20 ms."""
    arrival = time + rng.exponential(0.8e6, len(time)).astype(np.int64)
    slot = arrival // 20_000
    return slot * 20_000 + (slot * 7919) % 20_000  # one moment a slot, to the microsecond


def _readings(rng: np.random.Generator, made: City, start: int, network: int, share: float) -> dict[str, Any]:
    sensors = np.arange(network, int(SENSORS * share), 8)
    period = PERIODS[network]
    rounds = 86_400 // period
    base = start + (np.arange(rounds)[:, None] * period + made.phase[sensors][None, :]) * 1_000_000
    if network < 4:
        time = base.ravel()
        learnt = np.repeat(start + (np.arange(rounds) + 1) * period * 1_000_000 + rng.integers(0, 2_000_000, rounds), len(sensors))
    else:
        time = (base + rng.integers(-1_000, 1_000, base.shape) * 1_000).ravel()
        learnt = _learnt(rng, time)
    walk = np.cumsum(rng.normal(0, 0.4, base.shape), 0) + (sensors % 40)[None, :]
    source = np.tile(sensors, rounds)
    texts = pc.binary_join_element_wise(
        pa.array(source).cast(pa.string()), pa.array(time // (1_000_000 if network < 4 else 1_000)).cast(pa.string()), "/"
    )
    ids = pc.binary_join_element_wise(pa.scalar(NETWORKS[network]), texts, "-")
    return _part(
        time, learnt, np.full(len(time), network), made.kind[source], source, made.place[source], np.round(walk, 1).ravel(), ids,
        np.where(np.abs(walk.ravel() - 20) > 21, 2, 0),
    )  # fmt: skip


def _positions(rng: np.random.Generator, made: City, start: int, fleet: int, share: float) -> dict[str, Any]:
    who = (
        np.arange(0, int(VEHICLES * share), 5) if fleet == 0 else np.setdiff1d(np.arange(int(VEHICLES * share)), np.arange(0, VEHICLES, 5))
    )
    steps = 720  # every 40 s for 8 h
    first = (rng.integers(0, 3, len(who)) * 28_800 + rng.integers(0, 40, len(who)))[None, :]
    time = start + (first + np.arange(steps)[:, None] * 40) * 1_000_000
    speed = np.abs(rng.normal(0, 1, (steps, len(who))).cumsum(0)) % 17
    heading = rng.normal(0, 0.3, (steps, len(who))).cumsum(0)
    home = _places(rng, made.spots, len(who))
    lon = home[:, 0] + (np.cos(heading) * speed * 40 / 84_000).cumsum(0) % 0.3
    lat = home[:, 1] + (np.sin(heading) * speed * 40 / 111_000).cumsum(0) % 0.2
    place = np.round(np.column_stack([lon.ravel(), lat.ravel()]), 6)
    learnt = (time.ravel() // 5_000_000 + 1) * 5_000_000 + (time.ravel() // 5_000_000 * 7919) % 90_000 + fleet
    source = np.tile(SENSORS + who, steps)
    texts = pc.binary_join_element_wise(
        pa.array(source - SENSORS).cast(pa.string()), pa.array(time.ravel() // 1_000_000).cast(pa.string()), "/"
    )
    ids = pc.binary_join_element_wise(pa.scalar("unit"), texts, "-")
    kind = np.where(np.arange(len(source)) % 50 == 0, KINDS.index("asset.status"), KINDS.index("asset.position"))
    return _part(
        time.ravel(), learnt, np.full(len(source), 8 + fleet), kind, source, place, np.round(speed, 1).ravel(), ids, np.zeros(len(source))
    )


def _calls(rng: np.random.Generator, made: City, start: int, number: int, desk: int, share: float) -> dict[str, Any]:
    count = int(CALLS * share) // 2
    time = np.sort(start + rng.integers(0, 86_400, count) * 1_000_000)
    what = rng.choice(10 if desk == 0 else 4, count, p=None if desk else [0.5, 0.03, 0.07, 0.12, 0.12, 0.02, 0.02, 0.04, 0.03, 0.05])
    source = SENSORS + VEHICLES + rng.integers(0, 7_000, count)
    place = _places(np.random.default_rng(11), made.spots, 7_000)[source - SENSORS - VEHICLES]
    streets = [f"{STREETS[one % 12]} St" for one in range(7_000)]
    address = [f"{(one - SENSORS - VEHICLES) % 97 * 100 + 1} {streets[one - SENSORS - VEHICLES]}" for one in source.tolist()]
    priority = rng.integers(1, 6, count).tolist()
    attrs = [f'{{"type":"{TYPES[t]}","priority":{p},"address":"{a}"}}' for t, p, a in zip(what.tolist(), priority, address, strict=True)]
    text = [f"{TYPES[t]} at {a}" for t, a in zip(what.tolist(), address, strict=True)] if desk == 0 else [None] * count
    ids = pa.array([f"{'FA'[desk]}{26_000_000_000 + number * CALLS + one}" for one in range(count)])
    kind = KINDS.index("call.medical" if desk == 0 else "alarm.medical") + what
    part = _part(
        time, _learnt(rng, time), np.full(count, 10 + desk), kind, source, place, np.full(count, np.nan), ids, rng.integers(0, 5, count)
    )
    return part | {"attrs": pa.array(attrs), "text": pa.array(text, pa.string())}


def _part(
    time: NDArray[Any], learnt: NDArray[Any], feed: NDArray[Any], kind: NDArray[Any], source: NDArray[Any], place: NDArray[Any],
    value: NDArray[Any], ids: pa.Array, severity: NDArray[Any],
) -> dict[str, Any]:  # fmt: skip
    none = pa.nulls(len(time), pa.string())
    return {
        "event_time": time, "ingest_time": learnt, "feed": feed, "kind": kind, "source": source, "lon": place[:, 0], "lat": place[:, 1],
        "value": value, "severity": severity, "id": ids, "attrs": none, "text": none,
    }  # fmt: skip


SOURCES: Final = (
    *(f"{NETWORKS[one % 8]}-{one}" for one in range(SENSORS)),
    *(f"unit-{one}" for one in range(VEHICLES)),
    *(f"place-{one}" for one in range(7_000)),
)


def _table(columns: dict[str, NDArray[Any]], texts: list[pa.Array]) -> pa.Table:
    def names(codes: NDArray[Any], words: tuple[str, ...]) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(words))

    count = len(columns["feed"])
    none = np.isnan(columns["value"])
    ids, attrs, text = texts
    return pa.table(
        {
            "event_time": pa.array(columns["event_time"], INSTANT),
            "ingest_time": pa.array(columns["ingest_time"], INSTANT),
            "feed": names(columns["feed"], (*NETWORKS, *FLEETS, *DESKS)),
            "kind": names(columns["kind"], KINDS),
            "source": names(columns["source"], SOURCES),
            "id": ids,
            "lon": pa.array(columns["lon"]),
            "lat": pa.array(columns["lat"]),
            "value": pa.array(columns["value"], mask=none),
            "severity": pa.array(columns["severity"].astype(np.int8)),
            "action": pa.array(np.zeros(count, np.int8)),
            "attrs": attrs,
            "text": text,
        }
    )
