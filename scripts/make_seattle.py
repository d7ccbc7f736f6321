"""Cut the recorded data of examples/seattle out of the original public files.

    python scripts/make_seattle.py ORIGINALS examples/seattle

ORIGINALS holds the files named in examples/seattle/DATA.md. Nothing is invented: rows are selected, columns dropped, and the
fire calls are written back in the publisher's own CSV layout, with its wrong "+0000" on local times, because a connector
must cope with exactly that.
"""

from __future__ import annotations

import csv
import json
import sys
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq

CALL_DAYS = {"july": ("2017-07-03", "2017-07-04", "2017-07-05"), "august": ("2017-08-03", "2017-08-04")}
SMOKE_FROM, SMOKE_TO = "2015-08-22T00:00", "2015-08-26T12:00"  # local midnight is 07:00Z
NORTHWEST = (-130.0, 40.0, -115.0, 52.0)
PUGET_SOUND = (-123.2, 46.9, -121.5, 48.3)


def inside(box: tuple[float, float, float, float], lon: float, lat: float) -> bool:
    return box[0] <= lon <= box[2] and box[1] <= lat <= box[3]


def calls(source: Path, target: Path) -> None:
    """The publisher's CSV: local times marked +0000, duplicates left in."""
    rows = pq.read_table(source / "calls/seattle_fire_911_2017-01_to_2017-09.parquet").to_pylist()
    rows.sort(key=lambda row: row["time_local"])
    for name, days in CALL_DAYS.items():
        with (target / f"recorded/fire_calls_2017_{name}.csv").open("w", newline="") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(["Address", "Type", "Datetime", "Latitude", "Longitude", "Report Location", "Incident Number"])
            for row in rows:
                if row["time_local"][:10] in days:
                    when = datetime.fromisoformat(row["time_local"]).strftime("%m/%d/%Y %I:%M:%S %p +0000")
                    lat, lon = round(row["lat"], 6), round(row["lon"], 6)
                    spot = f"({lat}, {lon})"
                    out.writerow([row["address"], row["type"], when, lat, lon, spot, row["incident_number"]])


def quakes(source: Path, target: Path) -> None:
    week = json.loads((source / "environment/usgs_earthquakes_week.geojson").read_text())
    week["features"] = [
        feature for feature in week["features"] if feature["geometry"] and inside(NORTHWEST, *feature["geometry"]["coordinates"][:2])
    ]
    (target / "recorded/earthquakes_2018_week.geojson").write_text(json.dumps(week, separators=(",", ":")))


def warnings(source: Path, target: Path) -> None:
    """Warnings for Washington state: polygons around Puget Sound, and those named by zone only; boilerplate parameters dropped."""
    snapshot = json.loads((source / "alerts/nws/active_2025-12-15_northwest_flood.geojson").read_text())
    kept = []
    for feature in snapshot["features"]:
        zones = feature["properties"]["geocode"]["UGC"]
        corners = feature["geometry"]["coordinates"][0] if feature["geometry"] else []
        near = not corners or any(inside(PUGET_SOUND, *corner[:2]) for corner in corners)
        if near and any(zone.startswith("WA") for zone in zones):
            feature["properties"].pop("parameters", None)
            kept.append(feature)
    kept.sort(key=lambda feature: feature["properties"]["sent"])
    (target / "recorded/nws_warnings_2025-12-15.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": kept}, separators=(",", ":"))
    )


def smoke(source: Path, target: Path) -> None:
    with (source / "environment/smoke_pm25_nw_megafires_stations.csv").open() as file:
        names = {row["station_id"]: row["locationName"] for row in csv.DictReader(file)}
    rows = pq.read_table(source / "environment/smoke_pm25_nw_megafires.parquet").to_pylist()
    with (target / "recorded/smoke_pm25_2015.ndjson").open("w") as file:
        for row in rows:
            when = row["time_utc"].isoformat().replace("+00:00", "Z")
            if SMOKE_FROM <= when < SMOKE_TO and inside(PUGET_SOUND, row["lon"], row["lat"]):
                station = row["station_id"].split("_", 1)[1]
                record = {
                    "station": station,
                    "name": names[row["station_id"]].strip(),
                    "time": when,
                    "pm25": row["pm25_ug_m3"],
                    "lon": row["lon"],
                    "lat": row["lat"],
                }
                file.write(json.dumps(record) + "\n")


def layers(source: Path, target: Path) -> None:
    places = source / "places"
    stations = json.loads((places / "seattle_fire_stations.geojson").read_text())
    for feature in stations["features"]:
        feature["properties"]["name"] = "Fire station " + feature["properties"]["station"].split()[-1]
    (target / "layers/fire_stations.geojson").write_text(json.dumps(stations, separators=(",", ":")))
    features = []
    with (places / "seattle_hospitals.csv").open(encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            geometry = {"type": "Point", "coordinates": [round(float(row["X"]), 6), round(float(row["Y"]), 6)]}
            properties = {"name": row["FACILITY"], "address": row["ADDRESS"], "acute_care": row["ACUTE_CARE"] == "Y"}
            features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    (target / "layers/hospitals.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}, separators=(",", ":")))
    blocks = pq.read_table(places / "seattle_census_blocks_population.parquet").to_pylist()
    with (target / "layers/census_blocks.csv").open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["block", "population", "housing", "lon", "lat"])
        for row in blocks:
            out.writerow([row["block_id"], row["population_2010"], row["housing_2010"], round(row["lon"], 5), round(row["lat"], 5)])
    hoods = json.loads((places / "seattle_neighborhoods.geojson").read_text())

    def rounded(value: object) -> object:
        return [rounded(item) for item in value] if isinstance(value, list) else round(value, 5) if isinstance(value, float) else value

    for feature in hoods["features"]:
        feature["geometry"]["coordinates"] = rounded(feature["geometry"]["coordinates"])
        feature["properties"] = {"name": feature["properties"]["name"]}
    (target / "layers/neighbourhoods.geojson").write_text(json.dumps(hoods, separators=(",", ":")))


def main() -> None:
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    for part in (calls, quakes, warnings, smoke, layers):
        part(source, target)


if __name__ == "__main__":
    main()
