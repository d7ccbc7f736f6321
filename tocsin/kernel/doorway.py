"""Doors to machine code, in LLVM's language: how Python's objects become what a compiled function takes, and its numbers objects again.

A door is what Python calls when it calls a function written in C (`METH_FASTCALL`). It takes numbers out of objects by functions of Python,
and reads where the numbers of an array lie from the head of the array, as numpy's C interface lays it out (`PyArrayObject`). So a
call costs a tenth of a microsecond, however many arrays it hands over.
"""

from __future__ import annotations

from typing import Final

from .machine import FLOAT, HEADER, INT, ITEMS, Array, Arrays, Spec, gave_up, symbol

#: Where things lie in an array object.
_CLASS, _DATA, _DIMENSIONS, _LENGTHS, _STRIDES, _TYPE, _FLAGS = (HEADER + offset for offset in (-8, 0, 8, 16, 24, 40, 48))
_READY: Final = 0x101  # numpy's flags of an array in C order and aligned

#: What all doors share. `raise`: by functions of Python alone, because data of other files may lie too far away for machine code to reach it.
#: `fits`: whether an object is an array of exactly this type. `absent`: stands for an array where None was given; its length is -1.
#: The first is called by numba's count of references when an array goes that it owns; ours own nothing.
SHARED: Final = f"""
define void @NRT_MemInfo_call_dtor(ptr %gone) {{
  call void @llvm.trap()
  ret void
}}
define ptr @tocsin..raise(ptr %kind, ptr %words) {{
  %builtins = call ptr @PyEval_GetBuiltins()
  %found = call ptr @PyDict_GetItemString(ptr %builtins, ptr %kind)
  call void @PyErr_SetString(ptr %found, ptr %words)
  ret ptr null
}}
define i1 @tocsin..fits(ptr %object, ptr %self, i64 %number, i32 %dimensions) {{
  %gone = icmp eq ptr %object, @tocsin..absent
  br i1 %gone, label %yes, label %there
there:
  %wanted.at = getelementptr i8, ptr %self, i64 {ITEMS + 8}
  %class.wanted = load ptr, ptr %wanted.at
  %class.at = getelementptr i8, ptr %object, i64 {_CLASS}
  %class = load ptr, ptr %class.at
  %same = icmp eq ptr %class, %class.wanted
  br i1 %same, label %look, label %no
look:
  %type.wanted.at = getelementptr ptr, ptr %wanted.at, i64 %number
  %type.wanted = load ptr, ptr %type.wanted.at
  %type.at = getelementptr i8, ptr %object, i64 {_TYPE}
  %type = load ptr, ptr %type.at
  %typed = icmp eq ptr %type, %type.wanted
  %dimensions.at = getelementptr i8, ptr %object, i64 {_DIMENSIONS}
  %dimensions.found = load i32, ptr %dimensions.at
  %shaped = icmp eq i32 %dimensions.found, %dimensions
  %flags.at = getelementptr i8, ptr %object, i64 {_FLAGS}
  %flags = load i32, ptr %flags.at
  %both = and i32 %flags, {_READY}
  %ready = icmp eq i32 %both, {_READY}
  %typed.shaped = and i1 %typed, %shaped
  %all = and i1 %typed.shaped, %ready
  ret i1 %all
no:
  ret i1 false
yes:
  ret i1 true
}}
define ptr @tocsin..present(ptr %object, ptr %self) {{
  %none.at = getelementptr i8, ptr %self, i64 {ITEMS}
  %none = load ptr, ptr %none.at
  %given = icmp ne ptr %object, %none
  %either = select i1 %given, ptr %object, ptr @tocsin..absent
  ret ptr %either
}}
@tocsin..minus = constant i64 -1
@tocsin..absent = constant {{ [{HEADER} x i8], ptr, i64, ptr, ptr }} {{
  [{HEADER} x i8] zeroinitializer, ptr null, i64 1, ptr @tocsin..minus, ptr @tocsin..minus }}
declare void @llvm.trap()
declare ptr @PyEval_GetBuiltins()
declare ptr @PyDict_GetItemString(ptr, ptr)
declare void @PyErr_SetString(ptr, ptr)
"""
_DECLARED: Final = """
@tocsin..absent = external constant i8
declare ptr @tocsin..raise(ptr, ptr)
declare i1 @tocsin..fits(ptr, ptr, i64, i32)
declare ptr @tocsin..present(ptr, ptr)
declare i64 @PyLong_AsLongLong(ptr)
declare double @PyFloat_AsDouble(ptr)
declare ptr @PyLong_FromLongLong(i64)
declare ptr @Py_BuildValue(ptr, ...)
declare ptr @PyErr_Occurred()
declare i64 @PyTuple_Size(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)"""
_NUMBERS: Final = {INT: "PyLong_AsLongLong", FLOAT: "PyFloat_AsDouble"}


def door(name: str, spec: Spec, called: str) -> str:
    """The door to the function that numba compiled under the name `called`. Such a function returns a status, and writes what it gives, and why it
    gave up, where it is told."""
    handed = [("ptr", "%numbers"), ("ptr", "%fault"), *(each for at, kind in enumerate(spec.takes) for each in _handed(at, kind))]
    lines = [_DECLARED, f'declare i32 @"{called}"({", ".join(kind for kind, _ in handed)})']
    lines.append(f'define ptr @"{symbol(name)}"(ptr %self, ptr %given, i64 %count) {{')
    lines.append(f"  %numbers = alloca [{max(spec.gives, 1)} x i64]\n  %fault = alloca ptr")
    lines += _test("counted", f"icmp eq i64 %count, {len(spec.takes)}", "miscounted")
    for at, kind in enumerate(spec.takes):
        lines += _taken(at, kind)
    lines.append("  %wrong = call ptr @PyErr_Occurred()")
    lines += _test("fine", "icmp eq ptr %wrong, null", "raised")
    for at, kind in enumerate(spec.takes):
        lines += _read(at, kind)
    lines.append("  %thread = call ptr @PyEval_SaveThread()" if spec.frees else "")
    lines.append(f'  %status = call i32 @"{called}"({", ".join(" ".join(each) for each in handed)})')
    lines.append("  call void @PyEval_RestoreThread(ptr %thread)" if spec.frees else "")
    lines += _test("good", "icmp eq i32 %status, 0", "bad")
    lines += _gives(name, spec.gives)
    words = {"bad": ("ArithmeticError", gave_up(name)), "miscounted": ("TypeError", f"{name} takes {len(spec.takes)} arguments")}
    lines += [_raises(name, label) for label in words]
    lines += ["raised:\n  ret ptr null\nunfit:", _gives_none(name, "nothing"), "}"]
    lines.append(_text(f"{symbol(name)}.form", f"({spec.gives * 'L'})" if spec.gives > 1 else ""))
    lines.append(_text(f"{symbol(name)}.none", ""))
    for label, (raised, text) in words.items():
        lines += [_text(f"{symbol(name)}.{label}.kind", raised), _text(f"{symbol(name)}.{label}", text)]
    return "\n".join(lines)


def _test(label: str, condition: str, otherwise: str) -> list[str]:
    """Goes on at `label` if a condition holds."""
    return [f"  %{label}.holds = {condition}\n  br i1 %{label}.holds, label %{label}, label %{otherwise}\n{label}:"]


def _arrays(at: int, kind: str | Array | Arrays) -> list[tuple[str, Array]]:
    """The arrays of an argument, and what their objects are called in the door."""
    if isinstance(kind, Arrays):
        return [(f"%o{at}.{number}", each) for number, each in enumerate(kind.items)]
    return [(f"%o{at}", kind)] if isinstance(kind, Array) else []


def _taken(at: int, kind: str | Array | Arrays) -> list[str]:
    """An argument as it is given; a number also as it is handed over."""
    lines = [f"  %o{at}.at = getelementptr ptr, ptr %given, i64 {at}", f"  %o{at} = load ptr, ptr %o{at}.at"]
    if isinstance(kind, str):
        lines.append(f"  %a{at} = call {kind} @{_NUMBERS[kind]}(ptr %o{at})")
    elif isinstance(kind, Arrays):
        lines.append(f"  %o{at}.size = call i64 @PyTuple_Size(ptr %o{at})")
    return lines


def _read(at: int, kind: str | Array | Arrays) -> list[str]:
    """Reading the heads of arrays; those in a tuple are looked at first."""
    lines = []
    if isinstance(kind, Arrays):
        lines += _test(f"long{at}", f"icmp sge i64 %o{at}.size, {len(kind.items)}", "unfit")
        for number, each in enumerate(kind.items):
            name, last = f"%o{at}.{number}", number == len(kind.items) - 1
            given = f"{name}.given" if last else name
            lines.append(f"  {name}.at = getelementptr i8, ptr %o{at}, i64 {ITEMS + 8 * number}\n  {given} = load ptr, ptr {name}.at")
            if last:
                lines.append(f"  {name} = call ptr @tocsin..present(ptr {given}, ptr %self)")
            lines.append(f"  {name}.fits = call i1 @tocsin..fits(ptr {name}, ptr %self, i64 {number + 1}, i32 {each.dimensions})")
            lines += _test(f"fit{at}.{number}", f"icmp eq i1 {name}.fits, true", "unfit")
    for name, each in _arrays(at, kind):
        lines += _head(name, each)
    return lines


def _head(name: str, what: Array) -> list[str]:
    """Reading the head of an array."""
    lines = []

    def read(kind: str, at: str, offset: int, to: str) -> None:
        lines.append(f"  {to}.at = getelementptr i8, ptr {at}, i64 {offset}\n  {to} = load {kind}, ptr {to}.at")

    read("ptr", name, _DATA, f"{name}.data")
    read("ptr", name, _LENGTHS, f"{name}.lengths")
    read("ptr", name, _STRIDES, f"{name}.strides")
    for axis in range(what.dimensions):
        read("i64", f"{name}.lengths", 8 * axis, f"{name}.length{axis}")
        read("i64", f"{name}.strides", 8 * axis, f"{name}.stride{axis}")
    items = f"{name}.length0"
    for axis in range(1, what.dimensions):
        lines.append(f"  {name}.items{axis} = mul i64 {items}, {name}.length{axis}")
        items = f"{name}.items{axis}"
    lines.append(f"  {name}.items = add i64 {items}, 0")
    return lines


def _handed(at: int, kind: str | Array | Arrays) -> list[tuple[str, str]]:
    """What is handed over of an argument; of an array: owner, object, items, bytes of an item, address, lengths, strides."""
    if isinstance(kind, str):
        return [(kind, f"%a{at}")]
    handed = []
    for name, what in _arrays(at, kind):
        handed += [("ptr", "null"), ("ptr", "null"), ("i64", f"{name}.items"), ("i64", str(what.dtype.itemsize)), ("ptr", f"{name}.data")]
        handed += [("i64", f"{name}.{which}{axis}") for which in ("length", "stride") for axis in range(what.dimensions)]
    return handed


def _gives(name: str, gives: int) -> list[str]:
    """Nothing, a number, or a tuple of numbers."""
    lines = [f"  %n{at}.at = getelementptr i64, ptr %numbers, i64 {at}\n  %n{at} = load i64, ptr %n{at}.at" for at in range(gives)]
    if gives == 0:
        lines.append(_gives_none(name, "made"))
    elif gives == 1:
        lines.append("  %made = call ptr @PyLong_FromLongLong(i64 %n0)\n  ret ptr %made")
    else:
        numbers = ", ".join(f"i64 %n{at}" for at in range(gives))
        lines.append(f'  %made = call ptr (ptr, ...) @Py_BuildValue(ptr @"{symbol(name)}.form", {numbers})\n  ret ptr %made')
    return lines


def _gives_none(name: str, made: str) -> str:
    return f'  %{made} = call ptr (ptr, ...) @Py_BuildValue(ptr @"{symbol(name)}.none")\n  ret ptr %{made}'


def _raises(name: str, label: str) -> str:
    text = f"{symbol(name)}.{label}"
    return f'{label}:\n  %{label}.raised = call ptr @tocsin..raise(ptr @"{text}.kind", ptr @"{text}")\n  ret ptr %{label}.raised'


def _text(name: str, text: str) -> str:
    """A constant that C functions can read."""
    content = text.encode() + bytes(1)
    codes = "".join(rf"\{byte:02x}" for byte in content)
    return f'@"{name}" = private constant [{len(content)} x i8] c"{codes}"'
