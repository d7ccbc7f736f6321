"""The compiled heart: small numba functions over flat arrays, cached under a hash of all their sources.

numba checks only the file a function stands in, not the files it calls into or takes constants from, so a cache from before a
change could answer with half-old kernels. The folder's name makes that impossible.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numba

HERE = Path(__file__).parent


def source_hash() -> str:
    """16 hex digits over all kernel sources and the compiler's version."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(HERE.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Beside the sources when that can be written, else in the user's cache; `NUMBA_CACHE_DIR` goes before both."""
    if os.environ.get("NUMBA_CACHE_DIR"):
        base = Path(os.environ["NUMBA_CACHE_DIR"])
    elif os.access(HERE, os.W_OK):
        base = HERE / "__pycache__"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tocsin"
    return base / f"kernels-{source_hash()}"


numba.config.CACHE_DIR = str(cache_folder())  # type: ignore[attr-defined]  # set from the environment at import
