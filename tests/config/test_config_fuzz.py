"""Whatever is written in a city directory is answered with problems, never with a crash."""

from __future__ import annotations

import json
import random
from pathlib import Path

import bad_cities
import bad_feeds
import bad_tests
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.config.feeds import parse_feeds
from tocsin.config.load import load_city
from tocsin.config.ruletests import parse_tests
from tocsin.kernel.document import read_text
from tocsin.kernel.fault import Misconfigured
from tocsin.rules.produced import produced

#: A busy machine is no failure.
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def damaged(text: str, rng: random.Random, times: int) -> str:
    for _ in range(times):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice([0, 0, 1, 1, 3, 20]))
        piece = rng.choice(
            ["", text[start:end] * 2, *"{}[]:,&*!|>'\"%@#-\n\t ?~\\\x00é", "null", "true", "1e999", "-1", "9" * 400, "- ", ": ", ".inf"]
        )
        text = text[:start] + piece + text[end:]
    return text


@calm
@given(st.integers(0, 2**32), st.integers(0, 6))
def test_damaged_feeds_are_survived(seed: int, times: int) -> None:
    specs, problems = parse_feeds(damaged(bad_feeds.BASE, random.Random(seed), times))
    assert all(problem.message for problem in problems)
    for spec in specs:
        produced(spec)
        assert spec.purpose and spec.owner and spec.retention and spec.sensitivity


@calm
@given(st.integers(0, 2**32), st.integers(0, 6))
def test_damaged_tests_are_survived(seed: int, times: int) -> None:
    tests, problems = parse_tests(damaged(bad_tests.BASE, random.Random(seed), times), rules=["second-smoke"])
    assert len(tests) + len(problems) >= (times == 0)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["csv", "from", "table", "unit", "files", "id", "x", "kind"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@calm
@given(
    st.sampled_from([line.partition(":")[0] for line in bad_feeds.BASE.splitlines() if not line.startswith(" ")] + ["personal", "shift"]),
    values,
)
def test_any_value_under_a_feed_key_is_survived(key: str, value: object) -> None:
    text = "".join(
        f"{key}: {json.dumps(value)}\n" if line.startswith(f"{key}:") else line for line in bad_feeds.BASE.splitlines(keepends=True)
    )
    if key in ("transport", "format", "mapping", "attrs"):
        text = "".join(
            line
            for line in text.splitlines(keepends=True)
            if not line.startswith(" ") or key not in ("transport", "format", "mapping", "attrs")
        )
    parse_feeds(text if f"{key}:" in text else f"{text}{key}: {json.dumps(value)}\n")


def test_damaged_cities_are_survived(tmp_path: Path) -> None:
    rng = random.Random(7)
    loaded = refused = 0
    for _ in range(150):
        (tmp_path / "city.yaml").write_text(damaged(bad_cities.BASE, rng, rng.randrange(4)), errors="surrogateescape")
        try:
            load_city(tmp_path)
            loaded += 1
        except Misconfigured as fault:
            refused += 1
            assert fault.problems  # noqa: PT017
    assert loaded > 10
    assert refused > 10


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\n",  # unfolds
        "[" * 10_000,
        "{a: " * 10_000,
        "a: " + "!" * 1000,
        "!!python/object/apply:os.system ['true']",
        "? " * 2000,
        "- " * 2000,
        "\ufeff\ufeffa: b",
        "a: b\n...\n%TAG ! x\n---\n",
        "a: |9\n x",
        "<<: {a: 1}",
    ],
)
def test_hostile_yaml_is_survived(text: str) -> None:
    documents, problems = read_text(text, "x.yaml")
    assert problems or documents
    parse_feeds(text)


@calm
@given(st.text(max_size=100))
def test_any_text_is_survived(text: str) -> None:
    for parse in (parse_feeds, parse_tests):
        parse(text)
