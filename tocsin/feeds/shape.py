"""The shape of a record as far as a mapping looks into it: a msgspec type to read it with, and the way to every value.

Only what the paths name is read; everything else is skipped without being made into objects, which is where the speed comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final

import msgspec

from . import paths

Getter = Callable[[Sequence[Any]], list[Any]]

SCALAR: Final = str | int | float | bool | None


@dataclass(slots=True)
class Shape:
    """A step of the path tree: a leaf with its type, or an object or list with its children."""

    leaf: Any = None
    children: dict[str, Shape] = field(default_factory=dict)

    @property
    def is_list(self) -> bool:
        return bool(self.children) and next(iter(self.children)).isdecimal()

    def plant(self, path: paths.Path, leaf: Any) -> bool:
        """Add a path; False when it leads through a leaf, ends above one, or when a step would be object and list at once."""
        node = self
        for segment in path:
            if node.leaf is not None or (node.children and node.is_list != segment.isdecimal()):
                return False
            node = node.children.setdefault(segment, Shape())
        if node.children:
            return False
        node.leaf = leaf if node.leaf in (None, leaf) else SCALAR
        return True

    def build(self) -> Any:
        """The msgspec type of this node; every step of the way may be missing or null."""
        if self.leaf is not None:
            return self.leaf
        if self.is_list:
            types = {id(leaf): leaf for child in self.children.values() if (leaf := child.leaf) is not None}
            if len(types) == 1 and all(child.leaf is not None for child in self.children.values()):
                return list[next(iter(types.values()))]  # type: ignore[misc]
            if any(child.leaf is None for child in self.children.values()) and len(self.children) > 1:
                raise TypeError("elements of different shape")
            return list[SCALAR if types else next(iter(self.children.values())).build() | None]  # type: ignore[misc]
        slots = [(f"f{i}", child.build() | None, None) for i, child in enumerate(self.children.values())]
        return msgspec.defstruct("Record", slots, rename={f"f{i}": key for i, key in enumerate(self.children)}, gc=False)


def getter(root: Shape, path: paths.Path) -> Getter:
    """A function from structs to the values at `path`, step by step over the whole column."""
    steps: list[Getter] = []
    node = root
    for segment in path:
        steps.append(_element(int(segment)) if node.is_list else _attribute(f"f{list(node.children).index(segment)}"))
        node = node.children[segment]

    def get(rows: Sequence[Any]) -> list[Any]:
        column: Sequence[Any] = rows
        for step in steps:
            column = step(column)
        return list(column)

    return get if len(steps) > 1 else steps[0]


def _attribute(slot: str) -> Getter:
    one = attrgetter(slot)

    def get(rows: Sequence[Any]) -> list[Any]:
        try:
            return list(map(one, rows))
        except AttributeError:  # some of them are null
            return [None if row is None else one(row) for row in rows]

    return get


def _element(index: int) -> Getter:
    def get(rows: Sequence[Any]) -> list[Any]:
        return [None if row is None or len(row) <= index else row[index] for row in rows]

    return get
