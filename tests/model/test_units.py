"""Units: known factors against published values, the grammar, and no input that crashes it."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.model.unit_table import ATOMS, DIMENSIONS, MEANT, PREFIXES, SCALES
from tocsin.model.units import UnitError, canonical, canonical_unit, close_units, from_canonical, resolve, to_canonical

#: A busy machine is no failure.
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("unit", "dimension", "factor", "offset"),
    [
        ("ug/m3", "mass concentration", 1e-9, 0.0),
        ("µg/m³", "mass concentration", 1e-9, 0.0),
        ("mg/L", "mass concentration", 1e-3, 0.0),
        ("cm/h", "speed", 0.01 / 3600, 0.0),
        ("[mi_i]/h", "speed", 0.44704, 0.0),
        ("[kn_i]", "speed", 1852 / 3600, 0.0),
        ("L/m2", "length", 1e-3, 0.0),
        ("Cel", "temperature", 1.0, 273.15),
        ("°C", "temperature", 1.0, 273.15),
        ("[degF]", "temperature", 5 / 9, 459.67 * 5 / 9),
        ("K", "temperature", 1.0, 0.0),
        ("%", "number", 0.01, 0.0),
        ("ppm", "number", 1e-6, 0.0),
        ("[ppb]", "number", 1e-9, 0.0),
        ("1", "number", 1.0, 0.0),
        ("{magnitude}", "number", 1.0, 0.0),
        ("10*3/uL", "number concentration", 1e12, 0.0),
        ("hPa", "pressure", 100.0, 0.0),
        ("mm[Hg]", "pressure", 133.322, 0.0),
        ("kg.m-1.s-2", "pressure", 1.0, 0.0),
        ("uSv/h", "equivalent dose rate", 1e-6 / 3600, 0.0),
        ("Gy", "absorbed dose", 1.0, 0.0),
        ("Bq/m3", "activity concentration", 1.0, 0.0),
        ("/min", "frequency", 1 / 60, 0.0),
        ("dB", "level", 0.1, 0.0),
        ("dB{A}", "level", 0.1, 0.0),
        ("lx", "illuminance", 1.0, 0.0),
        ("kW.h", "energy", 3.6e6, 0.0),
        ("m{above datum}", "length", 1.0, 0.0),
        ("(kg.m)/(s2)", "force", 1.0, 0.0),
        ("KiBy", "data", 8192.0, 0.0),
        ("kg.m/s", "m.kg.s-1", 1.0, 0.0),
    ],
)
def test_a_unit_resolves_to_its_published_factor(unit: str, dimension: str, factor: float, offset: float) -> None:
    found = canonical(unit)
    assert found is not None
    assert found.dimension == dimension
    assert math.isclose(found.factor, factor, rel_tol=1e-12)
    assert math.isclose(found.offset, offset, rel_tol=1e-12)


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ("", "an empty unit; a plain number has the unit '1'"),
        ("ft", "'ft' is not a UCUM unit; write '[ft_i]'"),
        ("mph", "'mph' is not a UCUM unit; write '[mi_i]/h'"),
        ("ug/m^3", "'ug/m^3' is not a UCUM unit: exponents are written plainly, as in m3 (column 5)"),
        ("kW*h", "'kW*h' is not a UCUM unit: a product is written with '.', as in kW.h (column 3)"),
        ("m /s", "'m /s' is not a UCUM unit: a unit has no spaces (column 2)"),
        ("m//s", "'m//s' is not a UCUM unit: a unit is missing before '/' (column 3)"),
        ("m/", "'m/' is not a UCUM unit: a unit is missing at the end (column 3)"),
        ("(m", "'(m' is not a UCUM unit: '(' is never closed (column 1)"),
        ("m)", "'m)' is not a UCUM unit: ')' needs '.' or '/' before it (column 2)"),
        ("{x", "'{x' is not a UCUM unit: '{' is never closed (column 1)"),
        ("m99", "'m99' is not a UCUM unit: the exponent 99 is too large (column 1)"),
        ("0", "'0' is not a UCUM unit: a unit cannot be zero (column 1)"),
        ("Cel/h", "'Cel/h' is not a UCUM unit: 'Cel' has a zero of its own and must stand alone; use K in products (column 1)"),
        ("hpa", "'hpa' is not a UCUM unit: no unit 'hpa'; close: hPa, har (column 1)"),
        ("zzz", "'zzz' is not a UCUM unit: no unit 'zzz'; codes are those of UCUM, as in ug/m3, mm, Cel, km/h (column 1)"),
        ("m€", "'m€' is not a UCUM unit: unexpected '€' (column 2)"),
        ("ym9.ym9", "'ym9.ym9' is too large or too small a unit"),
        ("(" * 6 + "m" + ")" * 6, "'((((((m))))))' is not a UCUM unit: too many parentheses (column 1)"),
        ("m" * 65, "a unit of 65 characters; at most 64 are read"),
    ],
)
def test_a_bad_unit_says_what_is_wrong(unit: str, message: str) -> None:
    assert canonical(unit) is None
    with pytest.raises(UnitError) as caught:
        resolve(unit)
    assert str(caught.value) == message


def test_quantities_that_must_not_be_mixed_up_have_different_dimensions() -> None:
    for one, other in (("Sv", "Gy"), ("Bq", "Hz"), ("mol", "1"), ("cm/h", "ug/m3"), ("dB", "1"), ("deg", "1")):
        assert resolve(one).dimension != resolve(other).dimension


def test_every_row_of_the_table_is_usable() -> None:
    for code, atom in ATOMS.items():
        resolve(code)
        if atom.metric:
            for prefixed in {prefix + code for prefix in PREFIXES} - set(MEANT):
                resolve(prefixed)
    for name, unit in DIMENSIONS.items():
        assert resolve(unit).dimension == name
        assert resolve(unit).factor == 1.0, "a dimension's canonical unit is coherent"
        assert canonical_unit(name) == unit
    for meant in MEANT.values():
        resolve(meant)
    assert set(SCALES).isdisjoint(ATOMS)


def test_close_units_are_found_by_code_and_by_english_name() -> None:
    assert close_units("inch")[0] == "[in_i]"
    assert close_units("sievrt")[0] == "Sv"
    assert close_units("ug/m")[0] == "ug/m3"
    assert close_units("qqqqq") == ()


@calm
@given(st.floats(-1e6, 1e6), st.sampled_from(["ug/m3", "Cel", "[degF]", "cm/h", "kW.h", "[mi_i]/h"]))
def test_there_and_back(value: float, unit: str) -> None:
    assert math.isclose(from_canonical(to_canonical(value, unit), unit), value, rel_tol=1e-9, abs_tol=1e-6)


@calm
@given(st.one_of(st.text(max_size=70), st.text(alphabet="mgskPa/.()[]{}10*^-23uCel'", max_size=20)))
def test_no_text_crashes_it(text: str) -> None:
    found = canonical(text)
    if found is not None:
        assert math.isfinite(found.factor)
        assert found.factor > 0
