"""A city's configuration as a journal entry keeps it: the same city comes out, whatever the directory holds by then."""

from __future__ import annotations

import zlib
from pathlib import Path

import bad_cities
import bad_feeds
import pytest

from tocsin.config.bundle import Bundle, decode, pinned, texts_of
from tocsin.config.load import load_city
from tocsin.kernel.fault import Fatal

LAYER = "- {name: a, title: A, kind: points, path: ./deep/a.geojson, licence: CC0}\n- {name: t, title: T, kind: tiles, path: t.pmtiles, licence: CC0}\n"
RULE = """
rule: any
title: Überall
why: because
when:
  match: {of: river}
alert:
  severity: minor
  headline: "x"
"""


@pytest.fixture
def city(tmp_path: Path) -> Path:
    root = tmp_path / "city"
    for name, text in {
        "city.yaml": bad_cities.BASE,
        "feeds/a.yaml": bad_feeds.BASE,
        "rules/r.yaml": RULE,
        "layers.yaml": LAYER,
        "deep/a.geojson": "{}",
        "t.pmtiles": "",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_the_same_city_comes_out(city: Path, tmp_path: Path) -> None:
    loaded, contents = load_city(city), tmp_path / "contents"
    bundle = pinned(Bundle(texts_of(city)), loaded, contents)
    again = decode(bundle.encode())
    assert again == bundle and again.version == bundle.version and len(again.version) == 16
    assert list(bundle.layers) == ["deep/a.geojson"]
    for path in [*city.glob("*.yaml"), *city.glob("*/*.yaml"), city / "deep" / "a.geojson"]:
        path.unlink()
    found = again.read(city, contents).city
    assert found is not None
    assert (found.plan, found.feeds, found.root, found.name) == (loaded.plan, loaded.feeds, loaded.root, loaded.name)
    points, tiles = found.layers
    assert points.path.suffix == ".geojson"
    assert (points.path.parent, points.path.read_text(), tiles.path) == (contents, "{}", city / "t.pmtiles")


def test_every_byte_counts(city: Path, tmp_path: Path) -> None:
    def version() -> str:
        return pinned(Bundle(texts_of(city)), load_city(city), tmp_path / "contents").version

    first = version()
    (city / "deep" / "a.geojson").write_text("{ }")
    second = version()
    (city / "rules" / "r.yaml").write_text(RULE + "# a remark\n")
    third = version()
    (city / "deep" / "a.geojson").write_text("{}")
    (city / "rules" / "r.yaml").write_text(RULE)
    assert len({first, second, third}) == 3 and version() == first
    (city / "baselines").mkdir()
    (city / "baselines" / "calls.csv").write_text("learnt")
    assert "baselines/calls.csv" in texts_of(city)
    (city / "baselines" / "calls.csv").unlink()
    (city / "t.pmtiles").write_text("other tiles")
    assert version() == first


def test_problems_name_the_file_as_the_city_does(city: Path) -> None:
    (city / "rules" / "r.yaml").write_text(RULE.replace("match", "mtach"))
    report = Bundle(texts_of(city)).read(city)
    assert report.city is None and report.root == city
    assert [problem.file for problem in report.problems] == ["rules/r.yaml"]


def test_what_was_in_force_is_read_although_it_would_be_refused_today(city: Path) -> None:
    """A journal begins with what its city declared then; an upgrade that looks closer must not keep it from being read."""
    useless = RULE.replace('headline: "x"', 'headline: "x"\n  per: {hold: 1 h, same: attrs.nobody}').replace(
        "of: river", "of: 'water.level where severity > extreme'"
    )
    (city / "rules" / "r.yaml").write_text(useless)
    bundle = Bundle(texts_of(city))
    today, then = bundle.read(city), bundle.read(city, in_force=True)
    assert today.city is None and then.city is not None
    assert [one.message.partition(":")[0] for one in today.problems] == ["when.match.of", "alert.per.same"]
    assert set(today.problems) <= set(then.warnings) and not then.problems


@pytest.mark.parametrize("content", [b"", b"x", zlib.compress(b"{}"), zlib.compress(b"[]"), zlib.compress(b'{"texts": {}}')], ids=range(5))
def test_what_is_no_configuration_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(Fatal, match="cannot be read"):
        decode(content)
