"""What a statement's own conditions say about the rows it can need, read from its syntax tree.

Bounds are only ever too wide. A table that is used anywhere but as the one table of a SELECT, or under other column names, is not bounded at all;
of several uses each counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

Tree = Any
#: lower, upper (inclusive) of a column, or its possible names.
Bounds = dict[str, Any]
#: Evaluates a constant expression of the tree as µs, number or text; None when it cannot.
Evaluate = Callable[[Tree, str], Any]

TABLES: Final = {"events": "event_time", "hourly": "start", "daily": "start"}
_NUMBERS: Final = ("lon", "lat")
_NAMES: Final = ("feed", "kind")
_CALM_FUNCTIONS: Final = {
    "+", "-", "*", "now", "current_timestamp", "get_current_timestamp", "today", "current_date", "to_days", "to_hours", "to_minutes", "to_seconds",
    "to_weeks", "to_months", "to_years", "make_timestamptz", "make_timestamp", "make_date", "struct_pack", "transaction_timestamp", "trunc",
}  # fmt: skip
#: Functions of tables that read no table whose name is in a text.
_CALM_TABLES: Final = {"range", "generate_series", "unnest"}
_LIKE: Final = ("~~",)
_FLIPPED: Final = {
    "COMPARE_GREATERTHAN": "COMPARE_LESSTHAN", "COMPARE_LESSTHAN": "COMPARE_GREATERTHAN",
    "COMPARE_GREATERTHANOREQUALTO": "COMPARE_LESSTHANOREQUALTO", "COMPARE_LESSTHANOREQUALTO": "COMPARE_GREATERTHANOREQUALTO",
    "COMPARE_EQUAL": "COMPARE_EQUAL",
}  # fmt: skip


def bounds_of(tree: Tree, evaluate: Evaluate) -> dict[str, Bounds]:
    """For each table the statement uses, bounds of its rows by column: `[low, high]` (either None) or a list of names."""
    found: dict[str, list[Bounds]] = {}
    bounded: set[int] = set()
    for node in _nodes(tree):
        table = node.get("from_table")
        if node.get("type") == "SELECT_NODE" and isinstance(table, dict) and _is_table(table) and not table.get("column_name_alias"):
            bounded.add(id(table))
            own = _from_condition(node.get("where_clause"), _name(table), table.get("alias") or _name(table), evaluate)
            found.setdefault(_name(table), []).append(own)
    anything = False
    for node in _nodes(tree):
        if _is_table(node) and id(node) not in bounded:
            found.setdefault(_name(node), []).append({})
        function = node.get("function") if node.get("type") == "TABLE_FUNCTION" else None
        anything = (
            anything
            or node.get("type") == "SHOW_REF"
            or (function is not None and str(function.get("function_name", "")).lower() not in _CALM_TABLES)
        )
    if anything:
        return {table: {} for table in TABLES}
    return {table: _hull(each) for table, each in found.items()}


def _nodes(tree: Tree) -> Iterator[dict[str, Any]]:
    stack = [tree]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            yield one
            stack += one.values()
        elif isinstance(one, list):
            stack += one


def _is_table(node: Tree) -> bool:
    return isinstance(node, dict) and node.get("type") == "BASE_TABLE" and _name(node) in TABLES


def _name(node: Tree) -> str:
    return str(node.get("table_name", "")).lower()


def _from_condition(node: Tree, table: str, alias: str, evaluate: Evaluate) -> Bounds:
    """Bounds of the conditions that must all hold."""
    if not isinstance(node, dict):
        return {}
    if node.get("type") == "CONJUNCTION_AND":
        return _both([_from_condition(child, table, alias, evaluate) for child in node["children"]])
    if node.get("type") == "COMPARE_BETWEEN":
        low = {"type": "COMPARE_GREATERTHANOREQUALTO", "left": node["input"], "right": node["lower"]}
        high = {"type": "COMPARE_LESSTHANOREQUALTO", "left": node["input"], "right": node["upper"]}
        return _both([_compared(low, table, alias, evaluate), _compared(high, table, alias, evaluate)])
    if node.get("type") == "COMPARE_IN":
        column = _column(node["children"][0], table, alias)
        names = [evaluate(child, "text") if _calm(child) else None for child in node["children"][1:]]
        return {column: names} if column in _NAMES and all(isinstance(name, str) for name in names) else {}
    if node.get("type") == "FUNCTION" and node.get("function_name") in _LIKE and len(node.get("arguments", ())) == 2:
        left, right = (one["expression"] for one in node["arguments"])
        return _alike(left, right, table, alias, evaluate)
    return _compared(node, table, alias, evaluate)


def _alike(left: Tree, right: Tree, table: str, alias: str, evaluate: Evaluate) -> Bounds:
    """`kind LIKE 'call.%'`: kinds by dotted prefix."""
    pattern = evaluate(right, "text") if _column(left, table, alias) == "kind" and _calm(right) else None
    prefix = pattern.removesuffix(".%") if isinstance(pattern, str) else ""
    return {"kind": [prefix]} if prefix and prefix != pattern and not set(prefix) & set("%_\\*") else {}


def _compared(node: Tree, table: str, alias: str, evaluate: Evaluate) -> Bounds:
    """Bounds of one comparison of a column with a constant."""
    how = node.get("type")
    if how not in _FLIPPED:
        return {}
    left, right = node["left"], node["right"]
    column = _column(left, table, alias)
    if column is None:
        column, right, how = _column(right, table, alias), left, _FLIPPED[how]
    if column is None or not _calm(right):
        return {}
    value = evaluate(right, "time" if column == TABLES[table] else "text" if column in _NAMES else "number")
    if value is None:
        return {}
    if column in _NAMES:
        return {column: [value]} if how == "COMPARE_EQUAL" else {}
    low = value if "GREATER" in how or how == "COMPARE_EQUAL" else None
    high = value if "LESS" in how or how == "COMPARE_EQUAL" else None
    return {column: (low, high)}


def _column(node: Tree, table: str, alias: str) -> str | None:
    if not isinstance(node, dict) or node.get("type") != "COLUMN_REF":
        return None
    *owner, column = (str(name).lower() for name in node["column_names"])
    known = column == TABLES[table] or column in _NAMES or (column in _NUMBERS and table == "events")
    return column if known and (not owner or owner[-1] == alias.lower()) else None


def _calm(node: Tree) -> bool:
    """Whether an expression is a constant, and the same a moment later to within a minute."""
    for one in _nodes(node):
        kind = one.get("class")
        if kind is None:
            continue
        if kind not in ("CONSTANT", "CAST", "FUNCTION", "TYPE"):
            return False
        if kind == "FUNCTION" and str(one.get("function_name", "")).lower() not in _CALM_FUNCTIONS:
            return False
    return True


def _both(parts: list[Bounds]) -> Bounds:
    """Bounds that all hold."""
    made: Bounds = {}
    for part in parts:
        for column, own in part.items():
            if column not in made:
                made[column] = own
            elif isinstance(own, list):
                made[column] = [name for name in made[column] if name in own]
            else:
                lows = [one[0] for one in (made[column], own) if one[0] is not None]
                highs = [one[1] for one in (made[column], own) if one[1] is not None]
                made[column] = (max(lows, default=None), min(highs, default=None))
    return made


def _hull(each: list[Bounds]) -> Bounds:
    """Bounds of any of several uses."""
    made: Bounds = {}
    for column in set.intersection(*(set(one) for one in each)):
        parts = [one[column] for one in each]
        if isinstance(parts[0], list):
            made[column] = sorted({name for part in parts for name in part})
        else:
            lows, highs = [part[0] for part in parts], [part[1] for part in parts]
            made[column] = (None if None in lows else min(lows), None if None in highs else max(highs))
    return made
