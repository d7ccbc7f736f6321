"""`GET /layers`, `GET /layers/{name}`, `/tiles/{name}.pmtiles`: map layers as GeoJSON, tiles as byte ranges."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request, Response
from starlette.datastructures import Headers
from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from .doors import Doors, reply, unchanged
from .eventjson import Json
from .models import LayersOut
from .problem import Problem, one_of, problem_response
from .services import LayerView, Services, TileView

GEOJSON: Final = "application/geo+json"
PMTILES: Final = "application/vnd.pmtiles"
#: Layers change only with the city's configuration; the browser asks again whether they have (ETag).
_CACHE: Final = {"cache-control": "no-cache"}


def add(doors: Doors) -> None:
    services = doors.services

    @doors.get("/api/v1/layers", "layers", LayersOut)
    async def layers() -> Response:
        """All map layers: GeoJSON to load whole, and PMTiles to read by range."""
        items = [_layer_json(layer) for layer in services.layers.values()] + [_tiles_json(tiles) for tiles in services.tiles.values()]
        return reply({"items": items})

    @doors.get("/api/v1/layers/{name}", "layers", None, media_type=GEOJSON, problems={404: "no such layer"})
    async def layer(name: str, request: Request) -> Response:
        """One layer as GeoJSON (RFC 7946)."""
        found = services.layers.get(name)
        if found is None:
            raise _no_layer(services, name)
        headers = {**_CACHE, "etag": found.etag}
        if unchanged(request, found.etag):
            return Response(status_code=304, headers=headers)
        return Response(found.body, headers=headers, media_type=GEOJSON)

    @doors.get(
        "/tiles/{name}.pmtiles",
        "tiles",
        None,
        media_type=PMTILES,
        head=True,
        problems={404: "no such tiles", 416: "no such range"},
    )
    async def tiles(name: str) -> Any:
        """A PMTiles archive; ask for byte ranges (RFC 9110, 14)."""
        found = services.tiles.get(name)
        if found is None:
            raise Problem(
                404,
                f"There are no tiles called {name!r}; valid is {one_of(name, services.tiles)}.",
            )
        if not found.path.is_file():
            raise Problem(404, f"The file of the tiles {name!r} has gone from the city directory since this server started.")
        return RangeResponse(found.path, media_type=PMTILES, headers=_CACHE)


class RangeResponse(FileResponse):
    """A file by ranges; what is wrong with a range is said as problem details."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused: Problem | None = None

        async def checked(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] >= 400:
                headers = Headers(raw=message["headers"])
                asked = Headers(scope=scope).get("range", "")[:80]
                words = (
                    f"Range: found {asked!r}; valid is like 'bytes=0-16383' within the file ({headers.get('content-range', 'its size')})"
                )
                kept = {"content-range": headers["content-range"]} if "content-range" in headers else None
                refused = Problem(message["status"], words, slug="range", headers=kept)
            elif refused is None:
                await send(message)

        await super().__call__(scope, receive, checked)
        if refused is not None:
            await problem_response(Request(scope), refused)(scope, receive, send)


def _no_layer(services: Services, name: str) -> Problem:
    if name in services.tiles:
        return Problem(404, f"The layer {name!r} is tiles; read it by range at /tiles/{name}.pmtiles.")
    return Problem(404, f"There is no layer {name!r}; valid is {one_of(name, services.layers)}.")


def _layer_json(layer: LayerView) -> Json:
    return {
        "name": layer.name,
        "title": layer.title,
        "kind": layer.kind,
        "licence": layer.licence,
        "url": f"/api/v1/layers/{layer.name}",
        "bbox": list(layer.bbox) if layer.bbox else None,
        "features": layer.features,
        "name_field": layer.name_field,
        "min_zoom": None,
        "max_zoom": None,
        "tile_type": None,
    }


def _tiles_json(tiles: TileView) -> Json:
    return {
        "name": tiles.name,
        "title": tiles.title,
        "kind": "tiles",
        "licence": tiles.licence,
        "url": f"/tiles/{tiles.name}.pmtiles",
        "bbox": list(tiles.bbox),
        "features": None,
        "name_field": None,
        "min_zoom": tiles.min_zoom,
        "max_zoom": tiles.max_zoom,
        "tile_type": tiles.tile_type,
    }
