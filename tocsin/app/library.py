"""The archive of a node as the API and the commands ask it: questions over its folder, answers in every format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tocsin.archive.holdings import Archive
from tocsin.geo.layers import LoadedLayer
from tocsin.model.asking import Answer
from tocsin.query.ask import Questions
from tocsin.query.engine import Engine
from tocsin.query.export import binary, vector_tile
from tocsin.query.export.formats import format_of
from tocsin.query.export.objects import Json, objects
from tocsin.query.places import Places
from tocsin.query.rows import Limits
from tocsin.query.zones import Zones


class Library(Questions):
    """`archive`: its folder, or what reads it; `cache`: where the table of places of sources lies, None for none; `layers`: those in force.
    `engine`: what questions are put to; a `spark.sums.SparkEngine` answers series and cells."""

    def __init__(
        self,
        archive: Path | Archive,
        cache: Path | None,
        layers: Callable[[], Mapping[str, LoadedLayer]],
        limits: Limits | None = None,
        engine: Engine | None = None,
    ) -> None:
        if cache is not None:
            cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._zones: dict[str, tuple[str, Zones]] = {}
        self._loaded = layers
        places = Places(None if cache is None else cache / "places.db")
        holdings = archive if isinstance(archive, Archive) else Archive(archive)
        super().__init__(holdings, places, self._polygons, engine=engine or Engine(), limits=limits)

    def _polygons(self) -> Mapping[str, Zones]:
        """Layers of polygons; their trees are kept until a layer changes."""
        for name, layer in self._loaded().items():
            if layer.kind == "polygons" and self._zones.get(name, ("",))[0] != layer.etag:
                self._zones[name] = (layer.etag, Zones(layer.named))
        return {name: self._zones[name][1] for name, layer in self._loaded().items() if layer.kind == "polygons"}

    def items(self, answer: Answer) -> list[Json]:
        """Rows as JSON objects."""
        return objects(answer.table)

    def known_format(self, form: str) -> None:
        """Raises Refused for a format that is none."""
        format_of(form)

    def encoded(self, answer: Answer, form: str) -> tuple[bytes, str, str]:
        """The file, its media type and its name."""
        chosen = format_of(form)
        return chosen.encode(answer.table), chosen.media_type, f"tocsin.{chosen.suffix}"

    def columns(self, answer: Answer) -> tuple[bytes, str]:
        return binary.to_points(answer), binary.MEDIA_TYPE

    def vector_tile(self, answer: Answer) -> tuple[bytes, str]:
        return vector_tile.to_tile(answer.table), vector_tile.MEDIA_TYPE
