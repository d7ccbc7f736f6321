"""The tables of keys: editor schemas and the reference are made from them, and they agree with those who use what they let in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import bad_cities
import bad_feeds
import bad_tests
import jsonschema
import pytest

from tocsin.config.check import as_json, as_text, read_city
from tocsin.config.city_keys import EXPECTED, TEST_EVENT
from tocsin.config.feed_keys import EVENT_FIELDS, FORMATS, SELF_DESCRIBING, STORES_RAW, TRANSPORTS
from tocsin.config.feeds import parse_feeds
from tocsin.config.reference import example, pages
from tocsin.config.ruletests import parse_tests
from tocsin.config.schema import FILES, schema
from tocsin.correlate import headline
from tocsin.feeds import catalog, formats, mapping
from tocsin.kernel.document import Node, read_file, read_text
from tocsin.model.event import BASE_FIELDS
from tocsin.rules import keys, produced

ROOT = Path(__file__).parents[2]
SEATTLE = ROOT / "examples/seattle"
LIBRARY = ROOT / "examples/rules-library"


def plain(node: Node) -> Any:
    """What an editor sees: a document as JSON."""
    if isinstance(node.value, tuple):
        return [plain(one) for one in node.value]
    return node.scalar() if isinstance(node.value, str) else {key: plain(one) for key, one in node.value.items()}


def documents(text: str) -> list[Any]:
    found, problems = read_text(text, "x")
    assert problems == []
    return [plain(document.root) for document in found]


# ---- schemas ----
@pytest.mark.parametrize("name", FILES)
def test_schemas_are_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(name))
    assert json.loads(json.dumps(schema(name))) == schema(name)


@pytest.mark.parametrize("name", FILES)
def test_the_examples_are_valid_by_the_schemas(name: str) -> None:
    paths = sorted([*SEATTLE.glob(FILES[name][1]), *LIBRARY.glob(FILES[name][1])])
    assert paths
    validator = jsonschema.Draft202012Validator(schema(name))
    for path in paths:
        for document in read_file(path, path.name)[0]:
            validator.validate(plain(document.root))


@pytest.mark.parametrize(
    ("name", "base", "bad"),
    [
        ("feed", bad_feeds.BASE, ["no purpose", "sensitivity", "unknown key", "transport", "transport option", "format", "event field", "size", "priority"]),
        ("city", bad_cities.BASE, ["centre text", "speed", "key", "zoom"]),
        ("test", bad_tests.BASE, ["expected key", "at missing"]),
    ],
)  # fmt: skip
def test_schemas_refuse_what_the_check_refuses(name: str, base: str, bad: list[str]) -> None:
    validator = jsonschema.Draft202012Validator(schema(name))
    (good,) = documents(base)
    assert validator.is_valid(good)
    cases = {case[0]: case for module in (bad_feeds, bad_cities, bad_tests) for case in module.CASES if base == module.BASE}
    for wrong in bad:
        _, old, new, _ = cases[wrong]
        assert not any(validator.is_valid(document) for document in documents(base.replace(old, new))), wrong


# ---- those who use what the tables let in ----
KINDS = {
    "Text": "text",
    "Letter": "text",
    "OneOf": "text",
    "Url": "text",
    "Flag": "flag",
    "ListOf": "texts",
    "Keyed": "map",
    "Number": "count",
}


def kind_of(kind: Any) -> str:
    inner = getattr(kind, "kind", None)
    if type(kind).__name__ == "AsWritten":
        return {"Span": "span", "Size": "size", "Instant": "instant"}[type(inner).__name__]
    return KINDS[type(kind).__name__]


@pytest.mark.parametrize("name", catalog.TRANSPORTS)
def test_transport_options_are_those_the_transport_declares(name: str) -> None:
    declared = catalog.declared_options(name)
    assert {one.name: (kind_of(one.kind), one.required) for one in TRANSPORTS[name].fields} == {
        key: (option.kind, option.required) for key, option in declared.items()
    }


@pytest.mark.parametrize("name", formats.FORMATS)
def test_format_options_are_those_the_format_declares(name: str) -> None:
    declared = formats.declared_options(name)
    assert {one.name: kind_of(one.kind) for one in FORMATS[name].fields} == {key: option.kind for key, option in declared.items()}


def test_names_agree() -> None:
    assert set(TRANSPORTS) == set(catalog.TRANSPORTS)
    assert set(FORMATS) == set(formats.FORMATS)
    assert set(STORES_RAW) == set(catalog.STORES_RAW)
    assert set(EVENT_FIELDS) == set(mapping.EVENT_TYPES) == {one.name for one in BASE_FIELDS} - {"feed", "ingest_time"}
    assert set(SELF_DESCRIBING) == produced.SELF_DESCRIBING
    assert set(keys.HOLES) == set(headline.HOLES)


def test_the_feeds_of_the_seattle_example_suit_their_transports_and_formats() -> None:
    report = read_city(SEATTLE)
    assert (report.problems, report.warnings) == ([], [])
    assert report.city is not None
    assert len(report.city.feeds) == report.feeds >= 5
    for spec in report.city.feeds:
        assert catalog.problems(spec) == []
        assert formats.problems(spec) == []


# ---- the reference ----
@pytest.mark.parametrize("name", pages())
def test_generated_pages_are_current(name: str) -> None:
    assert (ROOT / name).read_text() == pages()[name], "run `python -m tocsin.config.reference`"


def test_the_example_of_a_rule_test_is_good() -> None:
    page = (ROOT / "docs/rules.md").read_text()
    (text,) = re.findall(r"^```yaml test\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    found, problems = parse_tests(text, rules=["second-smoke-sensor"])
    assert problems == []
    assert [(bool(test.fires), len(test.events)) for test in found] == [(True, 2), (False, 2)]
    for table in (TEST_EVENT, EXPECTED):
        assert all(f"`{one.name}`" in page for one in table.fields)


def test_the_example_of_the_reference_is_a_good_feed() -> None:
    (spec,), problems = parse_feeds(example())
    assert problems == []
    assert formats.problems(spec) == []
    assert catalog.problems(spec) == []


def test_the_examples_of_the_reference_are_valid() -> None:
    """Every example in the tables of transports and formats is read by its own kind."""
    from tocsin.kernel.shape import BAD, Place

    tried = 0
    for table in (*TRANSPORTS.values(), *FORMATS.values()):
        for one in table.fields:
            if one.example:
                (document,), _ = read_text(f"x: {one.example}", "x")
                assert isinstance(document.root.value, dict)
                place = Place("x")
                assert one.kind.read(document.root.value["x"], place) is not BAD, place.problems
                tried += 1
    assert tried > 10


# ---- tocsin check ----
def test_the_report_as_text_and_as_json(tmp_path: Path) -> None:
    (tmp_path / "feeds").mkdir()
    (tmp_path / "city.yaml").write_text(bad_cities.BASE.replace("title: Seattle", "titel: Seattle"))
    (tmp_path / "feeds/a.yaml").write_text(bad_feeds.BASE)
    (tmp_path / "feeds/b.yml").write_text("")
    report = read_city(tmp_path)
    assert as_text(report).splitlines() == [
        "city.yaml:1: 'title' is missing: its name for people",
        "city.yaml:2: unknown key 'titel'; did you mean 'title'? known: centre, city, correlation, exercise, journal, layers, mirror, region, timezone, title, zoom",
        "feeds/b.yml: warning: is not read; name it .yaml",
        f"{tmp_path}: 1 feed, 0 rules, 0 rule tests: 2 problems, 1 warning",
    ]
    found = as_json(report)
    assert json.loads(json.dumps(found)) == found
    assert (found["ok"], found["feeds"], len(found["problems"])) == (False, 1, 2)
    assert found["problems"][0] == {"file": "city.yaml", "line": 1, "message": "'title' is missing: its name for people"}


def test_no_message_of_the_tables_is_an_accident() -> None:
    """Every message names where it is and nothing of Python's."""
    for module in (bad_feeds, bad_cities, bad_tests):
        for _, _, _, messages in module.CASES:
            for message in messages:
                assert re.match(r"\S+\.yaml(:\d+)?: ", message)
                assert not re.search(r"\b(None|NoneType|Traceback|object|<class|dict|tuple|str)\b", message), message
