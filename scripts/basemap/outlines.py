"""Turns public outline files into the line-delimited GeoJSON that tippecanoe makes tiles of.

    python outlines.py world --countries countries-50m.json --states states-10m.json --out DIR
    python outlines.py city --blocks blocks.parquet --neighbourhoods hoods.geojson --counties cb_us_county_5m.shp \\
        --county-names counties-10m.json --out DIR

Layers of every basemap tile file, which the console draws when it finds them: `frame` (where this file replaces coarser ones; its
colour is water), `land` (ground without detail), `city` (ground with detail), `streets` (lines; class `minor` or `major`), `borders` (lines; class `country`, `state` or `county`), `places` (points; `name`, `rank`).
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import shapely
from shapely import affinity
from shapely.geometry import box, mapping, shape
from shapely.geometry.base import BaseGeometry
from topo import Named, Topology

#: Geometry, properties, hints to tippecanoe.
Feature = tuple[BaseGeometry, dict[str, Any], dict[str, Any]]

#: Degrees of latitude per metre; longitudes are stretched to match before anything is measured.
METRE = 1 / 111_320
#: Ground within this distance on both sides of a gap makes the gap water: census water blocks are absent from the block file.
GAP_M = 700.0
#: Strips of coarse coast thinner than this beside the exact outline are errors of the coarse file.
SLIVER_M = 350.0
#: How far beyond the city the coarse outlines go, in degrees.
MARGIN = 1.2


def write(path: Path, features: Iterable[Feature]) -> None:
    """(geometry, properties, tippecanoe hints) -> one feature a line."""
    with path.open("w", encoding="utf-8") as out:
        for geometry, properties, hints in features:
            if geometry.is_empty:
                continue
            row = {"type": "Feature", "properties": properties, "geometry": mapping(geometry)}
            if hints:
                row["tippecanoe"] = hints
            out.write(json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n")


def world(args: argparse.Namespace) -> None:
    countries, states = Topology(args.countries), Topology(args.states)
    write(args.out / "world_land.ndjson", [(part, {}, {}) for part in shapely.get_parts(countries.whole("land"))])
    borders = [(countries.shared_lines("countries"), {"class": "country"}, {})]
    borders.append((states.shared_lines("states"), {"class": "state"}, {"minzoom": 3}))
    write(args.out / "world_borders.ndjson", borders)

    def labels() -> Iterator[Feature]:
        for country in countries.shapes("countries"):
            rank = 1 if country.geometry.area > 60 else 2 if country.geometry.area > 8 else 3
            yield country.label_point(), {"name": country.name, "rank": rank}, {"minzoom": rank}
        for state in states.shapes("states"):
            yield state.label_point(), {"name": state.name, "rank": 4}, {"minzoom": 4}

    write(args.out / "world_places.ndjson", labels())


def city(args: argparse.Namespace) -> None:
    import pyarrow.parquet as parquet

    table = parquet.read_table(args.blocks, columns=["geometry", "tract_geoid"])
    blocks = shapely.from_wkb(table["geometry"].to_pylist())
    tracts = table["tract_geoid"].to_pylist()
    ground = shapely.unary_union(blocks)
    frame = framed(ground)
    land = coarse_land(args.counties, ground, frame)
    write(args.out / "city_frame.ndjson", [(frame, {}, {})])
    write(args.out / "city_land.ndjson", [(part, {}, {}) for part in shapely.get_parts(land)])
    write(args.out / "city_ground.ndjson", [(part, {}, {}) for part in shapely.get_parts(ground)])
    write(args.out / "city_borders.ndjson", county_lines(args.counties, frame))
    write(args.out / "city_streets.ndjson", streets(blocks, tracts))
    names = [*neighbourhood_labels(args.neighbourhoods), *county_labels(args.county_names, frame)]
    write(args.out / "city_places.ndjson", names)


def framed(ground: BaseGeometry) -> BaseGeometry:
    """Where the city's file replaces coarser ones; what lies in it and is not land is water."""
    west, south, east, north = ground.bounds
    return box(west - MARGIN, south - MARGIN, east + MARGIN, north + MARGIN)


def coarse_land(counties: Path, ground: BaseGeometry, frame: BaseGeometry) -> BaseGeometry:
    """County land around the city, without the city itself, its inner water and the coarse coast's overlap with the exact one."""
    land = shapely.unary_union(counties_in(counties, frame))
    return as_degrees(opened(as_metric(land.difference(ground), ground).difference(inner_water(ground)), SLIVER_M / 2), ground)


def counties_in(counties: Path, frame: BaseGeometry) -> list[BaseGeometry]:
    import shapefile

    with shapefile.Reader(shp=counties.open("rb"), shx=counties.with_suffix(".shx").open("rb")) as reader:
        near = [shape(found.__geo_interface__) for found in reader.iterShapes() if box(*found.bbox).intersects(frame)]
    return [shapely.make_valid(one).intersection(frame) for one in near]


def county_lines(counties: Path, frame: BaseGeometry) -> Iterator[Feature]:
    """Lines between two counties; not their coasts."""
    areas = counties_in(counties, frame)
    for at, one in enumerate(areas):
        for other in areas[at + 1 :]:
            shared = one.boundary.intersection(other.boundary)
            for line in shapely.get_parts(shared):
                if line.length > 0:
                    yield line, {"class": "county"}, {}


def county_labels(names: Path, frame: BaseGeometry) -> Iterator[Feature]:
    for county in Topology(names).shapes("counties"):
        if county.geometry.intersects(frame):
            seen = Named(county.name, county.geometry.intersection(frame))
            if seen.geometry.area > 0.02:
                yield seen.label_point(), {"name": f"{county.name} County", "rank": 4}, {"maxzoom": 10}


def inner_water(ground: BaseGeometry) -> BaseGeometry:
    """Gaps in the block outlines that have city on both sides: lakes, canals and harbours (census water blocks)."""
    flat = as_metric(ground, ground)
    closed = flat.buffer(GAP_M, quad_segs=4).buffer(-GAP_M, quad_segs=4)
    return shapely.unary_union(
        [closed.difference(flat), *(shapely.Polygon(ring) for part in shapely.get_parts(flat) for ring in part.interiors)]
    )


def opened(area: BaseGeometry, radius: float) -> BaseGeometry:
    return area.buffer(-radius, join_style="mitre").buffer(radius, join_style="mitre").intersection(area)


def as_metric(area: BaseGeometry, about: BaseGeometry) -> BaseGeometry:
    """Degrees -> metres on a plane that is true at the latitude of `about`; good to a per cent over a city."""
    return affinity.scale(area, cosine(about) / METRE, 1 / METRE, origin=(0, 0))


def as_degrees(area: BaseGeometry, about: BaseGeometry) -> BaseGeometry:
    return affinity.scale(area, METRE / cosine(about), METRE, origin=(0, 0))


def cosine(about: BaseGeometry) -> float:
    return math.cos(math.radians(about.centroid.y))


def streets(blocks: Any, tracts: list[str]) -> Iterator[Feature]:
    """Block outlines, each once. Lines between census tracts follow main streets and shores: they are `major`."""
    members: dict[str, list[BaseGeometry]] = {}
    for block, tract in zip(blocks, tracts, strict=True):
        members.setdefault(tract, []).append(block)
    major = shapely.unary_union([shapely.unary_union(group).boundary for group in members.values()])
    minor = shapely.unary_union(shapely.boundary(blocks)).difference(major.buffer(1e-7))
    for line in shapely.get_parts(shapely.line_merge(major)):
        yield line, {"class": "major"}, {"minzoom": 8}
    for line in shapely.get_parts(shapely.line_merge(minor)):
        yield line, {"class": "minor"}, {"minzoom": 11}


def neighbourhood_labels(path: Path) -> Iterator[Feature]:
    for feature in json.loads(path.read_text(encoding="utf-8"))["features"]:
        area = shapely.make_valid(shape(feature["geometry"]))
        rank = 5 if area.area > 4e-4 else 6
        yield (
            shapely.Point(shapely.maximum_inscribed_circle(area, 1e-4).coords[0]),
            {"name": feature["properties"]["name"], "rank": rank},
            {"minzoom": 10},
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run, inputs in (
        ("world", world, ("countries", "states")),
        ("city", city, ("blocks", "neighbourhoods", "counties", "county-names")),
    ):
        command = commands.add_parser(name)
        for one in (*inputs, "out"):
            command.add_argument(f"--{one}", type=Path, required=True)
        command.set_defaults(run=run)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
