"""The table of formats: lazy, complete, with options and problems that `check` can print; and `feed try`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from format_specs import BASIC, READING, feed, jsonl

from tocsin.feeds import formats
from tocsin.feeds.tryfile import describe
from tocsin.kernel.fault import Misconfigured
from tocsin.model.feed import FieldMap
from tocsin.model.time import DAY


def test_every_module_of_the_table_is_a_format() -> None:
    for name in formats.FORMATS:
        module = formats._module(name)
        assert callable(module.decode)
        assert callable(module.defaults)
        assert isinstance(module.FLAT, bool)
        assert (module.__doc__ or "").strip()
        assert all(option.words for option in formats.declared_options(name).values())


def test_every_format_module_is_in_the_table_or_a_helper() -> None:
    helpers = {"__init__", "options", "lines", "cap_area", "cap_check", "arrow_limits"}
    files = {path.stem for path in Path(formats.__file__).parent.glob("*.py")}
    assert files - helpers == {module.rpartition(".")[2] for module in formats.FORMATS.values()}


def test_importing_the_table_imports_no_format() -> None:
    code = "import sys, tocsin.feeds.formats as f; assert not set(f.FORMATS.values()) & set(sys.modules), sorted(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_formats_and_options_name_the_known_ones() -> None:
    with pytest.raises(Misconfigured, match="did you mean 'ndjson'"):
        formats.make_format(feed("ndjsn", BASIC))
    assert formats.problems(feed("ndjson", BASIC, {"longest_lien": "1 MB"})) == [
        "the ndjson format has no option 'longest_lien'; did you mean 'longest_line'? known: longest_line"
    ]
    assert formats.problems(feed("arrow", {}, {"x": 1})) == ["the arrow format has no option 'x'; it has none"]
    assert formats.problems(feed("ndjson", BASIC, {"longest_line": "2 MB"})) == []
    assert "size" in formats.problems(feed("ndjson", BASIC, {"longest_line": "big"}))[0]


def test_how_a_growing_file_may_be_cut() -> None:
    cuts = {name: formats.framing(feed(name)) for name in formats.FORMATS}
    assert cuts == {
        "csv": "header",
        "json": "whole",
        "ndjson": "line",
        "cloudevents": "whole",
        "geojson": "whole",
        "cap": "whole",
        "arrow": "whole",
    }
    assert formats.framing(feed("csv", {}, {"columns": ["a"]})) == "line"


def test_a_description_has_only_the_columns_that_say_something() -> None:
    spec = feed("ndjson", {**BASIC, "severity": FieldMap(path="level")}, attrs={"open": FieldMap(path="open", as_type="boolean")})
    found = describe(
        spec, jsonl({**READING, "level": "severe", "open": True}, {**READING, "id": "b", "value": None}, {**READING, "lat": 95})
    )
    assert found.columns == ("id", "kind", "source", "event_time", "lon", "lat", "value", "unit", "severity", "action", "attrs.open")
    assert found.rows[0] == {
        "id": "a1", "kind": "fire.smoke", "source": "s1", "event_time": "2025-12-15T21:05:00Z", "lon": "-122.3", "lat": "47.6", "value": "12.5",
        "unit": "ug/m3", "severity": "severe", "action": "report", "attrs.open": "true",
    }  # fmt: skip
    assert "value" not in found.rows[1]
    (refused,) = found.refused
    assert (refused.index, refused.where) == (2, "line 3, lon, lat")
    assert refused.raw.startswith('{"id"')
    assert found.notes == ("text is mapped but null in every record; check its path",)


def test_a_description_of_an_area_and_of_an_exercise() -> None:
    spec = feed("ndjson", {**BASIC, "area": FieldMap(path="area")}, shift=2 * DAY)
    found = describe(spec, jsonl({**READING, "area": "POLYGON((1 1, 2 1, 2 2.5, 1 1))", "note": "x"}))
    assert found.rows[0]["area"] == "polygon of 4 corners, 1..2 E, 1..2.5 N"
    assert found.notes == ("exercise: times are shifted by 2 d; the first was written as 2025-12-15T21:05:00Z",)


def test_a_description_of_a_message_refused_as_a_whole() -> None:
    found = describe(feed("json", BASIC), b"{")
    assert found.rows == ()
    assert found.refused[0].index is None
    assert "not JSON" in found.refused[0].reason


def test_a_description_shows_no_bytes_of_a_feed_with_personal_fields() -> None:
    found = describe(feed("ndjson", BASIC, personal=("phone",)), jsonl({**READING, "lat": 95, "phone": "5550123"}))
    assert "5550123" not in str(found)


def test_a_wrong_mapping_is_said_before_anything_is_decoded() -> None:
    with pytest.raises(Misconfigured, match="IANA"):
        describe(feed("ndjson", {**BASIC, "event_time": FieldMap(path="time", zone="Mars")}), b"")
