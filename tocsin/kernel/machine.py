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
_FORMAT: Final = b"tocsin machine code 2\n"
_HASHED: Final = 64  # hex digits of the hash that stands after the format
HEADER: Final = object.__basicsize__  # bytes of a Python object before what its type adds
ITEMS: Final = tuple.__basicsize__  # bytes of a tuple before its items


@dataclass(frozen=True, slots=True)
class Array:
    """An argument: a numpy array in C order."""

    dtype: np.dtype[Any]
    dimensions: int = 1


@dataclass(frozen=True, slots=True)
class Arrays:
    """An argument: a tuple that begins with these arrays, each an argument of the function; None in place of the last is one of length -1. They
    are looked at in every call, at next to no cost: unless each is exactly of its type, aligned and in C order, the door gives None."""

    items: tuple[Array, ...]


@dataclass(frozen=True, slots=True)
class Spec:
    """A function to compile. `function`: `module:name`. `gives`: how many whole numbers it returns. `frees`: other threads run meanwhile."""

    function: str
    takes: tuple[Literal["i64", "double"] | Array | Arrays, ...]
    gives: int = 0
    frees: bool = False


class _Method(ctypes.Structure):
    """`PyMethodDef` of Python's C interface."""

    _fields_ = (("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("words", ctypes.c_char_p))


_FAST: Final = 0x80  # METH_FASTCALL: the objects given, and how many


class Door:
    """One function. Raises TypeError for an array of another type than it was compiled for, and ArithmeticError when it gave up itself."""

    def __init__(self, library: Library, name: str, spec: Spec) -> None:
        self._library, self._name, self._spec = library, name, spec
        self._arrays = tuple((at, kind.dtype, kind.dimensions) for at, kind in enumerate(spec.takes) if isinstance(kind, Array))
        self._function: Callable[..., Any] | None = None
        self._method = _Method()

    def __call__(self, *given: Any) -> Any:
        for at, dtype, dimensions in self._arrays:
            array = given[at]
            if array.dtype != dtype or array.ndim != dimensions or not array.flags.c_contiguous:
                raise TypeError(
                    f"{self._name} was compiled for {dtype} in C order and {dimensions} dimensions; argument {at} is {array!r:.200}"
                )
        return (self._function or self.open())(*given)

    def open(self) -> Callable[..., Any]:
        """The function itself, for those who call it often: arrays that are arguments of their own are not looked at. It lives as long as the
        door does."""
        if self._function is None:
            address = self._library.address(self._name)
            self._method = _Method(self._name.encode(), address, _FAST, None)
            make = ctypes.pythonapi.PyCFunction_NewEx
            make.argtypes, make.restype = (ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p), ctypes.py_object
            types = (each.dtype for kind in self._spec.takes if isinstance(kind, Arrays) for each in kind.items)
            self._function = make(ctypes.addressof(self._method), (None, np.ndarray, *types), None)
        return self._function


def gave_up(name: str) -> str:
    return f"the compiled function {name} gave up: it divided by zero, or raised something itself"


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
        for path in (*self._sources, *map(Path(__file__).with_name, ("machine.py", "compiling.py", "doorway.py"))):
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

    here = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), llvm.get_process_triple())
    return hashlib.sha256(repr((*here, llvm.llvm_version_info, HEADER, ITEMS)).encode()).hexdigest()[:16]


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
