"""How a kernel reaches the tables: one directory of addresses instead of sixty arguments.

`m` is the address of an int64 array with two numbers for each table of `layout.TABLES`: the address of its first record and how
many there are. `view(m, T_HOT)` is that table as an array; how long it is, is its `size` (`len` must not be asked, nor slices and indices below
zero be used). Handing every table to every function as an argument of its own made each call copy hundreds of words, count references in
loops, and the first start compile for two minutes. The engine's `Memory` owns the arrays, keeps them alive and writes the directory again whenever one of them is replaced.
"""

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array
from numba.np.numpy_support import from_dtype

from .layout import TABLES

LINE = 64  # bytes of a line of the processor's caches
#: A compiled function. `doors.py` says which of them Python calls, and keeps the machine code of all.
kernel = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)  # type: ignore[call-overload]  # missing in the annotations
#: A stretch of exactly one kernel, written apart so that it can be read: the compiler puts it back where it is called. Functions of
#: their own cost time at the first start, because every caller is optimised together with all it calls.
part = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, inline="always")  # type: ignore[call-overload]

#: Instead of the length by which numba looks an index below zero up from the end. No kernel has such an index, and with this the compiler
#: leaves the question out.
_UNKNOWN = ir.FormattedConstant(ir.IntType(64), "poison")


@intrinsic(prefer_literal=True)
def view(_context, m, table):
    """The table with this constant number, as a one-dimensional array that owns nothing."""
    if not isinstance(table, types.IntegerLiteral) or not isinstance(m, types.Integer):
        return None
    number = table.literal_value
    dtype = TABLES[number][1]
    array_type = types.Array(from_dtype(dtype), 1, "C")

    def codegen(context, builder, _signature, arguments):
        entries = builder.inttoptr(arguments[0], context.get_value_type(types.int64).as_pointer())
        address, length = (_entry(context, builder, entries, 2 * number + i) for i in range(2))
        size = context.get_constant(types.intp, dtype.itemsize)
        array = context.make_array(array_type)(context, builder)
        data = builder.inttoptr(address, array.data.type)
        populate_array(array, data=data, shape=[_UNKNOWN], strides=[size], itemsize=size, meminfo=None)
        array.nitems = length
        return array._getvalue()

    return array_type(types.int64, table), codegen


def _entry(context, builder, entries, number):
    """A number of the directory, which does not change while a kernel runs: so it need not be read again after every number that is
    written anywhere."""
    found = builder.load(cgutils.gep_inbounds(builder, entries, context.get_constant(types.intp, number)))
    found.set_metadata("invariant.load", builder.module.add_metadata([]))
    return found


@intrinsic
def prefetch(_context, array, _index):
    """Asks the processor to bring a record of a table near before it is needed, all lines of it. A hint: it may be about any place."""

    def codegen(context, builder, signature, arguments):
        array_type = signature.args[0]
        made = context.make_array(array_type)(context, builder, arguments[0])
        place = cgutils.get_item_pointer(context, builder, array_type, made, [arguments[1]], wraparound=False)
        i32, byte = ir.IntType(32), ir.IntType(8).as_pointer()
        hint = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), [byte, i32, i32, i32]), "llvm.prefetch.p0i8")
        size = context.get_abi_sizeof(context.get_data_type(array_type.dtype))
        for offset in (*range(0, size, LINE), *([size - 1] if size > LINE else [])):
            at = builder.gep(builder.bitcast(place, byte), [i32(offset)])
            builder.call(hint, [at, i32(0), i32(3), i32(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen
