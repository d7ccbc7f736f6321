"""Reports as one page for paper: what each says, drawn and as a table, with its notes, units and the queries behind it. Loads nothing from anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.model.reporting import Report
from tocsin.model.time import EPOCH
from tocsin.query.export.objects import plain

from .svg import Chart, Layer, drawn

#: Rows of a table that are printed; the rest is said.
ROWS: Final = 72
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_STYLE: Final = """
@page { size: A4; margin: 15mm 14mm; }
body { font: 10pt/1.4 "Inter", "Helvetica Neue", Arial, "Noto Sans", sans-serif; color: #111; max-width: 190mm; margin: 0 auto; font-variant-numeric: tabular-nums; }
h1 { font-size: 17pt; margin: 0; } h2 { font-size: 13pt; margin: 0 0 1mm; } .meta, .note { color: #444; margin: 1mm 0; } .note { font-size: 8.5pt; }
section { margin: 7mm 0 0; border-top: .4mm solid #111; padding-top: 3mm; } section.chart { break-inside: avoid-page; }
svg { display: block; width: 100%; margin: 2mm 0 0; } svg text { font-size: 10px; fill: #333; } svg .unit { fill: #111; }
.grid { stroke: #ccc; stroke-width: .6; } .mark { stroke: #b54708; stroke-dasharray: 5 3; }
.key { display: flex; gap: 5mm; font-size: 8.5pt; margin: 1mm 0 2mm; } .key i { display: inline-block; width: 3.2mm; height: 3.2mm; margin-right: 1.5mm; vertical-align: -.4mm; }
.key i.line, .key i.steps, .key i.dashes { height: .8mm; vertical-align: .8mm; } .key i.dots { border-radius: 50%; width: 2mm; height: 2mm; }
dl { display: flex; flex-wrap: wrap; gap: 1mm 7mm; margin: 1mm 0; } dl div { display: flex; gap: 1.5mm; } dt { color: #444; } dd { margin: 0; font-weight: 600; }
table { border-collapse: collapse; width: 100%; font-size: 8pt; margin: 2mm 0; } thead { display: table-header-group; } tr { break-inside: avoid; } section.chart + table, section.chart + p { break-before: avoid; }
th, td { text-align: left; padding: .6mm 2.5mm .6mm 0; border-bottom: .15mm solid #bbb; vertical-align: top; } th small { display: block; font-weight: 400; color: #444; }
td.n, th.n { text-align: right; } pre { font-size: 7pt; white-space: pre-wrap; overflow-wrap: anywhere; background: #f3f4f6; padding: 2mm; }
* { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
"""


def page(
    city: str, zone: str, made_at: int, span: str, reports: Sequence[Report], refused: Mapping[str, str], commands: Mapping[str, str]
) -> str:
    """HTML. `made_at`: µs. `refused`: reports that could not be made, and why. `commands`: what makes each again."""
    at = _moment(EPOCH + timedelta(microseconds=made_at), ZoneInfo(zone))
    head = f"<h1>{escape(city)}</h1><p class=meta>{escape(span)}. Made {at}. Hours and days are of {escape(zone)}, unless a column says otherwise.</p>"
    parts = [_section(one, ZoneInfo(zone), commands.get(one.name, "")) for one in reports]
    parts += [f"<section><h2>{escape(name)}</h2><p>Could not be made: {escape(why)}.</p></section>" for name, why in refused.items()]
    title = f"{city}: {', '.join(one.name for one in reports)}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style></head>'
        f"<body>{head}{''.join(parts)}</body></html>"
    )


def _section(made: Report, zone: ZoneInfo, command: str) -> str:
    facts = "".join(f"<div><dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(_text(value))}</dd></div>" for name, value in made.facts)
    draw = _CHARTS.get(made.name)
    chart = drawn(draw(made.table.to_pylist(), zone)) if draw and len(made.table) else ""
    notes = "".join(f"<p class=note>{escape(note)}</p>" for note in made.notes)
    queries = "\n\n".join(([command] if command else []) + list(made.queries))
    behind = f"<p class=note>What made it:</p><pre>{escape(queries)}</pre>" if queries else ""
    return f"<section class=chart><h2>{escape(made.title)}</h2><dl>{facts}</dl>{chart}{notes}</section>{_table(made)}{behind}"


def _table(made: Report) -> str:
    if not len(made.table):
        return "<p>Nothing of that time.</p>"
    table, which = _printed(made)
    names = table.column_names
    columns = [plain(table[name].slice(0, ROWS)) for name in names]
    kinds = ["n" if all(value is None or isinstance(value, int | float) for value in column) else "t" for column in columns]
    units = [f"<small>{escape(made.units[name])}</small>" if name in made.units else "" for name in names]
    head = "".join(
        f"<th class={kind}>{escape(name.replace('_', ' '))}{unit}</th>" for name, kind, unit in zip(names, kinds, units, strict=True)
    )
    rows = "".join(
        f"<tr>{''.join(f'<td class={kind}>{escape(_text(value))}</td>' for value, kind in zip(row, kinds, strict=True))}</tr>"
        for row in zip(*columns, strict=True)
    )
    left = len(made.table) - min(ROWS, len(table))
    more = f"<p class=note>{left} more rows: --out FILE.csv has all.</p>" if left else ""
    return f"{which}<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"


def _printed(made: Report) -> tuple[pa.Table, str]:
    """Of long tables the rows that the chart does not already say, and what they are."""
    if made.name == "volume":
        return made.table.filter(pc.fill_null(made.table["unusual"], fill_value=False)), "<p>Hours far from usual:</p>"
    if made.name == "forecast":
        known = np.flatnonzero(pc.is_valid(made.table["actual"]).to_numpy(zero_copy_only=False))
        return made.table.slice(int(known[-1]) + 1 if len(known) else 0).drop_columns(["actual"]), "<p>The hours to come:</p>"
    return made.table, ""


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (
        f"{value:,.4g}"
        if isinstance(value, float) and abs(value) < 1000
        else f"{value:,.0f}"
        if isinstance(value, int | float)
        else str(value)
    )


def _moment(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def _volume(rows: Sequence[Mapping[str, Any]], _: ZoneInfo) -> Chart:
    usual = [(hour, row["usual"]) for hour, row in enumerate(rows)]
    last = [(hour, row["last"]) for hour, row in enumerate(rows)]
    loud = [(hour + 0.5, row["last"]) for hour, row in enumerate(rows) if row["unusual"]]
    ticks = [(day * 24 + 12, name) for day, name in enumerate(_DAYS)]
    layers = (Layer("dashes", usual, "usual"), Layer("steps", last, "last seven days"), Layer("dots", loud, "far from usual"))
    return Chart(0, len(rows), ticks, "events an hour", layers)


def _forecast(rows: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> Chart:
    local = [row["start"].astimezone(zone) for row in rows]
    ticks = [(n, at.strftime("%a %d %b")) for n, at in enumerate(local) if at.hour == 0]
    first = max((n + 1 for n, row in enumerate(rows) if row["actual"] is not None), default=0)
    layers = (
        Layer("band", [(n, row["low"], row["high"]) for n, row in enumerate(rows)], "where 8 of 10 hours fell"),
        Layer("line", [(n, row["expected"]) for n, row in enumerate(rows)], "expected, always from before"),
        Layer("dots", [(n, row["actual"]) for n, row in enumerate(rows)], "what came"),
    )
    return Chart(0, max(1, len(rows) - 1), ticks[:: max(1, len(ticks) // 8)], "events an hour", layers, mark=first)


def _responses(rows: Sequence[Mapping[str, Any]], _: ZoneInfo) -> Chart:
    """Over all stations the median of their percentiles; the table has each."""
    hours = sorted({row["hour"] for row in rows})
    mean = {
        name: [
            (
                hour,
                sum(row[name] * row["calls"] for row in rows if row["hour"] == hour)
                / sum(row["calls"] for row in rows if row["hour"] == hour)
                / 60,
            )
            for hour in hours
        ]
        for name in ("p50_s", "p90_s")
    }
    layers = (Layer("line", mean["p90_s"], "nine of ten calls"), Layer("dashes", mean["p50_s"], "half of the calls"))
    return Chart(0, 23, [(hour, f"{hour} h") for hour in range(0, 24, 3)], "minutes, weighted by calls of the stations", layers)


def _coverage(rows: Sequence[Mapping[str, Any]], _: ZoneInfo) -> Chart:
    bars = [(n + 0.5, row["people"]) for n, row in enumerate(rows)]
    return Chart(
        0, len(rows), [(n + 0.5, f"{row['within_m'] / 1000:g} km") for n, row in enumerate(rows)], "people within", (Layer("bars", bars),)
    )


_CHARTS: Final[Mapping[str, Callable[[Sequence[Mapping[str, Any]], ZoneInfo], Chart]]] = {
    "volume": _volume,
    "forecast": _forecast,
    "responses": _responses,
    "coverage": _coverage,
}
