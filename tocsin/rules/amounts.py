"""Amounts with units as rules write them, in canonical units: levels, differences, slopes, integrals. All raise `UnitError`."""

from __future__ import annotations

from typing import NamedTuple

from tocsin.model.units import resolve, to_canonical

from .condition import Quantity


class Measured(NamedTuple):
    """A number in the canonical unit of the *value* it is compared with, and that value's dimension."""

    number: float
    dimension: str


def level(amount: Quantity) -> Measured:
    """A level of the value itself: 30 Cel is 303.15 K."""
    unit = amount.unit or "1"
    return Measured(to_canonical(amount.number, unit), resolve(unit).dimension)


def difference(amount: Quantity) -> Measured:
    """A difference of two values: 5 Cel is 5 K."""
    way = resolve(amount.unit or "1")
    return Measured(amount.number * way.factor, way.dimension)


def per_second(amount: Quantity) -> Measured:
    """A slope: `20 cm/h` of a length, in canonical units of the value per second."""
    unit = amount.unit or "1"
    return Measured(amount.number * resolve(unit).factor, resolve(f"({unit}).s").dimension)


def integrated(amount: Quantity) -> Measured:
    """An integral over time: `20 mm` of a value in mm/h, in canonical units of the value times seconds."""
    unit = amount.unit or "1"
    return Measured(amount.number * resolve(unit).factor, resolve(f"({unit})/s").dimension)
