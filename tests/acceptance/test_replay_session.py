"""A replay of a real node shows what the live screen showed, at a thousand times the speed, while the node goes on."""

from __future__ import annotations
