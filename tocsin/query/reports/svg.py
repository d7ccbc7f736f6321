"""A chart as SVG for paper: bars, lines, bands and dots over one axis of numbers. Texts are escaped; nothing is loaded from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from math import floor, isfinite, log10
from typing import Final, Literal

WIDTH: Final = 680
HEIGHT: Final = 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 8, 22, 24
_TICKS: Final = 5

Kind = Literal["bars", "line", "dashes", "steps", "dots", "band"]
#: Ink of each kind: dark enough for a photocopy.
_INK: Final = {"bars": "#2f6db5", "line": "#0b5cad", "dashes": "#26303a", "steps": "#0b5cad", "dots": "#16202a", "band": "#bcd3ea"}


@dataclass(frozen=True, slots=True)
class Layer:
    """`points`: (x, y), for a band (x, low, high); a y of None leaves a gap. `name`: for the key."""

    kind: Kind
    points: Sequence[tuple[float | None, ...]]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """`ticks`: (x, label). `unit`: of the numbers, above their axis. `mark`: an x that is set apart, None for none."""

    start: float
    stop: float
    ticks: Sequence[tuple[float, str]]
    unit: str
    layers: Sequence[Layer] = field(default_factory=tuple)
    mark: float | None = None


def drawn(chart: Chart) -> str:
    """The `svg` element."""
    tops = [value for layer in chart.layers for point in layer.points for value in point[1:] if value is not None and isfinite(value)]
    step, top = nice(max(tops, default=1.0))
    frame = _Frame(chart.start, chart.stop, top)
    lines = [f'<text x="0" y="11" class="unit">{escape(chart.unit)}</text>']
    for n in range(round(top / step) + 1):
        y = frame.y(n * step)
        lines.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        lines.append(f'<text x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{n * step:,.10g}</text>')
    lines += [f'<text x="{frame.x(at):.1f}" y="{HEIGHT - 7}" text-anchor="middle">{escape(label)}</text>' for at, label in chart.ticks]
    lines += [shape for layer in chart.layers for shape in _shapes(layer, frame)]
    if chart.mark is not None:
        lines.append(
            f'<line x1="{frame.x(chart.mark):.1f}" x2="{frame.x(chart.mark):.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}" class="mark"/>'
        )
    key = ", ".join(f"{layer.kind}: {layer.name}" for layer in chart.layers if layer.name)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(key or chart.unit)}">{"".join(lines)}</svg>{_key(chart.layers)}'


def nice(most: float) -> tuple[float, float]:
    """Distance of the ticks and the end of an axis that holds `most`, in numbers people count in."""
    if most <= 0 or not isfinite(most):
        return 1.0, 1.0
    rough = most / _TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(power * one for one in (1, 2, 5, 10) if power * one >= rough)
    return step, step * max(1, -(-most // step))


@dataclass(frozen=True, slots=True)
class _Frame:
    start: float
    stop: float
    top: float

    def x(self, at: float) -> float:
        return _LEFT + (at - self.start) / (self.stop - self.start or 1) * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - _BOTTOM - value / self.top * (HEIGHT - _TOP - _BOTTOM)


def _shapes(layer: Layer, frame: _Frame) -> list[str]:
    ink = _INK[layer.kind]
    known = [tuple(value for value in point if value is not None) for point in layer.points]
    if layer.kind == "band":
        whole = [one for one in known if len(one) == 3]
        there = [f"{frame.x(x):.1f},{frame.y(high):.1f}" for x, _, high in whole]
        back = [f"{frame.x(x):.1f},{frame.y(low):.1f}" for x, low, _ in reversed(whole)]
        return [f'<polygon points="{" ".join(there + back)}" fill="{ink}"/>']
    if layer.kind == "bars":
        wide = (frame.x(frame.stop) - frame.x(frame.start)) / max(1, len(known)) * 0.86
        return [
            f'<rect x="{frame.x(one[0]) - wide / 2:.1f}" y="{frame.y(one[1]):.1f}" width="{wide:.1f}" height="{frame.y(0) - frame.y(one[1]):.1f}" fill="{ink}"/>'
            for one in known
            if len(one) == 2
        ]
    if layer.kind == "dots":
        return [f'<circle cx="{frame.x(one[0]):.1f}" cy="{frame.y(one[1]):.1f}" r="1.6" fill="{ink}"/>' for one in known if len(one) == 2]
    dashes = ' stroke-dasharray="4 3"' if layer.kind == "dashes" else ""
    return [f'<path d="{path}" fill="none" stroke="{ink}" stroke-width="1.5"{dashes}/>' for path in _paths(layer, known, frame)]


def _paths(layer: Layer, known: Sequence[tuple[float, ...]], frame: _Frame) -> list[str]:
    """One a stretch without gaps."""
    paths: list[list[str]] = [[]]
    for one in known:
        if len(one) < 2:
            paths.append([])
            continue
        x, y = frame.x(one[0]), frame.y(one[1])
        paths[-1].append(f"{'M' if not paths[-1] else 'L' if layer.kind != 'steps' else f'H{x:.1f}L'}{x:.1f},{y:.1f}")
    return ["".join(path) for path in paths if path]


def _key(layers: Sequence[Layer]) -> str:
    named = [layer for layer in layers if layer.name]
    items = "".join(
        f'<span><i class="{layer.kind}" style="background:{_INK[layer.kind]}"></i>{escape(layer.name)}</span>' for layer in named
    )
    return f'<p class="key">{items}</p>' if named else ""
