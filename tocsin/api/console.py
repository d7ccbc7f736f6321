"""The built console as static files: hashed assets for ever, the page itself always asked again, every path of the app the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse
from starlette.routing import Match

from .doors import unchanged
from .problem import CATCH_ALL, Problem

_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_API: Final = ("api", "tiles", "metrics", "healthz", "readyz")
_TYPES: Final = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".webmanifest": "application/manifest+json",
    ".wasm": "application/wasm",
}
_NOT_BUILT: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Tocsin</title>
<h1>The console is not built</h1><p>Run <code>make setup</code> in the project and start again. The API works: <a href="/api/openapi.json">/api/openapi.json</a>.</p>"""


def add(app: FastAPI, folder: Path | None) -> None:
    root = folder.resolve() if folder is not None and (folder / "index.html").is_file() else None

    async def console(path: str, request: Request) -> Any:
        """Open to whoever may connect: it shows no data."""
        if path.partition("/")[0] in _API:
            raise _no_route(app, request)
        if root is None:
            return Response(_NOT_BUILT, 503 if not path else 404, media_type="text/html")
        file = _file(root, path)
        if file is None:
            if "." in path.rpartition("/")[2]:
                raise Problem(404, f"The console has no file {request.url.path}.")
            file = root / "index.html"  # a path inside the app
        hashed = file.parent == root / "assets"
        headers = {"cache-control": _FOR_EVER if hashed else _ASK_AGAIN}
        response = FileResponse(file, media_type=_TYPES.get(file.suffix), headers=headers, stat_result=file.stat())
        etag = response.headers["etag"]
        return Response(status_code=304, headers={**headers, "etag": etag}) if unchanged(request, etag) else response

    app.add_api_route(CATCH_ALL, console, methods=["GET", "HEAD"], include_in_schema=False)


def _no_route(app: FastAPI, request: Request) -> HTTPException:
    """This route takes every GET, so it also has to say 405 where another route has the path but not the method."""
    partial = [route for route in app.routes if isinstance(route, APIRoute) and route.matches(request.scope)[0] is Match.PARTIAL]
    methods = sorted({method for route in partial for method in route.methods or ()})
    return HTTPException(405, headers={"Allow": ", ".join(methods)}) if methods else HTTPException(404)


def _file(root: Path, path: str) -> Path | None:
    """The file at this path inside the folder; None for what is not there or outside it."""
    if not path or "\x00" in path:
        return None
    try:
        file = (root / path).resolve()
        return file if file.is_relative_to(root) and file.is_file() else None
    except OSError:  # a name that is too long
        return None
