"""Zones that rules name become shapes: the areas of the city's layers, put into the plan."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from tocsin.model.links import Zone, Zones

#: Layer -> its areas, in the layer's order.
Shapes = Mapping[str, tuple[Zone, ...]]


def bind(node: Any, shapes: Shapes) -> Any:
    """The same node with the shapes of its zones and their digest; layers that are not among `shapes` stay without."""
    return _with(node, shapes) if shapes else node


def _with(node: Any, shapes: Shapes) -> Any:
    if isinstance(node, Zones):
        return _bound(node, shapes)
    if isinstance(node, tuple):
        items = tuple(_with(item, shapes) for item in node)
        return items if any(new is not old for new, old in zip(items, node, strict=True)) else node
    if not is_dataclass(node) or isinstance(node, type):
        return node
    bound = {one.name: _with(getattr(node, one.name), shapes) for one in fields(node)}
    return replace(node, **bound) if any(bound[name] is not getattr(node, name) for name in bound) else node


def _bound(named: Zones, shapes: Shapes) -> Zones:
    if named.layer not in shapes:
        return named
    areas = tuple(zone for zone in shapes[named.layer] if not named.only or zone.name in named.only)
    digest = hashlib.sha256()
    for zone in areas:
        digest.update(f"{zone.name}\0{len(zone.wkb)}\0".encode() + zone.wkb)
    return replace(named, digest=digest.hexdigest()[:16], zones=areas)
