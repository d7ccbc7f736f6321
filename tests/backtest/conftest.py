"""Kits of other rooms that these tests stand on: journals in memory, and an API in memory."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path += [str(Path(__file__).parents[1] / room) for room in ("correlate_run", "api")]
