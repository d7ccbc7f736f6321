"""A city's configuration as one value: its YAML files as they were read, and the contents of its layer files by hash.

This is what a journal entry keeps, so that everything that reads the journal knows which rules were in force at which entry. Map tiles
and recordings are not part of it: they change no alert.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tocsin.kernel import durable
from tocsin.kernel.fault import Fatal, Misconfigured
from tocsin.model.city import City

if TYPE_CHECKING:
    from .load import Report

_FOLDERS: Final = ("feeds", "rules")
_LARGEST: Final = 256 << 20  # bytes of texts that are unpacked at most


@dataclass(frozen=True, slots=True)
class Bundle:
    """`texts`: file -> text. `layers`: layer file as the city names it -> sha256 of its content."""

    texts: Mapping[str, str]
    layers: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """16 hex digits over everything in it."""
        return hashlib.sha256(self._json()).hexdigest()[:16]

    def encode(self) -> bytes:
        """As a journal entry keeps it: JSON, deflated."""
        return zlib.compress(self._json(), 6)

    def files(self) -> dict[str, str]:
        """Layer file as the city names it -> name of the file that keeps its content."""
        return {name: digest + Path(name).suffix for name, digest in self.layers.items()}

    def _json(self) -> bytes:
        return json.dumps({"texts": dict(self.texts), "layers": dict(self.layers)}, sort_keys=True, ensure_ascii=False).encode()

    def read(self, root: Path, contents: Path | None = None, *, in_force: bool = False) -> Report:
        """The city of these texts. `root`: its directory, for everything that is not part of the bundle. `contents`: folder with the
        contents of layer files by hash; None takes the layer files as they are now. `in_force`: it has been in force once, so that a journal is read with it."""
        from .load import Home, read_city  # a process that was handed its city has not read one

        pinned = {name: contents / file for name, file in self.files().items()} if contents is not None else {}
        with tempfile.TemporaryDirectory(prefix="tocsin-config-") as folder:
            for name, text in self.texts.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text.encode())
            report = read_city(Path(folder), home=Home(root, pinned), in_force=in_force)
        report.root = root
        return report


def decode(content: bytes) -> Bundle:
    """Raises Fatal when it is not a bundle."""
    try:
        unpacker = zlib.decompressobj()
        found: Any = json.loads(unpacker.decompress(content, _LARGEST))
        return Bundle(found["texts"], found["layers"])
    except (zlib.error, ValueError, KeyError, TypeError) as fault:
        raise Fatal(f"a configuration that was put into the journal cannot be read: {type(fault).__name__}: {fault}") from None


def yaml_files(folder: Path) -> list[Path]:
    """Those of a folder that are read, in order. Hidden ones are leavings of editors and file managers."""
    return sorted(path for path in folder.glob("*.yaml") if not path.name.startswith("."))


def texts_of(root: Path) -> dict[str, str]:
    """Every YAML file that says what a node does, and what was learnt for its rules. Raises OSError, Misconfigured for one that is no UTF-8."""
    files = [root / "city.yaml", *(path for folder in _FOLDERS for path in yaml_files(root / folder))]
    layers = _layers_file(root)
    if inside(layers) and (root / layers).is_file():
        files.append(root / layers)
    files += sorted((root / "baselines").glob("*.csv"))
    return {path.relative_to(root).as_posix(): _text(path, path.relative_to(root).as_posix()) for path in files}


def inside(name: str) -> bool:
    """Whether a file that city.yaml names lies in the city directory, so that it can be part of the bundle."""
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _text(path: Path, name: str) -> str:
    from tocsin.kernel.document import not_utf8  # as below

    body = path.read_bytes()
    try:
        return body.decode()
    except UnicodeDecodeError as fault:
        raise Misconfigured([not_utf8(name, body, fault)]) from None


def _layers_file(root: Path) -> str:
    """What city.yaml calls it; the usual name where it does not say, or cannot be read, which others tell."""
    from tocsin.kernel.document import read_file  # a process that was handed its city reads no YAML

    documents, _ = read_file(root / "city.yaml", "city.yaml")
    table = documents[0].root.value if documents else None
    named = table.get("layers") if isinstance(table, Mapping) else None
    return named.value if named is not None and isinstance(named.value, str) and not named.empty else "layers.yaml"


def pinned(bundle: Bundle, city: City, contents: Path) -> Bundle:
    """The bundle with the layer files of its city, whose contents are kept on disk in this folder by hash. Raises OSError."""
    from .load import Home

    contents.mkdir(mode=0o700, parents=True, exist_ok=True)
    home, layers = Home(city.root), {}
    for layer in city.layers:
        if layer.kind != "tiles":
            body = layer.path.read_bytes()
            digest = layers[home.name(layer.path)] = hashlib.sha256(body).hexdigest()
            kept = contents / (digest + layer.path.suffix)
            if not kept.exists():
                durable.replace(kept, body)  # a journal entry is about to name it
    return Bundle(bundle.texts, layers)
