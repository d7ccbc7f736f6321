"""The command line teaches: alone it says where to begin, every command and every action of one has examples of its own that parse."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator

import pytest

from tocsin.cli import CANNOT_RUN, OK, _joined, build_parser, main


def _all(parser: argparse.ArgumentParser, called: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield called, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                yield from _all(sub, f"{called} {name}")


COMMANDS = [one for name, parser in build_parser().commands.items() for one in _all(parser, f"tocsin {name}")]


@pytest.mark.parametrize(("called", "parser"), COMMANDS, ids=[called for called, _ in COMMANDS])
def test_every_command_and_action_has_examples_that_parse(called: str, parser: argparse.ArgumentParser) -> None:
    lines = (parser.epilog or "").splitlines()
    assert lines[0] == "examples:"
    assert len(lines) > 1
    for line in lines[1:]:
        assert line.startswith(f"  {called}")
        words = shlex.split(line)
        build_parser().parse_args(list(_joined(words[1 : words.index("<") if "<" in words else None])))


def test_alone_it_says_where_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == OK
    said = capsys.readouterr().out
    assert "begin here:" in said
    for command in ("tocsin demo", "tocsin check", "tocsin run"):
        assert command in said


@pytest.mark.parametrize(("word", "near"), [("expain", "'explain'"), ("Demo", "'demo'"), ("serach", "'search'")])
def test_a_misspelt_command_is_told_its_neighbour(capsys: pytest.CaptureFixture[str], word: str, near: str) -> None:
    assert main([word, "examples/seattle"]) == CANNOT_RUN
    said = capsys.readouterr().err
    assert word in said
    assert near in said


def test_longitudes_that_are_none_say_what_would_be_valid(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "examples/seattle", "--cuts", "a,b"])
    assert "'a,b' are not ascending longitudes" in capsys.readouterr().err
