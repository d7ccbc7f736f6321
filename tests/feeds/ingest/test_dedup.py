"""Idempotence: what is the same, what is a conflict, and what counts as known when."""

import asyncio

import pyarrow as pa
import pytest
from house import START, batch, line
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.feeds.dedup import CONFLICT, DUPLICATE, FRESH, Dedup
from tocsin.feeds.fingerprint import prints
from tocsin.model.event import BASE_FIELDS
from tocsin.model.time import HOUR

RECORDS = st.fixed_dictionaries(
    {"id_": st.sampled_from("abcd"), "t": st.integers(START, START + 2)},
    optional={"value": st.sampled_from([0.0, 1.5, None]), "text": st.sampled_from(["", "x", None]), "attr": st.sampled_from(["1", None])},
)


async def give(dedup: Dedup, rows: pa.RecordBatch, now: int = START) -> list[int]:
    claim = await dedup.claim(rows)
    claim.keep(now)
    return claim.status.tolist()


@settings(deadline=None)
@given(st.lists(st.lists(RECORDS, min_size=1, max_size=5), max_size=8))
def test_every_record_is_judged_like_an_oracle_of_first_contents(batches):
    async def play():
        dedup, first = Dedup(), {}
        for records in batches:
            expected = []
            for record in records:
                said = tuple(record.get(name) for name in ("t", "value", "text", "attr"))
                known = first.setdefault(record["id_"], said) if record["id_"] in first else None
                first.setdefault(record["id_"], said)
                expected.append(FRESH if known is None else DUPLICATE if known == said else CONFLICT)
            assert await give(dedup, batch(*(line(**record) for record in records))) == expected

    asyncio.run(play())


@pytest.mark.parametrize("field", [field.name for field in BASE_FIELDS if field.name not in ("id", "feed", "ingest_time")] + ["attrs"])
def test_every_field_counts_as_content(field):
    one = batch(line("a", value=1.0, text="x", attr="1"))
    values = {
        "kind": "water.flow", "source": "s2", "event_time": START + 1, "lon": 8.0, "lat": 50.0, "area": b"\x01", "valid_until": START,
        "value": 2.0, "unit": "cm", "severity": 2, "action": 1, "refers_to": "b", "text": "y", "attrs": {"phone": "2"},
    }  # fmt: skip
    row = one.to_pylist()[0] | {field: values[field]}
    other = pa.RecordBatch.from_pylist([row], one.schema)
    assert prints(one).contents[0] != prints(other).contents[0]
    assert prints(one).keys[0] == prints(other).keys[0]


def test_ingest_time_dictionaries_and_slices_do_not_change_content():
    rows = batch(*(line(str(n), value=float(n), text=f"t{n}", source="s", attr=str(n)) for n in range(9)))
    stamped = rows.set_column(5, "ingest_time", pa.array([START] * 9, rows.schema.field("ingest_time").type))
    other_codes = pa.concat_batches([batch(line("z", kind="zzz", source="other")), rows])
    expected = prints(rows).contents.tolist()
    assert prints(stamped).contents.tolist() == expected
    assert prints(other_codes.slice(1)).contents.tolist() == expected
    assert prints(rows.slice(4, 3)).contents.tolist() == expected[4:7]


def test_a_column_of_nulls_says_the_same_as_a_null_between_values():
    alone = batch(line("a"))
    between = batch(line("a"), line("b", value=1.0, text="x", source="s", attr="1"))
    assert prints(alone).contents[0] == prints(between).contents[0]


async def test_a_second_delivery_waits_until_the_first_is_durable():
    dedup = Dedup()
    first = await dedup.claim(batch(line("a"), line("b")))
    second = asyncio.create_task(give(dedup, batch(line("b"), line("c"))))
    unrelated = await give(dedup, batch(line("x")))
    await asyncio.sleep(0)
    assert unrelated == [FRESH]
    assert not second.done()
    first.keep(START)
    assert await second == [DUPLICATE, FRESH]


async def test_an_id_is_forgotten_when_its_append_failed():
    dedup = Dedup()
    first = await dedup.claim(batch(line("a")))
    waiting = asyncio.create_task(give(dedup, batch(line("a"))))
    await asyncio.sleep(0)
    first.forget()
    assert await waiting == [FRESH]
    assert await give(dedup, batch(line("a"))) == [DUPLICATE]


async def test_two_deliveries_with_crossed_ids_never_wait_for_each_other():
    dedup = Dedup()
    first = await dedup.claim(batch(line("a")))
    crossed = [asyncio.create_task(give(dedup, batch(line(x), line(y), line("a")))) for x, y in ("bc", "cb")]
    await asyncio.sleep(0)
    first.keep(START)
    done = await asyncio.wait_for(asyncio.gather(*crossed), 60)
    assert sorted(map(sorted, done)) == [[FRESH, FRESH, DUPLICATE], [DUPLICATE] * 3]


async def test_memory_is_bounded_by_count_and_keeps_the_newest():
    dedup = Dedup(limit=100)
    for start in range(0, 1000, 50):
        await give(dedup, batch(*(line(str(n)) for n in range(start, start + 50))))
    assert len(dedup) <= 250
    assert await give(dedup, batch(*(line(str(n)) for n in range(900, 1000)))) == [DUPLICATE] * 100
    assert await give(dedup, batch(line("0"))) == [FRESH]


async def test_ids_not_heard_for_twice_the_horizon_are_forgotten_and_heard_ones_stay():
    dedup = Dedup(horizon=HOUR)
    await give(dedup, batch(line("old"), line("polled")))
    for hour in range(1, 5):
        status = await give(dedup, batch(line("polled"), line(f"new {hour}")), START + hour * HOUR)
        assert status == [DUPLICATE, FRESH]
    assert await give(dedup, batch(line("old")), START + 5 * HOUR) == [FRESH]


async def test_what_the_journal_holds_is_known_after_a_restart():
    dedup = Dedup()
    dedup.remember(batch(line("a", value=1.0), line("a", value=1.0)), START)
    assert await give(dedup, batch(line("a", value=1.0), line("a", value=2.0))) == [DUPLICATE, CONFLICT]
