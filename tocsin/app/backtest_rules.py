"""The rules of a back-test: one of the city's, another version of it from a file, and the same rule with one number changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tocsin.config.bundle import Bundle
from tocsin.kernel.document import Document, Node, read_file, read_text
from tocsin.kernel.fault import Fatal, Misconfigured, Problem, nearest
from tocsin.model.city import City
from tocsin.model.plan import Plan, RulePlan
from tocsin.query.backtest.sweep import Sweep

from .inforce import gather
from .ruletests import needed

_NUMBER: Final = r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
#: Where texts of variants stand among the rules of the city.
_BESIDE: Final = "rules/~backtest.yaml"


@dataclass(frozen=True, slots=True)
class Rules:
    """`city`: as it is. `bundle`: its texts. `rule`: the one asked about."""

    city: City
    bundle: Bundle
    root: Path
    rule: RulePlan

    def plan(self, rule: RulePlan) -> Plan:
        """The rule and the rules whose alerts it reads or folds under, with the city's time settings."""
        others = [one for one in self.city.plan.rules if one.name != rule.name]
        names = needed(rule.name, [rule, *others])
        return replace(self.city.plan, rules=tuple(one for one in (*others, rule) if one.name in names))


def find(root: Path, name: str) -> Rules:
    """The city in a directory and one of its rules, or the rule of a file as if it were the city's. Raises Misconfigured, Fatal."""
    city, bundle = _city(root)
    known = {rule.name: rule for rule in city.plan.rules}
    if name in known:
        return Rules(city, bundle, root, known[name])
    if not Path(name).is_file():
        raise Fatal(f"there is no rule and no file {name!r} in {root}; {_nearest(name, known)}")
    return Rules(city, bundle, root, _of_file(bundle, root, name, ""))


def other(rules: Rules, named: str) -> RulePlan:
    """The version to compare with: a file with one rule, or another rule of the city. Raises Misconfigured, Fatal."""
    known = {rule.name: rule for rule in rules.city.plan.rules}
    if named in known:
        return known[named]
    if not Path(named).is_file():
        raise Fatal(f"--against {named}: is neither a file nor a rule of the city; {_nearest(named, known)}")
    return _of_file(rules.bundle, rules.root, named, "--against ")


def check(root: Path, drafts: Mapping[str, str]) -> list[Problem]:
    """What is wrong with rules that are not the city's yet: their texts by what to call them. A city that cannot be read is none of their faults."""
    try:
        _, bundle = _city(root)
    except Misconfigured:
        return []
    found: list[Problem] = []
    for named, text in drafts.items():
        try:
            _only(bundle, root, read_text(text, named), named)
        except Misconfigured as fault:
            found += [problem for problem in fault.problems if problem.file == named]
    return found


def _city(root: Path) -> tuple[City, Bundle]:
    bundle, report = gather(root)
    if report.city is None:
        raise Misconfigured(report.problems)
    return report.city, bundle


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    return nearest(name, names) if names else "the city has no rules; give a file with one"


def _of_file(bundle: Bundle, root: Path, named: str, option: str) -> RulePlan:
    return _only(bundle, root, read_file(Path(named), named), named, option)


def _only(bundle: Bundle, root: Path, read: tuple[list[Document], list[Problem]], named: str, option: str = "") -> RulePlan:
    """The one rule of a file, in the city. Raises Misconfigured."""
    documents, problems = read
    if problems:
        raise Misconfigured(problems)
    if len(documents) != 1:
        raise Misconfigured([Problem(option + named, 0, f"holds {len(documents)} rules; exactly one is expected")])
    return _compiled(bundle, root, [documents[0].text], named, documents[0].root.line)[0]


def variants(rules: Rules, sweep: Sweep) -> tuple[str | None, list[tuple[str, RulePlan]]]:
    """The number the rule has now (as written, without its unit), and the rule once for every value. Raises Misconfigured."""
    documents, _ = read_text(rules.rule.text, rules.rule.file)
    made = [_changed(documents[0].root, sweep, value) for value in sweep.values]
    texts = [json.dumps({**tree, "rule": f"{rules.rule.name}--{place}"}, ensure_ascii=False) for place, (tree, _) in enumerate(made)]
    return made[0][1], list(zip(sweep.values, _compiled(rules.bundle, rules.root, texts, "--sweep"), strict=True))


def _compiled(bundle: Bundle, root: Path, texts: Sequence[str], file: str, first: int = 1) -> list[RulePlan]:
    """Rules as the city would run them. One that has the name of a rule of the city stands in its place. `first`: where their text begins in `file`."""
    own = [_name(text) for text in texts]
    kept = dict(bundle.texts)
    for name in [name for name in kept if name.startswith("rules/")]:
        documents, _ = read_text(kept[name], name)
        if any(_name(document.text) in own for document in documents):
            kept[name] = "\n---\n".join(document.text for document in documents if _name(document.text) not in own)
    kept[_BESIDE] = "\n---\n".join(texts)
    report = Bundle(kept, bundle.layers).read(root)
    if report.city is None:
        mine = [_where_written(problem, file, first) for problem in report.problems if problem.file == _BESIDE]
        raise Misconfigured(dict.fromkeys(mine or report.problems))
    found = {rule.name: rule for rule in report.city.plan.rules}
    return [replace(found[name], file=file) for name in own]


def _where_written(problem: Problem, file: str, first: int) -> Problem:
    """The problem where the person wrote it; a variant of a sweep is nowhere written."""
    return Problem(file, problem.line + first - 1 if problem.line and file != "--sweep" else 0, problem.message)


def _name(text: str) -> str:
    documents, _ = read_text(text, "rule")
    value = documents[0].root.value if documents else None
    node = value.get("rule") if isinstance(value, dict) else None
    return str(node.value) if isinstance(node, Node) else ""


# ---- one number of a rule
def _changed(root: Node, sweep: Sweep, value: str) -> tuple[dict[str, Any], str | None]:
    """The rule as a tree with the number changed, and the number it had."""
    tree: dict[str, Any] = _plain(root)
    path, _, compared = sweep.key.strip().rpartition(" ") if " " in sweep.key.strip() else _split(sweep.key.strip())
    if compared:
        found = _compare(tree["when"], _steps(path), compared, value)
        if found is None:
            raise _no_such(sweep, tree)
        return tree, found
    steps = _steps(path)
    holder, key = _holder(tree["when"], steps, sweep, tree)
    before = holder.get(key) if isinstance(holder, dict) else holder[int(key)]
    written = _with_unit(before, value)
    if isinstance(holder, dict):
        holder[key] = written
    else:
        holder[int(key)] = written
    return tree, _number_of(before)


def _split(key: str) -> tuple[str, str, str]:
    """`value>`, `attrs.level<=` are conditions; `cluster.sources` is a key."""
    return ("", "", key) if re.search(r"[<>=]=?$", key) else (key, "", "")


def _steps(path: str) -> list[str]:
    steps = [step for step in path.split(".") if step]
    return steps[1:] if steps[:1] == ["when"] else steps


def _holder(when: Any, steps: Sequence[str], sweep: Sweep, tree: dict[str, Any]) -> tuple[Any, str]:
    place = when
    for step in steps[:-1]:
        if isinstance(place, dict) and step in place:
            place = place[step]
        elif isinstance(place, list) and step.isdigit() and int(step) < len(place):
            place = place[int(step)]
        else:
            raise _no_such(sweep, tree)
    fits = isinstance(place, dict) or (isinstance(place, list) and steps[-1].isdigit() and int(steps[-1]) < len(place))
    if not steps or not fits or (isinstance(place, dict) and isinstance(place.get(steps[-1]), dict | list)):
        raise _no_such(sweep, tree)
    if isinstance(place, dict) and steps[-1] not in place and len(steps) < 2:
        raise _no_such(sweep, tree)
    return place, steps[-1]


def _with_unit(before: Any, value: str) -> Any:
    """The number in the way the old one was written: `300 m` -> `200 m`."""
    if isinstance(before, str):
        found = re.fullmatch(rf"\s*({_NUMBER})(\s*[^\d\s].*)?", before)
        if found is not None:
            return value + (found[2] or "")
    return float(value) if "." in value else int(value)


def _number_of(before: Any) -> str | None:
    found = re.match(rf"\s*({_NUMBER})", str(before)) if before is not None and not isinstance(before, bool) else None
    return found[1] if found is not None else None


def _compare(place: Any, steps: Sequence[str], compared: str, value: str) -> str | None:
    """Changes the number of a comparison in every condition below `place`. Returns the first number it had, None when there is no such comparison."""
    for step in steps:
        holder, place = place, place.get(step) if isinstance(place, dict) else None
        if isinstance(place, str) or (place is None and step == "where"):  # `match.of` and `match.where` mean the condition itself
            place = {key: text for key, text in holder.items() if isinstance(text, str) and step in {key, "where"}}
            return _compare_in(holder, place, compared, value)
    return _compare_in(None, place, compared, value)


def _compare_in(holder: dict[str, Any] | None, place: Any, compared: str, value: str) -> str | None:
    """`holder`: where changed texts of `place` belong; None: `place` is changed itself."""
    field, op = re.fullmatch(r"(.*?)\s*([<>=]=?|)$", compared).groups()  # type: ignore[union-attr]
    pattern = re.compile(rf"(\b{re.escape(field)}\s*{re.escape(op)}{'=?' if op in {'<', '>', '='} else ''}\s*)({_NUMBER})")
    found: list[str] = []

    def changed(text: str) -> str:
        return pattern.sub(lambda hit: found.append(hit[2]) or hit[1] + value, text)  # type: ignore[func-returns-value]

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            for key, inner in node.items():
                node[key] = walk(inner)
        elif isinstance(node, list):
            node[:] = [walk(inner) for inner in node]
        return changed(node) if isinstance(node, str) and "where" in node else node

    if isinstance(place, dict | list):
        walk(place)
        if holder is not None:
            holder.update(place)
    return found[0] if found else None


def _no_such(sweep: Sweep, tree: dict[str, Any]) -> Misconfigured:
    known = [*_paths(tree["when"], ""), *_compared(tree["when"])]
    return Misconfigured([Problem("--sweep", 0, f"the rule has no number {sweep.key!r}; {nearest(sweep.key, known)}")])


def _paths(node: Any, path: str) -> Iterable[str]:
    if isinstance(node, dict):
        for key, inner in node.items():
            yield from _paths(inner, f"{path}.{key}" if path else key)
    elif isinstance(node, list):
        for index, inner in enumerate(node):
            yield from _paths(inner, f"{path}.{index}")
    elif not isinstance(node, bool) and _number_of(node) is not None and "where" not in str(node):
        yield path


def _compared(node: Any) -> Iterable[str]:
    if isinstance(node, dict | list):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from _compared(inner)
    elif isinstance(node, str) and "where" in node:
        yield from (f"{field}{op}" for field, op in re.findall(rf"([\w.]+)\s*([<>]=?|==)\s*{_NUMBER}", node))


def _plain(node: Node) -> Any:
    """A document as plain values."""
    if isinstance(node.value, tuple):
        return [_plain(inner) for inner in node.value]
    if isinstance(node.value, str):
        return node.scalar()
    return {key: _plain(inner) for key, inner in node.value.items()}
