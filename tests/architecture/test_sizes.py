"""Modules and functions stay small enough to be read; an exception is listed here with its reason."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE_LINES, FUNCTION_LINES = 500, 60
MODULE_EXCEPTIONS: dict[str, str] = {}
FUNCTION_EXCEPTIONS: dict[str, str] = {}


def modules() -> list[Path]:
    return [path for folder in ("tocsin", "bench", "scripts") for path in (ROOT / folder).rglob("*.py")]


def test_modules_are_small() -> None:
    sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules()}
    long = {name: size for name, size in sizes.items() if size > MODULE_LINES and name not in MODULE_EXCEPTIONS}
    assert not long
    assert all(sizes.get(name, 0) > MODULE_LINES for name in MODULE_EXCEPTIONS), "an exception that is no longer needed"


def test_typescript_modules_are_small() -> None:
    files = [path for path in (ROOT / "console" / "src").rglob("*") if path.suffix in {".ts", ".tsx"}]
    assert files
    assert not {path.name for path in files if len(path.read_text().splitlines()) > MODULE_LINES}


def test_functions_are_small() -> None:
    long = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or 0) - node.lineno + 1
                name = f"{path.relative_to(ROOT)}:{node.name}"
                if size > FUNCTION_LINES and name not in FUNCTION_EXCEPTIONS:
                    long[name] = size
    assert not long


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "tocsin").rglob("*.py")
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent
