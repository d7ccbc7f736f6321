"""The table of units behind `model.units`: UCUM codes, what they are worth and what people call them.

Source: The Unified Code for Units of Measure (UCUM) 2.1, tables 1 to 24, reduced to what sensors, panels, utilities and
weather services report. Every definition is exact (decimal fractions), so that a factor is rounded once, when it becomes a float.

Where UCUM calls two quantities commensurable that a duty officer must not mix up, they have base dimensions of their own:
sievert (not gray), becquerel (not hertz), mole (not a count), bel, and bit.
"""

from __future__ import annotations

from typing import Final, NamedTuple

#: Base units: the coherent units every canonical value is expressed in. A dimension is a vector of exponents over these.
BASES: Final = ("m", "kg", "s", "A", "K", "cd", "mol", "rad", "B", "Sv", "Bq", "bit", "[pH]", "[arb'U]")

PREFIXES: Final[dict[str, str]] = {
    "Y": "1e24", "Z": "1e21", "E": "1e18", "P": "1e15", "T": "1e12", "G": "1e9", "M": "1e6", "k": "1e3", "h": "100",
    "da": "10", "d": "0.1", "c": "0.01", "m": "1e-3", "u": "1e-6", "n": "1e-9", "p": "1e-12", "f": "1e-15", "a": "1e-18",
    "z": "1e-21", "y": "1e-24", "Ki": "1024", "Mi": "1048576", "Gi": "1073741824", "Ti": "1099511627776",
}  # fmt: skip


class Atom(NamedTuple):
    """One unit atom: `number` times the unit expression `of` (a base unit when empty). `metric`: takes prefixes."""

    name: str
    number: str
    of: str
    metric: bool = False


#: `t` takes no prefix here although UCUM lets it: `ft` and `kt` are feet and knots by mistake, never femtotonnes.
ATOMS: Final[dict[str, Atom]] = {
    # base units ("" = base); the gram carries the prefixes of the kilogram
    "m": Atom("metre", "1", "", True),
    "g": Atom("gram", "0.001", "", True),
    "s": Atom("second", "1", "", True),
    "A": Atom("ampere", "1", "", True),
    "K": Atom("kelvin", "1", "", True),
    "cd": Atom("candela", "1", "", True),
    "mol": Atom("mole", "1", "", True),
    "rad": Atom("radian", "1", "", True),
    "B": Atom("bel", "1", "", True),
    "Sv": Atom("sievert", "1", "", True),
    "Bq": Atom("becquerel", "1", "", True),
    "bit": Atom("bit", "1", "", True),
    "[pH]": Atom("pH", "1", ""),
    "[arb'U]": Atom("arbitrary unit", "1", ""),
    # numbers
    "10*": Atom("ten", "10", "1"),
    "10^": Atom("ten", "10", "1"),
    "%": Atom("percent", "0.01", "1"),
    "[ppth]": Atom("parts per thousand", "1e-3", "1"),
    "[ppm]": Atom("parts per million", "1e-6", "1"),
    "[ppb]": Atom("parts per billion", "1e-9", "1"),
    "[pptr]": Atom("parts per trillion", "1e-12", "1"),
    # time
    "min": Atom("minute", "60", "s"),
    "h": Atom("hour", "3600", "s"),
    "d": Atom("day", "86400", "s"),
    "wk": Atom("week", "604800", "s"),
    "mo": Atom("month", "2629800", "s"),
    "a": Atom("year", "31557600", "s"),
    # length, area, volume
    "[in_i]": Atom("inch", "0.0254", "m"),
    "[ft_i]": Atom("foot", "0.3048", "m"),
    "[yd_i]": Atom("yard", "0.9144", "m"),
    "[mi_i]": Atom("mile", "1609.344", "m"),
    "[nmi_i]": Atom("nautical mile", "1852", "m"),
    "[fth_i]": Atom("fathom", "1.8288", "m"),
    "ar": Atom("are", "100", "m2", True),
    "[sft_i]": Atom("square foot", "0.09290304", "m2"),
    "[acr_br]": Atom("acre", "4046.8564224", "m2"),
    "L": Atom("litre", "0.001", "m3", True),
    "l": Atom("litre", "0.001", "m3", True),
    "[gal_us]": Atom("gallon", "0.003785411784", "m3"),
    "[gal_br]": Atom("imperial gallon", "0.00454609", "m3"),
    "[cft_i]": Atom("cubic foot", "0.028316846592", "m3"),
    # speed, acceleration, frequency
    "[kn_i]": Atom("knot", "1852/3600", "m/s"),
    "Gal": Atom("gal", "0.01", "m/s2", True),
    "[g]": Atom("standard acceleration", "9.80665", "m/s2", True),
    "Hz": Atom("hertz", "1", "/s", True),
    # angle
    "deg": Atom("degree", "0.01745329251994329576924", "rad"),
    "'": Atom("minute of arc", "0.000290888208665721596154", "rad"),
    "''": Atom("second of arc", "0.000004848136811095359935899", "rad"),
    "gon": Atom("gon", "0.01570796326794896619231", "rad"),
    "circ": Atom("turn", "6.28318530717958647692", "rad"),
    # mass, force, pressure
    "t": Atom("tonne", "1000", "kg"),
    "[lb_av]": Atom("pound", "0.45359237", "kg"),
    "[oz_av]": Atom("ounce", "0.028349523125", "kg"),
    "N": Atom("newton", "1", "kg.m/s2", True),
    "[lbf_av]": Atom("pound force", "4.4482216152605", "N"),
    "Pa": Atom("pascal", "1", "N/m2", True),
    "bar": Atom("bar", "100000", "Pa", True),
    "atm": Atom("atmosphere", "101325", "Pa"),
    "m[Hg]": Atom("metre of mercury column", "133322", "Pa", True),
    "m[H2O]": Atom("metre of water column", "9806.65", "Pa", True),
    "[in_i'Hg]": Atom("inch of mercury column", "3386.3788", "Pa"),
    "[in_i'H2O]": Atom("inch of water column", "249.08891", "Pa"),
    "[psi]": Atom("pound per square inch", "6894.757293168", "Pa"),
    # energy, power, electricity, magnetism
    "J": Atom("joule", "1", "N.m", True),
    "eV": Atom("electronvolt", "1.602176634e-19", "J", True),
    "cal": Atom("calorie", "4.184", "J", True),
    "[Btu_IT]": Atom("British thermal unit", "1055.05585262", "J"),
    "W": Atom("watt", "1", "J/s", True),
    "[HP]": Atom("horsepower", "745.6998715822702", "W"),
    "C": Atom("coulomb", "1", "A.s", True),
    "V": Atom("volt", "1", "W/A", True),
    "Ohm": Atom("ohm", "1", "V/A", True),
    "S": Atom("siemens", "1", "A/V", True),
    "F": Atom("farad", "1", "C/V", True),
    "Wb": Atom("weber", "1", "V.s", True),
    "T": Atom("tesla", "1", "Wb/m2", True),
    "G": Atom("gauss", "0.0001", "T", True),
    "H": Atom("henry", "1", "Wb/A", True),
    # light, sound
    "lm": Atom("lumen", "1", "cd.rad2", True),
    "lx": Atom("lux", "1", "lm/m2", True),
    "Np": Atom("neper", "0.8685889638065036553", "B", True),
    "B[SPL]": Atom("bel sound pressure", "1", "B", True),
    "B[V]": Atom("bel volt", "1", "B", True),
    "B[W]": Atom("bel watt", "1", "B", True),
    # ionising radiation
    "Gy": Atom("gray", "1", "J/kg", True),
    "RAD": Atom("rad absorbed dose", "0.01", "Gy", True),
    "REM": Atom("roentgen equivalent man", "0.01", "Sv", True),
    "R": Atom("roentgen", "0.000258", "C/kg", True),
    "Ci": Atom("curie", "37000000000", "Bq", True),
    # temperature difference, data, amount
    "[degR]": Atom("degree Rankine", "5/9", "K"),
    "By": Atom("byte", "8", "bit", True),
    "Bd": Atom("baud", "1", "/s", True),
    "eq": Atom("equivalent", "1", "mol", True),
}

#: Scales with a zero of their own: canonical = value x factor + offset. They stand alone, never in a product.
SCALES: Final[dict[str, tuple[str, str, str, str]]] = {
    # code: (name, factor, offset, canonical unit)
    "Cel": ("degree Celsius", "1", "273.15", "K"),
    "[degF]": ("degree Fahrenheit", "5/9", "2298.35/9", "K"),
}

#: Dimension key -> its canonical unit. A product without a name of its own is called by its canonical unit, as in `kg.m/s`.
DIMENSIONS: Final[dict[str, str]] = {
    "number": "1", "length": "m", "area": "m2", "volume": "m3", "time": "s", "speed": "m/s", "acceleration": "m/s2",
    "mass": "kg", "mass concentration": "kg/m3", "surface load": "kg/m2", "mass flow": "kg/s", "volume flow": "m3/s",
    "temperature": "K", "temperature rate": "K/s", "pressure": "Pa", "pressure rate": "Pa/s", "force": "N", "energy": "J",
    "power": "W", "irradiance": "W/m2", "current": "A", "charge": "C", "voltage": "V", "resistance": "Ohm",
    "conductance": "S", "conductivity": "S/m", "capacitance": "F", "electric field": "V/m", "magnetic flux": "Wb",
    "magnetic flux density": "T", "inductance": "H", "frequency": "Hz", "luminous intensity": "cd", "luminous flux": "lm",
    "illuminance": "lx", "amount of substance": "mol", "molar concentration": "mol/m3", "angle": "rad",
    "angular speed": "rad/s", "level": "B", "absorbed dose": "Gy", "absorbed dose rate": "Gy/s", "equivalent dose": "Sv",
    "equivalent dose rate": "Sv/s", "exposure": "C/kg", "exposure rate": "C/kg.s-1", "activity": "Bq",
    "activity concentration": "Bq/m3", "surface activity": "Bq/m2", "specific activity": "Bq/kg", "data": "bit",
    "data rate": "bit/s", "acidity": "[pH]", "arbitrary": "[arb'U]", "number concentration": "/m3", "areal density": "/m2",
    "linear density": "/m", "flux": "/m2.s-1",
}  # fmt: skip

#: Spellings accepted although UCUM is ASCII and has its own code: what devices print.
ALIASES: Final[dict[str, str]] = {"ppm": "[ppm]", "ppb": "[ppb]", "°C": "Cel", "℃": "Cel", "°F": "[degF]", "°": "deg"}

#: Spellings refused, with what their writer meant.
MEANT: Final[dict[str, str]] = {
    "degC": "Cel", "celsius": "Cel", "Celsius": "Cel", "degF": "[degF]", "fahrenheit": "[degF]", "mph": "[mi_i]/h",
    "mi/h": "[mi_i]/h", "kmh": "km/h", "kph": "km/h", "km/hr": "km/h", "mps": "m/s", "kt": "[kn_i]", "kts": "[kn_i]",
    "kn": "[kn_i]", "knots": "[kn_i]", "ft": "[ft_i]", "feet": "[ft_i]", "in": "[in_i]", "inches": "[in_i]", "yd": "[yd_i]",
    "mi": "[mi_i]", "nmi": "[nmi_i]", "psi": "[psi]", "mmHg": "mm[Hg]", "inHg": "[in_i'Hg]", "gal": "[gal_us]",
    "gpm": "[gal_us]/min", "lb": "[lb_av]", "lbs": "[lb_av]", "oz": "[oz_av]", "ha": "har", "acre": "[acr_br]",
    "cfs": "[cft_i]/s", "cfm": "[cft_i]/min", "sec": "s", "hr": "h", "hrs": "h", "mins": "min", "percent": "%", "lux": "lx",
    "ohm": "Ohm", "kWh": "kW.h", "MWh": "MW.h", "Wh": "W.h", "kVA": "kV.A", "VA": "V.A", "dBA": "dB{A}", "dB(A)": "dB{A}",
    "dBm": "dB{m}", "rpm": "/min", "cpm": "/min", "cps": "/s", "pH": "[pH]", "bps": "bit/s", "Mbps": "Mbit/s", "mb": "mbar",
    "mbars": "mbar", "torr": "mm[Hg]", "count": "{count}", "counts": "{count}", "magnitude": "{magnitude}", "NTU": "{NTU}",
    "rem": "REM", "g's": "[g]", "°K": "K", "arcmin": "'", "degrees": "deg", "liter": "L", "litre": "L",
}  # fmt: skip
