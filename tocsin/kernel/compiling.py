"""Making the machine code of compiled functions: numba compiles each, all of it is linked into one object, and each gets a door for Python.

A door takes arrays as Python has them and reads where their numbers lie from the head of the object, as numpy's C interface lays it out
(`PyArrayObject`), so that a call hands over one address an array.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

from .machine import FLOAT, GAVE_UP, HEADER, INT, Array, Spec, gave_up, symbol, target

#: Numba's count of references calls this when an array goes that it owns; ours own nothing, and nothing else is there to be called.
_NOTHING_OWNED: Final = """
define void @NRT_MemInfo_call_dtor(ptr %gone) {
  call void @llvm.trap()
  ret void
}
declare void @llvm.trap()
"""


def build(specs: Mapping[str, Spec]) -> bytes:
    """An object file with a function `machine.symbol(name)` for every name. Raises TypeError where a function returns something else than
    its spec says, RuntimeError where one needs what is only there while the compiler is."""
    import llvmlite.binding as llvm

    machine = target()
    whole = llvm.parse_assembly(_NOTHING_OWNED)
    linked = set()
    for name, spec in specs.items():
        compiled, called = _compiled(spec)
        if called not in linked:
            linked.add(called)
            whole.link_in(llvm.parse_assembly(compiled))
        whole.link_in(llvm.parse_assembly("\n".join(_door(name, spec, called))))
    doors = {symbol(name) for name in specs}
    for function in whole.functions:
        if not function.is_declaration and function.name not in doors:
            function.linkage = "internal"
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
    signature = tuple(_numba(kind) for kind in spec.takes)
    function.compile(signature)
    made = function.overloads[signature]
    wanted = {0: types.none, 1: types.int64}.get(spec.gives, types.UniTuple(types.int64, spec.gives))  # type: ignore[no-untyped-call]
    if made.signature.return_type != wanted:
        raise TypeError(f"{spec.function} returns {made.signature.return_type}, but its spec says {wanted}")
    return function.inspect_llvm(signature), made.fndesc.llvm_func_name


def _numba(kind: str | Array) -> Any:
    from numba import types
    from numba.np.numpy_support import from_dtype

    if isinstance(kind, Array):
        return types.Array(from_dtype(kind.dtype), kind.dimensions, "C")
    return {INT: types.int64, FLOAT: types.float64}[kind]


def _door(name: str, spec: Spec, called: str) -> Iterator[str]:
    """In LLVM's language. An array becomes what numba hands over for one: owner, object, items, bytes of an item, address, lengths, strides.
    Numba's functions return a status, and write what they give, and why they gave up, where they are told."""
    takes = [("ptr" if isinstance(kind, Array) else kind, f"%a{at}") for at, kind in enumerate(spec.takes)]
    several = [("ptr", "%numbers")] if spec.gives > 1 else []
    given: list[tuple[str, str]] = [("ptr", "%numbers" if several else "%number"), ("ptr", "%fault")]
    lines = ["  %number = alloca i64", "  %fault = alloca ptr"]
    for (kind, argument), what in zip(takes, spec.takes, strict=True):
        if isinstance(what, Array):
            found, more = _array(argument, what)
            lines += found
            given += more
        else:
            given.append((kind, argument))
    yield f'declare i32 @"{called}"({", ".join(kind for kind, _ in given)})'
    yield f'define i64 @"{symbol(name)}"({", ".join(" ".join(each) for each in [*takes, *several])}) {{'
    yield from lines
    yield f'  %status = call i32 @"{called}"({", ".join(" ".join(each) for each in given)})'
    yield "  %fine = icmp eq i32 %status, 0\n  br i1 %fine, label %good, label %bad"
    yield "good:\n  %given = load i64, ptr %number\n  ret i64 %given" if spec.gives == 1 else "good:\n  ret i64 0"
    yield "bad:"
    yield f"  ret i64 {GAVE_UP}\n}}" if spec.frees else _raising(name)


def _raising(name: str) -> str:
    """Raises ArithmeticError. By functions of Python alone: data of other files may lie too far away for machine code to reach it."""
    kind, words = f"{symbol(name)}.kind", f"{symbol(name)}.words"
    return f"""  %builtins = call ptr @PyEval_GetBuiltins()
  %kind = call ptr @PyDict_GetItemString(ptr %builtins, ptr @"{kind}")
  call void @PyErr_SetString(ptr %kind, ptr @"{words}")
  ret i64 0
}}
{_text(kind, "ArithmeticError")}
{_text(words, gave_up(name))}
declare ptr @PyEval_GetBuiltins()
declare ptr @PyDict_GetItemString(ptr, ptr)
declare void @PyErr_SetString(ptr, ptr)"""


def _text(name: str, text: str) -> str:
    """A constant that C functions can read."""
    content = text.encode() + bytes(1)
    codes = "".join(rf"\{byte:02x}" for byte in content)
    return f'@"{name}" = private constant [{len(content)} x i8] c"{codes}"'


def _array(name: str, what: Array) -> tuple[list[str], list[tuple[str, str]]]:
    """Reading an array's head, and what of it is handed over."""
    lines: list[str] = []

    def read(kind: str, at: str, offset: int, to: str) -> str:
        lines.append(f"  {to}.at = getelementptr i8, ptr {at}, i64 {offset}")
        lines.append(f"  {to} = load {kind}, ptr {to}.at")
        return to

    data = read("ptr", name, HEADER, f"{name}.data")
    lengths_at = read("ptr", name, HEADER + 16, f"{name}.lengths")
    strides_at = read("ptr", name, HEADER + 24, f"{name}.strides")
    lengths = [read("i64", lengths_at, 8 * axis, f"{name}.length{axis}") for axis in range(what.dimensions)]
    strides = [read("i64", strides_at, 8 * axis, f"{name}.stride{axis}") for axis in range(what.dimensions)]
    items = lengths[0]
    for axis, length in enumerate(lengths[1:], 1):
        lines.append(f"  {name}.items{axis} = mul i64 {items}, {length}")
        items = f"{name}.items{axis}"
    whole = [("ptr", "null"), ("ptr", "null"), ("i64", items), ("i64", str(what.dtype.itemsize)), ("ptr", data)]
    return lines, whole + [("i64", value) for value in (*lengths, *strides)]


def _complete(declared: Iterator[str]) -> None:
    """Everything that is called from outside is there in every process: the C library's mathematics and copying."""
    process = ctypes.CDLL(None)
    missing = sorted(name for name in declared if not name.startswith("llvm.") and not hasattr(process, name))
    if missing:
        raise RuntimeError(
            f"compiled functions call {', '.join(missing)}, which only the compiler brings: they allocate, print or box something"
        )
