"""Nothing of an exercise leaves: only these modules, all of them this node's own, ask the journal for exercises (docs/exercises.md)."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Module -> why it may see exercises. A channel that tells anybody outside must never stand here.
MAY_ASK = {
    "tocsin/app/alertsview.py": "the alerts of exercises are in the view, marked",
    "tocsin/app/serve.py": "the console of this node, on loopback",
    "tocsin/app/past.py": "replays in the same console",
    "tocsin/app/then.py": "tocsin alerts, which writes EXERCISE before them",
    "tocsin/app/exercise.py": "the score",
    "tocsin/app/exercising.py": "which alerts the exercise's own engine has told",
    "tocsin/app/injecting.py": "how far the exercise was injected",
}


def asks(path: Path) -> bool:
    """Whether the module calls anything with `exercise=True`, but for the engine's own mark on alerts."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    readers = [
        call for call in calls if getattr(call.func, "id", getattr(call.func, "attr", "")) in ("read", "read_alerts", "tail", "skim")
    ]
    return any(word.arg == "exercise" for call in readers for word in call.keywords)


def test_only_the_nodes_own_screens_and_commands_ask_for_exercises() -> None:
    asking = {str(path.relative_to(ROOT)) for path in (ROOT / "tocsin").rglob("*.py") if asks(path)}
    assert asking == set(MAY_ASK)


def test_leaving_out_is_the_default() -> None:
    for file, function in (("reader.py", "read"), ("alerts.py", "read_alerts")):
        tree = ast.parse((ROOT / "tocsin" / "journal" / file).read_text())
        [found] = [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef) and node.name == function]
        defaults = dict(zip((one.arg for one in found.args.kwonlyargs), found.args.kw_defaults, strict=True))
        assert isinstance(default := defaults["exercise"], ast.Constant) and default.value is False
