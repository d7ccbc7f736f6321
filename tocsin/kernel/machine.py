"""Compiled functions kept as one file of machine code, which is loaded in a hundredth of a second and without the compiler.

Importing the compiler (numba) and having it read its own cache took more than a second of each start and a hundred megabytes of each process.
Where there is no file yet for these sources, this machine and these versions, `compiling.py` makes it. A `Door` is how Python
calls one of the functions: as if it were an ordinary one, with numbers and numpy arrays of the types it was compiled for.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

log = logging.getLogger(__name__)

INT: Final = "i64"
FLOAT: Final = "double"
GAVE_UP: Final = -(1 << 63)  # what a function that frees gives instead of a number
_FORMAT: Final = b"tocsin machine code 1\n"
_HASHED: Final = 64  # hex digits of the hash that stands after the format
HEADER: Final = object.__basicsize__  # bytes of a Python object before what its type adds


@dataclass(frozen=True, slots=True)
class Array:
    """An argument: a numpy array in C order."""

    dtype: np.dtype[Any]
    dimensions: int = 1


@dataclass(frozen=True, slots=True)
class Spec:
    """A function to compile. `function`: `module:name`. `gives`: how many whole numbers it returns. `frees`: other threads run meanwhile;
    it gives one number, never the smallest. `checked`: types of arrays are looked at in every call, which costs more than the call; without,
    the caller has done so."""

    function: str
    takes: tuple[Literal["i64", "double"] | Array, ...]
    gives: int = 0
    frees: bool = False
    checked: bool = True


class Door:
    """One function. Raises TypeError for an array of another type than it was compiled for, and ArithmeticError when it gave up itself."""

    def __init__(self, library: Library, name: str, spec: Spec) -> None:
        self._library, self._name, self._gives, self._frees = library, name, spec.gives, spec.frees
        arrays = ((at, kind.dtype, kind.dimensions) for at, kind in enumerate(spec.takes) if isinstance(kind, Array))
        self._arrays = tuple(arrays) if spec.checked else ()
        kinds = [ctypes.c_int64 if kind == INT else ctypes.c_double if kind == FLOAT else ctypes.py_object for kind in spec.takes]
        more = [ctypes.c_void_p] if spec.gives > 1 else []
        self._type = (ctypes.CFUNCTYPE if spec.frees else ctypes.PYFUNCTYPE)(ctypes.c_int64 if spec.gives == 1 else None, *kinds, *more)
        self._function: Any = None

    def __call__(self, *given: Any) -> Any:
        function = self._function or self._open()
        for at, dtype, dimensions in self._arrays:
            array = given[at]
            if array.dtype != dtype or array.ndim != dimensions or not array.flags.c_contiguous:
                raise TypeError(
                    f"{self._name} was compiled for {dtype} in C order and {dimensions} dimensions; argument {at} is {array!r:.200}"
                )
        try:
            return function(*given)
        except ctypes.ArgumentError:  # numbers of numpy
            return function(*map(_plain, given))

    def _open(self) -> Any:
        function = self._type(self._library.address(self._name))
        self._function = self._free(function) if self._frees else self._several(function) if self._gives > 1 else function
        return self._function

    def _several(self, function: Any) -> Callable[..., tuple[int, ...]]:
        """Takes the numbers from where the function writes them."""
        made = ctypes.c_int64 * self._gives

        def call(*given: Any) -> tuple[int, ...]:
            numbers = made()
            function(*given, ctypes.byref(numbers))
            return tuple(numbers)

        return call

    def _free(self, function: Any) -> Callable[..., int]:
        """Raises what the function, which may not touch Python, can only say."""

        def call(*given: Any) -> int:
            number: int = function(*given)
            if number == GAVE_UP:
                raise ArithmeticError(gave_up(self._name))
            return number

        return call


def gave_up(name: str) -> str:
    return f"the compiled function {name} gave up: it divided by zero, or raised something itself"


def _plain(value: Any) -> Any:
    """A number of numpy as one of Python."""
    return value.item() if isinstance(value, np.generic) else value


class Library:
    """Functions that are compiled together. `sources`: the files they depend on; `name`: of the folder where their machine code is kept,
    beside the first source where that can be written."""

    def __init__(self, name: str, sources: Iterable[Path], specs: Mapping[str, Spec]) -> None:
        self.specs = dict(specs)
        self._name, self._sources = name, sorted(sources)
        self._engine: Any = None
        self._lock = threading.Lock()

    @property
    def loaded(self) -> bool:
        """Whether its functions can be called at once."""
        return self._engine is not None

    def door(self, name: str) -> Door:
        return Door(self, name, self.specs[name])

    def load(self) -> None:
        """Loads the functions, or compiles them, unless that was done."""
        with self._lock:
            if self._engine is None:
                self._engine = _loaded(self._code())

    def address(self, name: str) -> int:
        self.load()
        address: int = self._engine.get_function_address(symbol(name))
        return address

    def folder(self) -> Path:
        """Beside the sources when that can be written, else in the user's cache; `NUMBA_CACHE_DIR` goes before both. Named after all
        sources and the compiler's version, so that code of another version is never taken."""
        digest = hashlib.sha256(_compiler_version())
        for path in (*self._sources, Path(__file__), Path(__file__).with_name("compiling.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        name = f"{self._name}-{digest.hexdigest()[:16]}"
        beside = self._sources[0].parent
        if os.environ.get("NUMBA_CACHE_DIR"):
            return Path(os.environ["NUMBA_CACHE_DIR"]) / name
        if os.access(beside, os.W_OK):
            return beside / "__pycache__" / name
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tocsin" / name

    def _code(self) -> bytes:
        file = self.folder() / f"{host()}.code"
        kept = _kept(file)
        if kept is not None:
            return kept
        from .compiling import build

        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with (file.parent / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # whoever comes second finds the file
                kept = _kept(file)
                if kept is None:
                    kept = build(self.specs)
                    _keep(file, kept)
                return kept
        except OSError as fault:
            log.warning("machine code cannot be kept in %s, so it is compiled again at every start: %s", file.parent, fault)
            return build(self.specs)


def symbol(name: str) -> str:
    """What a function is called in the machine code."""
    return f"tocsin.{name}"


def _kept(file: Path) -> bytes | None:
    """The machine code in a file; None when there is none, or it is not what was written."""
    try:
        found = file.read_bytes()
    except OSError:  # what is wrong with the place is said when it is written to
        return None
    code = found[len(_FORMAT) + _HASHED :]
    if found[: len(_FORMAT) + _HASHED] == _FORMAT + hashlib.sha256(code).hexdigest().encode():
        return code
    log.warning("%s is damaged; compiling it again", file)
    return None


def _keep(file: Path, code: bytes) -> None:
    """Whole or absent."""
    made = file.with_name(f"{file.name}.{os.getpid()}")
    made.write_bytes(_FORMAT + hashlib.sha256(code).hexdigest().encode() + code)
    made.replace(file)


def _compiler_version() -> bytes:
    """Without importing it."""
    found = find_spec("numba")
    if found is None or found.origin is None:
        raise ImportError("numba is not installed: 'make setup' installs what Tocsin needs")
    return Path(found.origin).with_name("_version.py").read_bytes()


@cache
def host() -> str:
    """16 hex digits over all that machine code depends on besides its source."""
    import llvmlite.binding as llvm

    parts = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), llvm.get_process_triple(), llvm.llvm_version_info, HEADER)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def target() -> Any:
    """What LLVM has to know to make, or load, machine code for this processor."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        reloc="static",
        codemodel="jitdefault",
        jit=True,
    )


def _loaded(code: bytes) -> Any:
    import llvmlite.binding as llvm

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine
