"""A city directory in, a checked `City` out: everything wrong in it is found at once, with file and line and what would be valid."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tocsin.kernel.document import Document, read_file
from tocsin.kernel.fault import Misconfigured, Problem, nearest
from tocsin.kernel.shape import BAD, Place
from tocsin.model.baseline import read_baseline
from tocsin.model.city import City, Exercise, Layer
from tocsin.model.feed import FeedSpec
from tocsin.model.mirror import Mirror
from tocsin.model.plan import Baseline, Plan, Rate, RulePlan
from tocsin.rules.check import check_rules
from tocsin.rules.compile import compile_rule
from tocsin.rules.defaults import complete
from tocsin.rules.nodes import Rule
from tocsin.rules.parse import read_rules
from tocsin.rules.produced import produced
from tocsin.rules.zones import Shapes

from .bundle import inside, yaml_files
from .city_keys import CITY, LAYERS
from .exercises import FOLDER, read_exercises
from .feeds import read_feeds
from .ruletests import read_tests
from .zones import read_zones

_FOLDERS: Final = ("feeds", "rules", "layers", "tests", "exercises", "baselines")
_LIKE_YAML: Final = re.compile(r"\.ya?ml(\.txt)?$", re.IGNORECASE)


@dataclass(slots=True)
class Report:
    """What was found in a city directory. `city` is None when there are problems; warnings do not stop it."""

    root: Path
    city: City | None = None
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    feeds: int = 0
    rules: int = 0
    tests: int = 0

    def sort(self) -> None:
        for found in (self.problems, self.warnings):
            found.sort(key=lambda one: (one.file, one.line, one.message))


@dataclass(frozen=True, slots=True)
class Home:
    """Where the files lie that a city names. `pinned`: name -> file that stands for it, whatever the directory holds by now."""

    root: Path
    pinned: Mapping[str, Path] = field(default_factory=dict)

    def find(self, name: str) -> Path:
        path = self.root / name
        return self.pinned.get(self.name(path), path)

    def name(self, path: Path) -> str:
        """A file as the city names it."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)


def load_city(path: Path) -> City:
    """The city in this directory. Raises Misconfigured with every problem found."""
    report = read_city(path)
    if report.city is None:
        raise Misconfigured(report.problems)
    return report.city


def read_city(path: Path, home: Home | None = None, *, in_force: bool = False) -> Report:
    """Everything there is to say about a city directory; never raises for what is written in it. `home`: where its layers and recordings
    lie, when not in the directory itself. `in_force`: it has been in force once (`check_rules`)."""
    report, home = Report(path), home or Home(path)
    if not (path / "city.yaml").is_file():
        what = "has no city.yaml" if path.is_dir() else "is not a directory"
        report.problems.append(
            Problem(str(path), 0, f"{what}; a city directory holds city.yaml, feeds/*.yaml, rules/*.yaml and layers.yaml")
        )
        return report
    values, place = _one(path, "city.yaml", report)
    feeds = _feeds(path, home, report)
    layers = _layers(path, home, values["layers"] if values else "layers.yaml", place, report)
    rules, shapes = _rules(path, feeds, layers, report, in_force=in_force)
    _tests(path, rules, report)
    _exercises(path, rules, report)
    report.warnings += _strays(path, values["layers"] if values else "layers.yaml")
    report.feeds, report.rules = len(feeds), len(rules)
    baselines = _baselines(path, rules, report)
    if values:
        exercise = _exercise(values["exercise"], place, feeds, report)
        if not report.problems:
            compiled = tuple(compile_rule(rule, shapes, baselines) for rule in rules)
            report.city = _city(values, feeds, compiled, layers, exercise, home.root)
    report.sort()
    return report


def _city(
    values: dict[str, Any], feeds: list[FeedSpec], rules: tuple[RulePlan, ...], layers: list[Layer], exercise: Exercise | None, root: Path
) -> City:
    plan = Plan(rules, origin=values["centre"], timezone=values["timezone"], **values["correlation"])
    return City(
        name=values["city"],
        title=values["title"],
        timezone=values["timezone"],
        centre=values["centre"],
        zoom=values["zoom"],
        region=values["region"] or values["city"],
        feeds=tuple(feeds),
        plan=plan,
        layers=tuple(layers),
        root=root,
        exercise=exercise,
        mirror=None if values["mirror"] is None else Mirror(**values["mirror"]),
        replicas=values["journal"]["replicas"],
    )


def _one(root: Path, name: str, report: Report) -> tuple[dict[str, Any] | None, Place]:
    """The only document of city.yaml, read."""
    place = Place(name, report.problems)
    documents, problems = read_file(root / name, name)
    report.problems += problems
    if problems:
        return None, place
    if len(documents) != 1:
        report.problems.append(Problem(name, 0, f"{len(documents)} documents; exactly one is expected"))
        return None, place
    values = CITY.read(documents[0].root, place)
    return (None if values is BAD else values), place


def _files(root: Path, folder: str, report: Report) -> list[tuple[Path, str]]:
    """The folder's YAML files in order; anything that looks like one and is not read is a warning."""
    try:
        entries = sorted((root / folder).iterdir())
    except OSError as fault:
        if not (root / folder).is_symlink() and not (root / folder).exists():
            return []
        report.problems.append(Problem(folder, 0, f"cannot be read: {fault.strerror}; a directory of *.yaml files is expected here"))
        return []
    report.warnings += [Problem(f"{folder}/{path.name}", 0, words) for path in entries if (words := _overlooked(path, folder))]
    return [(path, f"{folder}/{path.name}") for path in yaml_files(root / folder)]


def _overlooked(path: Path, folder: str) -> str:
    """Why nothing comes of a file that its writer may believe to be in force."""
    if path.name.startswith("."):
        return ""
    if path.suffix == ".yaml":
        return "is empty" if path.is_file() and not path.stat().st_size else ""
    if path.is_dir():
        return f"is a directory, and what is in it is not read; put its files into {folder}/" if yaml_files(path) else ""
    return "is not read; name it .yaml" if _LIKE_YAML.search(path.name) else ""


def _strays(root: Path, layers: str) -> list[Problem]:
    """What lies beside the folders that are read and may be meant for one of them."""
    found = []
    for path in sorted(root.iterdir()):
        folder = f"{path.name.lower().rstrip('s')}s"
        if path.is_dir() and folder in _FOLDERS and path.name != folder:
            found.append(Problem(path.name, 0, f"is not read; did you mean {folder}/?"))
        elif path.is_file() and path.suffix == ".yaml" and path.name not in ("city.yaml", layers) and not path.name.startswith("."):
            found.append(Problem(path.name, 0, f"is not read; feeds are in feeds/, rules in rules/, tests in tests/, layers in {layers}"))
    return found


def _feeds(root: Path, home: Home, report: Report) -> list[FeedSpec]:
    feeds: list[FeedSpec] = []
    for path, name in _files(root, "feeds", report):
        found, problems = read_feeds(path, name)
        feeds += found
        report.problems += problems
    report.problems += _same_name(feeds, "feed")
    for spec in feeds:
        report.problems += _missing_files(home.root, spec)
        if spec.transport.name == "file_tail" and not (home.root / (name := spec.transport.options["path"])).exists():
            words = f"transport.file_tail.path: there is no file {name!r} yet, from the city directory; it is read as soon as it is there"
            report.warnings.append(Problem(spec.file, spec.line, words))
    if not feeds and not report.problems:
        report.warnings.append(Problem("feeds", 0, "no feeds: write one to feeds/NAME.yaml"))
    return feeds


def _same_name(things: Iterable[FeedSpec], noun: str) -> list[Problem]:
    first: dict[str, FeedSpec] = {}
    problems = []
    for one in things:
        other = first.setdefault(one.name, one)
        if other is not one:
            where = f"{other.file}:{other.line}"
            problems.append(
                Problem(one.file, one.line, f"{noun}: a {noun} {one.name!r} is already defined at {where}; names are unique in a city")
            )
    return problems


def _missing_files(root: Path, spec: FeedSpec) -> list[Problem]:
    if spec.transport.name != "replay":
        return []
    missing = [name for name in spec.transport.options["files"] if not (root / name).is_file()]
    if not missing:
        return []
    folder = (root / missing[0]).parent
    there = [f"{Path(missing[0]).parent.as_posix()}/{path.name}" for path in folder.iterdir()] if folder.is_dir() else []
    hint = nearest(missing[0], there) if there else f"there is no folder {Path(missing[0]).parent.as_posix()!r} in the city directory"
    return [Problem(spec.file, spec.line, f"transport.replay.files: there is no file {missing[0]!r}; {hint}")]


def _rules(root: Path, feeds: list[FeedSpec], layers: list[Layer], report: Report, *, in_force: bool) -> tuple[list[Rule], Shapes]:
    rules: list[Rule] = []
    for path, name in _files(root, "rules", report):
        found, problems = read_rules(path, name)
        rules += found
        report.problems += problems
    # A feed that could not be read may produce anything, so rules are held against the feeds only when all of them are good. A package
    # of rules for others to use has no feeds at all.
    whole = bool(feeds) and not any(problem.file.startswith("feeds/") for problem in report.problems)
    makers = [produced(spec) for spec in feeds] if whole else None
    rules = [complete(rule, makers or ()) for rule in rules]
    shapes, problems = read_zones(layers, {zones.layer for rule in rules for zones in rule.zones.values()})
    report.problems += problems
    areas = {layer.name: [zone.name for zone in shapes.get(layer.name, ())] for layer in layers if layer.kind == "polygons"}
    findings = check_rules(rules, makers, areas, in_force=in_force)
    if feeds and not rules and not report.problems:
        report.warnings.append(Problem("rules", 0, "no rules: nothing will ring; write one to rules/NAME.yaml"))
    report.problems += findings.problems
    report.warnings += findings.warnings
    return rules, shapes


def _baselines(root: Path, rules: list[Rule], report: Report) -> dict[str, Baseline]:
    """What was learnt, from `baselines/RULE.csv`; a rule without such a file uses its fixed number."""
    learnt: dict[str, Baseline] = {}
    names = {rule.name for rule in rules if isinstance(rule.when, Rate) and rule.when.baseline is not None}
    for path in sorted((root / "baselines").glob("*.csv")):
        file = f"baselines/{path.name}"
        if path.stem not in names:
            report.warnings.append(
                Problem(file, 0, f"no rule with a baseline has this name; {nearest(path.stem, names) if names else 'there is none'}")
            )
            continue
        try:
            learnt[path.stem] = read_baseline(path.read_text("utf-8"))
        except (ValueError, OSError) as fault:
            report.problems.append(Problem(file, 0, str(fault)))
    return learnt


def _layers(root: Path, home: Home, name: str, place: Place, report: Report) -> list[Layer]:
    if not inside(name):
        place.add(place.lines["layers"], f"layers: {name!r} lies outside the city directory; name a file in it, as in layers.yaml")
        return []
    if not (root / name).exists():
        if name != "layers.yaml":
            place.add(place.lines["layers"], f"layers: there is no file {name!r} in the city directory")
        return []
    documents, problems = read_file(root / name, name)
    report.problems += problems
    layers: list[Layer] = []
    for document in documents:
        layers += _layers_of(document, home, name, report)
    return layers


def _layers_of(document: Document, home: Home, name: str, report: Report) -> list[Layer]:
    place = Place(name, report.problems)
    values = LAYERS.read(document.root, place)
    layers: list[Layer] = []
    for index, one in enumerate([] if values is BAD else values, 1):
        layer = Layer(**{**one, "path": home.find(one["path"])})
        here = place.at(index, place.lines[f"[{index}]"])
        if any(other.name == layer.name for other in layers):
            here.add(here.lines[here.path], f"a layer {layer.name!r} is already defined; names are unique in a city")
        if not layer.path.is_file():
            problem = Problem(
                name, here.lines[f"{here.path}.path"], f"{here.path}.path: there is no file {one['path']!r} in the city directory"
            )
            (report.warnings if layer.kind == "tiles" else report.problems).append(problem)
        if layer.places and layer.kind == "tiles":
            here.add(here.lines[f"{here.path}.places"], "tiles have no names to say near what an alert is; use points or polygons")
        layers.append(layer)
    return layers


def _tests(root: Path, rules: list[Rule], report: Report) -> None:
    # A rule file that could not be read may hold any rule, so tests are held against the rules only when all of them are good.
    whole = not any(problem.file.startswith("rules/") for problem in report.problems)
    names = [rule.name for rule in rules] if whole else None
    for path, name in _files(root, "tests", report):
        found, problems = read_tests(path, name, names)
        report.tests += len(found)
        report.problems += problems


def _exercises(root: Path, rules: list[Rule], report: Report) -> None:
    whole = not any(problem.file.startswith("rules/") for problem in report.problems)
    names = [rule.name for rule in rules] if whole else None
    known: dict[str, str] = {}
    for path, name in _files(root, FOLDER, report):
        found, problems = read_exercises(path, name, names)
        report.problems += problems
        for one in found:
            if known.setdefault(one.name, name) != name:
                report.problems.append(Problem(name, one.line, f"exercise: {one.name!r} is already defined in {known[one.name]}"))


def _exercise(values: dict[str, Any] | None, place: Place, feeds: list[FeedSpec], report: Report) -> Exercise | None:
    if values is None:
        for spec in feeds:
            if spec.shift:
                report.problems.append(Problem(spec.file, spec.line, "shift: is for exercises, and city.yaml declares none"))
        return None
    if values["end"] <= values["start"]:
        place.add(place.lines["exercise.end"], "exercise.end: is not after its start")
        return None
    return Exercise(values["start"], values["end"], values["speed"], values["title"])
