"""Sums and maxima of many 16-bit numbers at once, for compiled code: numba's own loops over them are half as fast.

A `Lanes` is a vector of `LANES` int16; on a processor with narrower registers it is several. Places in an array are
not checked: `load` and `store` take LANES numbers from the index on, which must be there.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

LANES = 32

_VECTOR = ir.VectorType(ir.IntType(16), LANES)


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__(f"int16 x {LANES}")


_lanes = _Lanes()


@register_model(_Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)  # type: ignore[no-untyped-call]


def _place(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    first = builder.gep(context.make_array(kind)(context, builder, array).data, [index])
    return builder.bitcast(first, _VECTOR.as_pointer())


@intrinsic
def load(typing_context: Any, array: Any, index: Any) -> Any:
    """array[index : index + LANES] of a contiguous array of int16."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        loaded = builder.load(_place(context, builder, signature.args[0], *arguments))
        loaded.align = 2
        return loaded

    return _lanes(array, types.intp), generate


@intrinsic
def store(typing_context: Any, array: Any, index: Any, lanes: Any) -> Any:
    """array[index : index + LANES] = lanes, of a contiguous array of int16."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], place).align = 2
        return context.get_dummy_value()

    return types.void(array, types.intp, _lanes), generate


@intrinsic
def add(typing_context: Any, a: Any, b: Any) -> Any:
    """a + b, in 16 bits."""
    return _lanes(_lanes, _lanes), lambda context, builder, signature, arguments: builder.add(*arguments)


@intrinsic
def largest(typing_context: Any, a: Any, b: Any) -> Any:
    """The larger of a and b, number by number."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(builder.icmp_signed(">", *arguments), *arguments)

    return _lanes(_lanes, _lanes), generate
