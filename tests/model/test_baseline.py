"""Baselines as text: what is written is read again, and a person's mistakes are told with their line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.model.baseline import DAYS, read_baseline, write_baseline
from tocsin.model.operators import Learnt

numbers = st.floats(0, 1e6).map(lambda number: float(f"{number:.9g}"))
hours = st.lists(numbers, min_size=1, max_size=7).map(lambda some: tuple(some[hour % len(some)] for hour in range(168)))
learnt = st.lists(
    st.builds(Learnt, st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1), st.integers(0, 520), hours, hours),
    max_size=3,
    unique_by=lambda one: one.key,
)


@settings(deadline=None, max_examples=50)
@given(learnt)
def test_what_is_written_is_read_again(some: list[Learnt]) -> None:
    text = write_baseline(some)
    found = read_baseline(text, 3.0, 8)
    assert found.learnt == tuple(sorted(some, key=lambda one: one.key))
    assert (found.sigmas, found.weeks) == (3.0, 8)
    assert read_baseline(write_baseline(reversed(some))).digest == found.digest, "the order of keys does not matter"
    assert write_baseline(found.learnt) == text


def test_a_changed_number_changes_the_digest() -> None:
    one = Learnt("all", 6, (1.0,) * 168, (2.0,) * 168)
    text = write_baseline([one])
    assert read_baseline(text).digest != read_baseline(text.replace("all,6,Sun,23,1,2", "all,6,Sun,23,1,3")).digest


def test_a_key_with_a_missing_hour_is_not_learnt() -> None:
    lines = write_baseline([Learnt("all", 6, (1.0,) * 168, (2.0,) * 168)]).splitlines()
    assert len(lines) == 169
    assert lines[1] == f"all,6,{DAYS[0]},0,1,2"
    assert read_baseline("\n".join(lines[:-1])).learnt == ()


def test_the_fewest_weeks_of_a_key_count() -> None:
    text = write_baseline([Learnt("all", 6, (1.0,) * 168, (2.0,) * 168)]).replace("all,6,Tue", "all,3,Tue")
    assert read_baseline(text).learnt[0].weeks == 3


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1: the first line must be key,weeks,day,hour,mean,sigma"),
        ("key,weeks\n", "line 1: the first line must be key,weeks,day,hour,mean,sigma"),
        ("{head}all,6,Mon\n", "line 2: found 'all,6,Mon'; valid is for example 'all,12,Mon,0,3.25,1.09'"),
        ("{head}all,6,Mo,0,1,1\n", "line 2: found 'all,6,Mo,0,1,1'; valid is for example 'all,12,Mon,0,3.25,1.09'"),
        (
            "{head}all,6,Mon,24,1,1\n",
            "line 2: found 'all,6,Mon,24,1,1'; hours are 0 to 23, weeks and sigma not below 0, and all numbers finite",
        ),
        (
            "{head}all,6,Mon,0,nan,1\n",
            "line 2: found 'all,6,Mon,0,nan,1'; hours are 0 to 23, weeks and sigma not below 0, and all numbers finite",
        ),
        (
            "{head}all,6,Mon,0,1,-1\n",
            "line 2: found 'all,6,Mon,0,1,-1'; hours are 0 to 23, weeks and sigma not below 0, and all numbers finite",
        ),
        ("{head}all,6,Mon,0,1,1\nall,6,Mon,0,2,1\n", "line 3: all has this hour twice"),
    ],
)
def test_a_mistake_has_its_line(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match="line") as found:
        read_baseline(text.replace("{head}", "key,weeks,day,hour,mean,sigma\n"))
    assert str(found.value) == problem
