"""Making the machine code of compiled functions: numba compiles each, all of it is linked into one object, and each gets a door for Python (`doorway.py`)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any

from .doorway import SHARED, door
from .machine import FLOAT, INT, Array, Arrays, Spec, symbol, target


def build(specs: Mapping[str, Spec]) -> bytes:
    """An object file with a function `machine.symbol(name)` for every name. Raises TypeError where a function returns something else than
    its spec says, RuntimeError where one needs what is only there while the compiler is."""
    import llvmlite.binding as llvm

    machine = target()
    whole = llvm.parse_assembly(SHARED)
    linked = set()
    for name, spec in specs.items():
        compiled, called = _compiled(spec)
        if called not in linked:
            linked.add(called)
            whole.link_in(llvm.parse_assembly(compiled))
        whole.link_in(llvm.parse_assembly(door(name, spec, called)))
    doors = {symbol(name) for name in specs}
    for made_here in (*whole.functions, *whole.global_variables):
        if not made_here.is_declaration and made_here.name not in doors:
            made_here.linkage = "internal"
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=0))
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(whole, builder)
    whole.verify()
    _complete(function.name for function in whole.functions if function.is_declaration)
    made: bytes = machine.emit_object(whole)
    return made


def _compiled(spec: Spec) -> tuple[str, str]:
    """A function as LLVM writes it after optimising, and its name there."""
    from numba import types

    module, _, name = spec.function.partition(":")
    function = getattr(import_module(module), name)
    signature = tuple(_numba(kind) for kind in _flat(spec.takes))
    function.compile(signature)
    made = function.overloads[signature]
    wanted = {0: types.none, 1: types.int64}.get(spec.gives, types.UniTuple(types.int64, spec.gives))  # type: ignore[no-untyped-call]
    if made.signature.return_type != wanted:
        raise TypeError(f"{spec.function} returns {made.signature.return_type}, but its spec says {wanted}")
    return function.inspect_llvm(signature), made.fndesc.llvm_func_name


def _flat(takes: Iterable[str | Array | Arrays]) -> Iterator[str | Array]:
    """What the function takes: arrays of a tuple are arguments of their own."""
    for kind in takes:
        if isinstance(kind, Arrays):
            yield from kind.items
        else:
            yield kind


def _numba(kind: str | Array) -> Any:
    from numba import types
    from numba.np.numpy_support import from_dtype

    if isinstance(kind, Array):
        return types.Array(from_dtype(kind.dtype), kind.dimensions, "C")
    return {INT: types.int64, FLOAT: types.float64}[kind]


def _complete(declared: Iterator[str]) -> None:
    """Everything that is called from outside is there in every process: the C library's mathematics and copying."""
    process = ctypes.CDLL(None)
    missing = sorted(name for name in declared if not name.startswith("llvm.") and not hasattr(process, name))
    if missing:
        raise RuntimeError(
            f"compiled functions call {', '.join(missing)}, which only the compiler brings: they allocate, print or box something"
        )
