"""Compiled functions kept as machine code: called as Python calls functions, kept across processes, and never trusted blindly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from machine_samples import PAIR

from tocsin.kernel import compiling, machine
from tocsin.kernel.machine import FLOAT, INT, Array, Arrays, Library, Spec

I8 = np.dtype("i8")
TABLES = Arrays((Array(np.dtype("i4")), Array(np.dtype("f8")), Array(np.dtype("u8"), 2), Array(I8)))
SPECS = {
    "nothing": Spec("machine_samples:nothing", (Array(I8),)),
    "sums": Spec("machine_samples:sums", (INT, FLOAT, Array(np.dtype("f4"), 2), Array(PAIR), INT), gives=2),
    "weighed": Spec("machine_samples:weighed", (INT, TABLES), gives=4),
    "divided": Spec("machine_samples:divided", (INT, INT), gives=1),
    "freed": Spec("machine_samples:divided", (INT, INT), gives=1, frees=True),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the machine code of SPECS."""
    folder = tmp_path_factory.mktemp("machine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NUMBA_CACHE_DIR", str(folder))
        library().load()
    return folder


@pytest.fixture(autouse=True)
def _there(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(kept))


def library(*more: Path) -> Library:
    return Library("samples", [Path(__file__).with_name("machine_samples.py"), *more], SPECS)


def no_compiler(_specs: Any) -> bytes:
    raise AssertionError("it was compiled")


def table(rows: int, columns: int) -> Any:
    return (np.arange(rows * columns, dtype=np.float32) % 7).reshape(rows, columns)


LIBRARY = library()
SUMS, DIVIDED, NOTHING, WEIGHED = (LIBRARY.door(name) for name in ("sums", "divided", "nothing", "weighed"))


@given(st.integers(-(2**40), 2**40), st.integers(0, 5), st.integers(0, 5), st.lists(st.integers(-9, 9), max_size=5))
def test_arguments_arrive_as_they_were_given(whole: int, rows: int, columns: int, counts: list[int]) -> None:
    pairs = np.array([(count, 2.0 * count) for count in counts], PAIR)
    numbers = table(rows, columns)
    expected = whole + 3 + int(numbers.sum()) + 3 * sum(counts) - 5
    assert SUMS(whole, 3.5, numbers, pairs, -5) == (expected, columns)
    assert SUMS(np.int64(whole), np.float64(3.5), numbers, pairs, np.int32(-5)) == (expected, columns)


def test_what_a_function_changes_is_changed_in_place() -> None:
    numbers = np.arange(10)
    assert NOTHING(numbers[4:6]) is None
    assert numbers.tolist() == [0, 1, 2, 3, 5, 5, 6, 7, 8, 9]


def arrays(n: int) -> tuple[Any, ...]:
    return np.arange(n, dtype="i4"), np.full(n, 2.0), np.zeros((n, 3), "u8"), np.arange(n), "more"


@given(st.integers(-(2**20), 2**20), st.integers(0, 9))
def test_a_tuple_hands_over_the_arrays_it_begins_with(factor: int, n: int) -> None:
    some, sum_of = arrays(n), n * (n - 1) // 2
    assert WEIGHED(factor, some) == (2 * factor * sum_of, 3 * n, n, sum_of)
    assert WEIGHED(factor, (*some[:3], None)) == (2 * factor * sum_of, 3 * n, -1, 0)
    for column in some[:4]:
        column.setflags(write=False)
    assert WEIGHED(factor, some) == (2 * factor * sum_of, 3 * n, n, sum_of)


@pytest.mark.parametrize(
    ("at", "wrong"),
    [
        *[(0, np.arange(3)), (0, None), (0, [0, 1, 2]), (1, np.zeros(6)[::2]), (1, np.zeros(3, ">f8")), (1, np.zeros((3, 1)))],
        *[(2, np.zeros((3, 3), "u8").T), (2, np.zeros(9, "u8")), (3, np.zeros(3)), (3, np.arange(3, dtype=">i8")), (3, 7)],
    ],
)
def test_a_tuple_of_other_arrays_gives_none_and_the_function_is_not_called(at: int, wrong: Any) -> None:
    some = arrays(3)
    assert WEIGHED(1, (*some[:at], wrong, *some[at + 1 :])) is None
    assert WEIGHED(1, some[:3]) is None


def test_wrong_arguments_raise_what_they_would_elsewhere() -> None:
    with pytest.raises(TypeError, match="divided takes 2 arguments"):
        DIVIDED(1)
    with pytest.raises(TypeError):
        DIVIDED(1.5, 2)
    with pytest.raises(OverflowError):
        DIVIDED(2**63, 2)
    with pytest.raises(SystemError):
        WEIGHED(1, [*arrays(3)])


def test_what_is_called_often_is_a_function_of_its_own() -> None:
    divided = DIVIDED.open()
    assert divided is DIVIDED.open()
    assert (divided(9, 2), divided.__name__) == (4, "divided")


@pytest.mark.parametrize("wrong", [np.zeros(3), np.zeros(3, "i4"), np.zeros((3, 3), "i8"), np.arange(6)[::2], np.zeros(3, ">i8")])
def test_arrays_of_another_type_or_order_are_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="compiled for int64 in C order and 1 dimensions"):
        NOTHING(wrong)


def test_a_function_that_gives_up_says_so() -> None:
    assert DIVIDED(7, 2) == 3
    assert LIBRARY.door("freed")(7, -2) == -4
    for name in ("divided", "freed"):
        with pytest.raises(ArithmeticError, match=f"{name} gave up"):
            LIBRARY.door(name)(7, 0)


def test_what_needs_the_compiler_to_be_there_is_refused_when_it_is_compiled() -> None:
    with pytest.raises(RuntimeError, match="NRT_"):
        compiling.build({"allocates": Spec("machine_samples:allocates", (INT,), gives=1)})


def test_a_spec_that_says_something_else_than_the_function_is_refused() -> None:
    with pytest.raises(TypeError, match="returns int64"):
        compiling.build({"divided": Spec("machine_samples:divided", (INT, INT))})


def test_what_is_kept_is_not_compiled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "build", no_compiler)
    assert library().door("divided")(9, 3) == 3


def test_other_sources_and_other_machines_have_code_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "more.py").write_text("A = 1")
    one = library(tmp_path / "more.py").folder()
    (tmp_path / "more.py").write_text("A = 2")
    assert len({one, library(tmp_path / "more.py").folder(), library().folder()}) == 3
    monkeypatch.setattr(compiling, "build", no_compiler)
    monkeypatch.setattr(machine, "host", lambda: "another")
    with pytest.raises(AssertionError, match="compiled"):
        library().load()


@pytest.mark.parametrize("damage", [lambda code: code[:-100], lambda code: code[:500] + b"?" + code[501:], lambda _code: b""])
def test_damaged_code_is_made_again(damage: Any, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    (file,) = kept.rglob("*.code")
    copy = tmp_path / file.relative_to(kept)
    copy.parent.mkdir()
    copy.write_bytes(damage(file.read_bytes()))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    code = machine._kept(file)
    monkeypatch.setattr(compiling, "build", lambda _specs: code)
    assert library().door("divided")(9, 3) == 3
    assert "is damaged" in caplog.text
    assert copy.read_bytes() == file.read_bytes()


def test_without_a_place_to_keep_it_it_works_and_says_so(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (file,) = kept.rglob("*.code")
    code = machine._kept(file)
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "taken"))
    monkeypatch.setattr(compiling, "build", lambda _specs: code)
    assert library().door("divided")(9, 3) == 3
    assert "cannot be kept" in caplog.text


def test_kernels_that_were_compiled_are_loaded_without_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the machine code is there, which the first of these two sees to."""
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    words = "from tocsin.correlate.engine import Engine; from tocsin.feeds import scan; Engine.warm_up(); scan.load()"
    for told in ("", "; import sys; assert 'numba' not in sys.modules"):
        subprocess.run([sys.executable, "-c", words + told], check=True, timeout=600)
