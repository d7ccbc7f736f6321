"""The base of all reply types."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """Base of all: nothing unknown may appear."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
