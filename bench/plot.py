"""Two pictures of a result of bench.hot: rules against events/s, and share of events that pass against events/s.

    python -m bench.plot RESULT.json [FOLDER]

Writes RESULT-rules.svg and RESULT-density.svg beside the result (or into FOLDER). Both axes are logarithmic; rates are events per CPU
second, of engines with a start-up the marginal rate. An engine without a point was not asked or failed: the table says why.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import defaultdict
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from bench.machine import rate
from bench.report import best_rate

WIDTH, HEIGHT = 860, 500
LEFT, RIGHT, TOP, BOTTOM = 80, 150, 62, 62
NAMES = {"tocsin": "Tocsin", "python": "plain Python", "polars": "Polars", "duckdb": "DuckDB", "bytewax": "bytewax", "pathway": "Pathway",
         "nodered": "Node-RED", "flink": "Flink SQL", "spark": "Spark"}  # fmt: skip
COLOURS = {"tocsin": "#c2410c", "python": "#2563eb", "polars": "#0f766e", "duckdb": "#a16207", "bytewax": "#7c3aed", "pathway": "#be185d",
           "nodered": "#b91c1c", "flink": "#334155", "spark": "#65a30d"}  # fmt: skip
SHAPES = dict(zip(NAMES, ("circle", "square", "triangle", "diamond", "circle", "square", "triangle", "diamond", "square"), strict=True))

Series = dict[str, list[tuple[float, float]]]


def _chosen(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with a figure and right answers, of the batch size most of them have; our late-data rows are another question."""
    good = [row for row in rows if row["events"] and row["answers_equal"] is not False and "late" not in row["job"]]
    sizes = [row["batch"] for row in good]
    usual = 1000 if 1000 in sizes else max(set(sizes), key=sizes.count, default=1000)
    return [row for row in good if row["batch"] == usual]


def by_rules(rows: list[dict[str, Any]]) -> Series:
    series: Series = defaultdict(list)
    for row in _chosen(rows):
        if row["job"].startswith("mixed-"):
            series[row["engine"]].append((row["rules"], best_rate(row)))
    return {name: sorted(points) for name, points in series.items()}


def by_density(rows: list[dict[str, Any]]) -> Series:
    passing = {row["job"]: row["passing"] * 100 for row in rows if "passing" in row}
    series: Series = defaultdict(list)
    for row in _chosen(rows):
        if row["job"] in passing:
            series[row["engine"]].append((passing[row["job"]], best_rate(row)))
    return {name: sorted(points) for name, points in series.items()}


def _scale(low: float, high: float, start: float, stop: float) -> Callable[[float], float]:
    """Logarithmic: low..high to start..stop."""
    a, b = math.log10(low), math.log10(high)
    return lambda value: start + (math.log10(value) - a) / (b - a) * (stop - start)


def _decades(low: float, high: float) -> list[float]:
    return [10.0**power for power in range(math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9) + 1)]


def _mark(shape: str, x: float, y: float, colour: str) -> str:
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
    if shape == "square":
        return f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7" fill="{colour}"/>'
    points = [(0, -5), (4.5, 4), (-4.5, 4)] if shape == "triangle" else [(0, -5), (5, 0), (0, 5), (-5, 0)]
    return f'<polygon points="{" ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in points)}" fill="{colour}"/>'


def _spread(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Places for labels: in order, none closer than `gap` to the next, all within low..high."""
    placed: list[float] = []
    for value in wanted:
        placed.append(max(value, placed[-1] + gap) if placed else max(value, low))
    limit = high
    for i in range(len(placed) - 1, -1, -1):
        placed[i] = min(placed[i], limit)
        limit = placed[i] - gap
    return placed


def _axes(x: Callable[[float], float], y: Callable[[float], float], xs: list[tuple[float, str]], ys: list[float]) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for value in ys:
        at = y(value)
        parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}" stroke="#e2e8f0"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{rate(value)}</text>')
    for value, label in xs:
        at = x(value)
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{bottom}" stroke="#f1f5f9"/>')
        parts.append(f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{label}</text>')
    parts.append(f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#64748b"/>')
    return parts


def _lines(series: Series, x: Callable[[float], float], y: Callable[[float], float]) -> list[str]:
    """Lines with marks, and their names at the right end, moved apart."""
    parts, right = [], WIDTH - RIGHT
    ends = sorted((y(points[-1][1]), name) for name, points in series.items())
    places = _spread([end for end, _ in ends], 17, TOP + 4, HEIGHT - BOTTOM - 2)
    for (end, name), place in zip(ends, places, strict=True):
        points, colour = series[name], COLOURS[name]
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
        width = 3 if name == "tocsin" else 1.6
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>')
        parts += [_mark(SHAPES[name], x(a), y(b), colour) for a, b in points]
        last = x(points[-1][0])
        parts.append(
            f'<line x1="{last + 6:.1f}" y1="{end:.1f}" x2="{right + 20}" y2="{place:.1f}" stroke="{colour}" stroke-dasharray="2 3"/>'
        )
        weight = ' font-weight="700"' if name == "tocsin" else ""
        parts.append(f'<text x="{right + 25}" y="{place + 4:.1f}" fill="{colour}"{weight}>{NAMES[name]}</text>')
    return parts


def draw(series: Series, title: str, below: str, xs: list[tuple[float, str]]) -> str:
    """One picture as SVG text. Raises ValueError when there is nothing to draw."""
    values = [value for points in series.values() for _, value in points]
    if not values:
        raise ValueError(f"no rows for '{title}': run bench.hot with --jobs plots")
    ys = _decades(min(values), max(values))
    if len(ys) < 2:
        ys = [ys[0], ys[0] * 10]
    places = [a for a, _ in xs] + [a for points in series.values() for a, _ in points]
    low, high = min(places), max(places)
    x = _scale(low, high if high > low else low * 10, LEFT + 14, WIDTH - RIGHT - 14)
    y = _scale(ys[0], ys[-1], HEIGHT - BOTTOM, TOP)
    body = [*_axes(x, y, xs, ys), *_lines(series, x, y)]
    return "\n".join([
        (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="#334155"><title>{escape(title)}</title>'),
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="26" font-size="16" font-weight="700" fill="#0f172a">{escape(title)}</text>',
        f'<text x="{LEFT}" y="46">events per CPU second, logarithmic</text>',
        *body,
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 16}" text-anchor="middle">{escape(below)}</text>',
        "</svg>\n",
    ])  # fmt: skip


def pictures(told: dict[str, Any]) -> dict[str, str]:
    """`rules` and `density` as SVG texts."""
    density = by_density(told["rows"])
    shares = sorted({share for points in density.values() for share, _ in points})
    rules = [(10.0**power, f"{10**power:,}") for power in range(5)]
    return {
        "rules": draw(by_rules(told["rows"]), "Rules of all kinds, 1 to 10,000", "rules (logarithmic)", rules),
        "density": draw(density, "Cluster job: the more events pass, the harder", "events that pass the filter, percent (logarithmic)",
                        [(share, f"{share:.3g} %") for share in shares]),
    }  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.plot", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, help="what `bench.hot --json --out` wrote")
    parser.add_argument("folder", type=Path, nargs="?", help="default: where the result is")
    a = parser.parse_args(argv)
    result, folder = a.result, a.folder or a.result.parent
    try:
        drawn = pictures(json.loads(result.read_text()))
    except ValueError as fault:
        print(f"{result}: {fault}", file=sys.stderr)
        return 1
    for name, text in drawn.items():
        target = folder / f"{result.stem}-{name}.svg"
        target.write_text(text)
        print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
