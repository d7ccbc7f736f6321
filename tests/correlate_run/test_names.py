"""Names to codes against a dict."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.correlate.kernels.doors import LIBRARY
from tocsin.correlate.names import Names, PlainNames, names_for

NAMES = st.one_of(st.none(), st.sampled_from(["", "s1", "s12", "Straße"]), st.text(max_size=3), st.integers(0, 400).map(str))


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    LIBRARY.load()


@pytest.mark.parametrize("kind", [Names, PlainNames])
@settings(deadline=None)
@given(calls=st.lists(st.tuples(st.lists(NAMES, max_size=150), st.integers(0, 3)), max_size=6))
def test_names_have_the_codes_a_dict_would_give_them(kind: type[Names | PlainNames], calls: list[tuple[list[str | None], int]]) -> None:
    oracle: dict[str | None, int] = {}
    given_out: dict[str | None, int] = {}
    names = kind(lambda name: given_out.setdefault(name, len(given_out)))
    for call, skipped in calls:
        array = pa.array([*["x" * skipped] * skipped, *call], pa.string())[skipped:]
        wanted = [oracle.setdefault(name, len(oracle)) for name in call]
        assert names.codes(array).tolist() == wanted
    assert names.nobody == oracle.get(None, len(oracle))


def test_many_names_stay_known() -> None:
    codes: dict[str | None, int] = {}
    names = Names(lambda name: codes.setdefault(name, len(codes)))
    for first in range(0, 20_000, 500):
        array = pa.array([f"sensor-{i}" for i in range(first, first + 1000)])
        assert names.codes(array).tolist() == list(range(first, first + 1000))
    assert len(codes) == 20_500


def test_the_compiled_table_is_for_those_who_run_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(names_for(lambda _: 0), Names)
    monkeypatch.setattr(LIBRARY, "_engine", None)
    assert isinstance(names_for(lambda _: 0), PlainNames)
