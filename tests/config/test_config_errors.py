"""Every mistake in a city directory says file, line, what was found and what would be valid: the exact text, for tables of mistakes."""

from __future__ import annotations

import shutil
from pathlib import Path

import bad_cities
import bad_feeds
import bad_tests
import pytest

from tocsin.app.backtest_run import setting_of
from tocsin.app.inforce import InForce, setting
from tocsin.config.bundle import texts_of
from tocsin.config.feeds import parse_feeds
from tocsin.config.load import load_city, read_city
from tocsin.config.ruletests import load_tests, parse_tests
from tocsin.kernel.fault import Misconfigured

Case = tuple[str, str, str, list[str]]


def table(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("old", "new", "expected"), [case[1:] for case in cases], ids=[case[0] for case in cases])


def edited(base: str, old: str, new: str) -> str:
    assert base.count(old) == 1
    return base.replace(old, new)


def feed_messages(text: str) -> list[str]:
    return [str(problem) for problem in parse_feeds(text, "f.yaml")[1]]


def test_the_feed_that_the_table_edits_is_good() -> None:
    specs, problems = parse_feeds(bad_feeds.BASE, "f.yaml")
    assert problems == []
    assert [spec.name for spec in specs] == ["river.level"]


@table(bad_feeds.CASES)
def test_a_mistake_in_a_feed_is_explained(old: str, new: str, expected: list[str]) -> None:
    assert feed_messages(edited(bad_feeds.BASE, old, new)) == expected


@pytest.mark.parametrize("key", ["purpose", "owner", "retention", "sensitivity"])
def test_a_feed_without_what_the_law_asks_is_refused(key: str) -> None:
    lines = [line for line in bad_feeds.BASE.splitlines(keepends=True) if not line.startswith(f"{key}:")]
    specs, problems = parse_feeds("".join(lines), "f.yaml")
    assert specs == []
    assert [problem.message.partition(":")[0] for problem in problems] == [f"{key!r} is missing"]


@table(bad_cities.CASES)
def test_a_mistake_in_city_yaml_is_explained(old: str, new: str, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "city.yaml").write_text(edited(bad_cities.BASE, old, new))
    with pytest.raises(Misconfigured) as caught:
        load_city(tmp_path)
    assert [str(problem) for problem in caught.value.problems] == expected


@table(bad_tests.CASES)
def test_a_mistake_in_a_rule_test_is_explained(old: str, new: str, expected: list[str]) -> None:
    assert [str(problem) for problem in parse_tests(edited(bad_tests.BASE, old, new), "t.yaml", ["second-smoke"])[1]] == expected


# ---- mistakes between files ----
@pytest.fixture
def city(tmp_path: Path) -> Path:
    write(tmp_path, "city.yaml", bad_cities.BASE)
    write(tmp_path, "feeds/a.yaml", bad_feeds.BASE)
    write(tmp_path, "rules/a.yaml", RULE)
    return tmp_path


RULE = """\
rule: high
title: High
why: Floods.
when:
  match: {of: water.level where value >= 4 m}
alert:
  headline: "High {place}"
"""


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def problems(root: Path) -> list[str]:
    return [str(problem) for problem in read_city(root).problems]


def warnings(root: Path) -> list[str]:
    report = read_city(root)
    assert report.problems == []
    return [str(warning) for warning in report.warnings]


def test_a_small_city_is_good(city: Path) -> None:
    assert problems(city) == []
    assert warnings(city) == []
    loaded = load_city(city)
    assert (loaded.name, loaded.region, loaded.root, loaded.centre) == ("seattle", "seattle", city, (-122.3321, 47.6062))
    assert loaded.plan.origin == loaded.centre
    assert (loaded.plan.delay, loaded.plan.lateness, loaded.plan.skew) == (5_000_000, 600_000_000, 30_000_000)
    assert [rule.file for rule in loaded.plan.rules] == ["rules/a.yaml"]


def test_what_a_feed_does_not_say_about_its_clock_the_city_says(city: Path) -> None:
    """Both ways by which the engine is told: of a running node, and of a back-test. The feed's own word goes before the city's."""
    write(city, "city.yaml", bad_cities.BASE + "correlation: {lateness: 20 min, skew: 2 min}\n")
    write(city, "feeds/b.yaml", bad_feeds.BASE.replace("river.level", "trusted", 1) + "lateness: 3 h\nskew: 1 h\n")
    loaded = load_city(city)
    assert (loaded.plan.lateness, loaded.plan.skew) == (1_200_000_000, 120_000_000)
    for told in (setting(InForce(loaded, 0, "")), setting_of(loaded, loaded.plan)):
        assert (told.lateness, told.skews) == ({"trusted": 10_800_000_000}, {"trusted": 3_600_000_000})


def test_two_feeds_of_one_name(city: Path) -> None:
    write(city, "feeds/b.yaml", "# copied\n" + bad_feeds.BASE)
    assert problems(city) == ["feeds/b.yaml:2: feed: a feed 'river.level' is already defined at feeds/a.yaml:1; names are unique in a city"]


def test_two_rules_of_one_name(city: Path) -> None:
    write(city, "rules/b.yaml", RULE)
    assert problems(city) == ["rules/b.yaml:1: rule: a rule 'high' is already defined at rules/a.yaml:1; names are unique in a city"]


def test_a_rule_with_impossible_units(city: Path) -> None:
    write(city, "rules/a.yaml", RULE.replace("4 m", "150 ug/m3"))
    assert problems(city) == [
        (
            "rules/a.yaml:5: when.match.of: value is compared in ug/m3 (mass concentration), but water.level is measured in cm (length)"
            " by the feed river.level; write for example value >= 20 cm"
        )
    ]


def test_rules_are_not_held_against_feeds_that_could_not_be_read(city: Path) -> None:
    write(city, "rules/a.yaml", RULE.replace("4 m", "150 ug/m3"))
    write(city, "feeds/a.yaml", bad_feeds.BASE.replace("owner", "ownr"))
    assert [line.partition(":")[0] for line in problems(city)] == ["feeds/a.yaml", "feeds/a.yaml"]


def test_every_file_is_read_before_anything_is_said(city: Path) -> None:
    write(city, "city.yaml", bad_cities.BASE.replace("title", "titel"))
    write(city, "feeds/a.yaml", "- no\n")
    write(city, "rules/a.yaml", "rule: [")
    write(city, "tests/a.yaml", "test: x\n")
    found = [line.partition(":")[0] for line in problems(city)]
    assert sorted(set(found)) == ["city.yaml", "feeds/a.yaml", "rules/a.yaml", "tests/a.yaml"]
    assert found == sorted(found)


def test_a_kind_that_no_feed_produces_is_only_doubted(city: Path) -> None:
    write(city, "rules/a.yaml", RULE.replace("water.level", "water.levle"))
    assert warnings(city) == [
        "rules/a.yaml:5: when.match.of: no feed produces 'water.levle'; did you mean 'water.level'? known: water.level"
    ]


def test_a_recorded_file_that_is_missing(city: Path) -> None:
    replay = bad_feeds.BASE.replace("webhook: {max_body: 1 MB}", "replay: {files: [recorded/calls.json]}")
    write(city, "feeds/a.yaml", replay)
    line = "feeds/a.yaml:1: transport.replay.files: there is no file 'recorded/calls.json'; "
    assert problems(city) == [line + "there is no folder 'recorded' in the city directory"]
    write(city, "recorded/call.json", "[]")
    assert problems(city) == [line + "did you mean 'recorded/call.json'? known: recorded/call.json"]


def test_a_shift_without_an_exercise(city: Path) -> None:
    write(city, "feeds/a.yaml", bad_feeds.BASE + "shift: -28 days\n")
    assert problems(city) == []
    write(city, "city.yaml", "".join(line for line in bad_cities.BASE.splitlines(keepends=True) if not line.startswith("exercise")))
    assert problems(city) == ["feeds/a.yaml:1: shift: is for exercises, and city.yaml declares none"]


def test_layers(city: Path) -> None:
    good = "- {name: a, title: A, kind: points, path: layers/a.geojson, licence: CC0}\n"
    write(
        city,
        "layers.yaml",
        good + good.replace("layers/a", "layers/b") + "- {name: c, title: C, kind: tiles, path: c.pmtiles, licence: CC0, places: true}\n",
    )
    write(city, "layers/a.geojson", "{}")
    report = read_city(city)
    assert [str(problem) for problem in report.problems] == [
        "layers.yaml:2: [2].path: there is no file 'layers/b.geojson' in the city directory",
        "layers.yaml:2: [2]: a layer 'a' is already defined; names are unique in a city",
        "layers.yaml:3: [3]: tiles have no names to say near what an alert is; use points or polygons",
    ]
    assert [str(warning) for warning in report.warnings] == ["layers.yaml:3: [3].path: there is no file 'c.pmtiles' in the city directory"]
    write(city, "layers.yaml", good)
    (layer,) = load_city(city).layers
    assert (layer.name, layer.path, layer.name_field, layer.places) == ("a", city / "layers/a.geojson", "name", False)


def test_files_that_are_not_read_are_pointed_out(city: Path) -> None:
    write(city, "feeds/c.yml", bad_feeds.BASE)
    assert warnings(city) == ["feeds/c.yml: is not read; name it .yaml"]


def test_a_directory_that_is_no_city(tmp_path: Path) -> None:
    words = "a city directory holds city.yaml, feeds/*.yaml, rules/*.yaml and layers.yaml"
    assert problems(tmp_path) == [f"{tmp_path}: has no city.yaml; {words}"]
    assert problems(tmp_path / "x") == [f"{tmp_path / 'x'}: is not a directory; {words}"]


def test_files_that_are_not_text(city: Path) -> None:
    (city / "feeds/a.yaml").write_bytes(b"feed: a\ntitle: \xff\n")
    (city / "rules/a.yaml").write_bytes(b"rule: \x00\n")
    (city / "rules/b.yaml").mkdir()
    (city / "rules/c.yaml").write_bytes("\ufeff".encode() + RULE.encode("utf-8"))
    assert problems(city) == [
        "feeds/a.yaml:2: byte 0xff is not UTF-8; save the file as UTF-8",
        "rules/a.yaml:1: is not YAML: a control character, which YAML does not allow",
        "rules/b.yaml: cannot be read: Is a directory",
    ]


def test_a_file_that_is_too_large(city: Path) -> None:
    with (city / "rules/a.yaml").open("ab") as file:
        file.truncate((16 << 20) + 1)
    assert problems(city) == ["rules/a.yaml: is larger than 16 MB; split it"]


def test_rule_tests_of_a_city(city: Path) -> None:
    write(city, "tests/a.yaml", bad_tests.BASE.replace("second-smoke", "high"))
    assert problems(city) == []
    (test,) = load_tests(city, ["high"])
    assert [(event.at, event.arrives, event.east, event.value, event.unit, event.id) for event in test.events] == [
        (0, 0, 0.0, 180.0, "ug/m3", "event-1"),
        (300_000_000, 180_000_000, 120.0, 180.0, "ug/m3", "x"),
    ]
    assert [(expected.at, expected.sources, expected.count, expected.line) for expected in test.fires] == [(300_000_000, 2, None, 7)]
    assert test.runs == 480_000_000 + 86_400_000_000
    with pytest.raises(Misconfigured, match="there is no rule 'high'; did you mean 'hihg'"):
        load_tests(city, ["hihg"])


def test_what_is_written_and_not_read_is_pointed_out(city: Path) -> None:
    """By an editor for another system, into a folder of another name, one folder too deep, beside the folders."""
    for name in ("feeds/b.yaml.txt", "rules/B.YAML", "rules/old/c.yaml", "Rules/d.yaml", "test/e.yaml", "rules.yaml"):
        write(city, name, "rule: x\n")
    assert warnings(city) == [
        "Rules: is not read; did you mean rules/?",
        "feeds/b.yaml.txt: is not read; name it .yaml",
        "rules.yaml: is not read; feeds are in feeds/, rules in rules/, tests in tests/, layers in layers.yaml",
        "rules/B.YAML: is not read; name it .yaml",
        "rules/old: is a directory, and what is in it is not read; put its files into rules/",
        "test: is not read; did you mean tests/?",
    ]


def test_leavings_of_editors_and_file_managers_are_left_alone(city: Path) -> None:
    (city / "feeds/._a.yaml").write_bytes(b"\x00\x05\x16\x07")
    (city / "rules/.#a.yaml").symlink_to("somebody@somewhere")
    assert warnings(city) == []
    assert texts_of(city).keys() == {"city.yaml", "feeds/a.yaml", "rules/a.yaml"}


def test_a_file_where_a_folder_should_be_and_the_other_way_round(city: Path) -> None:
    shutil.rmtree(city / "rules")
    write(city, "rules", RULE)
    (city / "layers.yaml").mkdir()
    assert problems(city) == [
        "layers.yaml: cannot be read: Is a directory",
        "rules: cannot be read: Not a directory; a directory of *.yaml files is expected here",
    ]


def test_layers_that_lie_elsewhere_are_no_part_of_the_city(city: Path) -> None:
    write(city.parent, "shared.yaml", "[]")
    write(city, "city.yaml", bad_cities.BASE + "layers: ../shared.yaml\n")
    assert problems(city) == ["city.yaml:6: layers: '../shared.yaml' lies outside the city directory; name a file in it, as in layers.yaml"]
    assert "city.yaml" in texts_of(city)


def test_a_text_that_is_no_utf_8_is_told_with_its_line_wherever_it_is_read(city: Path) -> None:
    write(city, "baselines/calls.csv", "key\n")
    (city / "baselines/calls.csv").write_bytes(b"key\nStra\xdfe\n")
    with pytest.raises(Misconfigured) as caught:
        texts_of(city)
    assert str(caught.value) == "baselines/calls.csv:2: byte 0xdf is not UTF-8; save the file as UTF-8"
    (city / "notes.yaml").write_bytes(b"Stra\xdfe\n")
    (city / "baselines/calls.csv").unlink()
    assert "notes.yaml" not in texts_of(city)


def test_files_of_which_nothing_comes(city: Path) -> None:
    write(city, "rules/b.yaml", "")
    assert warnings(city) == ["rules/b.yaml: is empty"]
    shutil.rmtree(city / "rules")
    (city / "rules").symlink_to("elsewhere")
    assert problems(city) == ["rules: cannot be read: No such file or directory; a directory of *.yaml files is expected here"]


def test_times_that_would_all_be_refused(city: Path) -> None:
    write(city, "feeds/a.yaml", bad_feeds.BASE.replace("formats: [epoch_ms]", "formats: ['%d.%m.%Y %H:%M']"))
    (told,) = problems(city)
    assert told.endswith("says no offset from UTC, and every time would be refused; write zone, as in zone: America/Los_Angeles")
    assert told.startswith("feeds/a.yaml:15: mapping.event_time: %d.%m.%Y %H:%M says")
