"""docs/add-a-feed.md does what it says."""

from __future__ import annotations

import re
from pathlib import Path

from tocsin.config.feeds import parse_feeds
from tocsin.feeds import formats
from tocsin.feeds.tryfile import describe

PAGE = (Path(__file__).parents[3] / "docs" / "add-a-feed.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_feed_of_the_page_decodes_the_sample_of_the_page() -> None:
    (spec,), problems = parse_feeds(block("yaml"))
    assert problems == []
    found = describe(spec, block("json").encode())
    assert [row["source"] for row in found.rows] == ["12134500", "12149000"]
    assert found.rows[0]["id"] == "12134500@1765832700000"
    assert found.rows[0]["attrs.flow"] == "512.5"
    assert "Doe" not in str(found)


def test_the_reason_on_the_page_is_the_reason_given() -> None:
    (spec,), _ = parse_feeds(block("yaml"))
    (refused,) = describe(spec, block("json").encode()).refused
    assert refused.reason in PAGE
    assert refused.raw == ""


def test_every_format_is_on_the_page() -> None:
    assert not [name for name in formats.FORMATS if f"| `{name}` |" not in PAGE]
