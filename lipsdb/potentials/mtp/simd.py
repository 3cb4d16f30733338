"""Eight double-precision numbers handled at once inside numba kernels.

The auto-vectoriser of LLVM does not find the short loops of a moment tensor potential worth its while, so that the
kernel says itself which numbers belong into one vector register: eight neighbours of an atom, or eight atoms. LLVM
turns a `Lanes` into one AVX-512, two AVX or four SSE registers, whichever the machine has.
"""

from __future__ import annotations

import operator
import os
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import config, extending, njit, types
from numba.core import cgutils
from numba.core.typing import templates
from numba.extending import models

WIDTH = 8
_VECTOR = ir.VectorType(ir.DoubleType(), WIDTH)
_CONTRACT = ("contract",)  # allows the fused multiply-add, nothing else


# numba's decorators have no types
numba_config: Any = config
infer_global: Any = templates.infer_global
lower_builtin: Any = extending.lower_builtin
register_model: Any = extending.register_model


def _intrinsic(definition: Any) -> Any:
    return extending.intrinsic(definition)


@lru_cache(maxsize=1)
def cache_folder() -> Path:
    """Where compiled kernels are kept: a folder of its own for each state of the kernels' sources.

    In ``NUMBA_CACHE_DIR`` if that is set, else next to the sources, or in the user's cache folder if those cannot be
    written to.

    Raises
    ------
    RuntimeError
        If that is the user's cache folder, and the user has no home.
    """
    here = Path(__file__).parent
    texts = [path.read_bytes() for path in sorted(here.glob("*.py"))]
    sources = sha256(b"".join(text for text in texts if b"mtp.simd import" in text or b"WIDTH = 8" in text)).hexdigest()
    beside = here / "__pycache__"  # may be another user's, who ran lipsdb first
    if os.environ.get("NUMBA_CACHE_DIR"):
        folder = Path(os.environ["NUMBA_CACHE_DIR"])
    elif os.access(beside if beside.exists() else here, os.W_OK):
        folder = beside
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lipsdb"
    return folder / f"kernels-{sources[:12]}"


def compiled(function: Any) -> Any:
    """Compile a kernel when it is first called; later processes read it from `cache_folder`.

    Notes
    -----
    numba by itself would keep a kernel as long as its own file is the same, also when a file that it calls into is not.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    before = numba_config.CACHE_DIR
    try:
        numba_config.CACHE_DIR = str(cache_folder())
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder that may be written
        return njit(**options)(function)
    finally:
        numba_config.CACHE_DIR = before


class _LanesType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Lanes")


LANES = _LanesType()


@register_model(_LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, data_model_manager: Any, numba_type: Any) -> None:
        super().__init__(data_model_manager, numba_type, _VECTOR)  # type: ignore[no-untyped-call]


def _address(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), _VECTOR.as_pointer())


def _is_row(array: Any) -> bool:
    return isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C" and array.dtype == types.float64


@_intrinsic
def load(typing_context: Any, array: Any, offset: Any) -> Any:
    """Eight numbers of a contiguous 1-d float64 array from `offset` on (no bounds are checked)."""
    if not (_is_row(array) and isinstance(offset, types.Integer)):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_address(context, builder, signature.args[0], *arguments), align=8)

    return LANES(array, types.intp), generate


@_intrinsic
def store(typing_context: Any, array: Any, offset: Any, lanes: Any) -> Any:
    """Write eight numbers into a contiguous 1-d float64 array from `offset` on (no bounds are checked)."""
    if not (_is_row(array) and isinstance(offset, types.Integer) and lanes == LANES):
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], address, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, LANES), generate


@_intrinsic
def spread(typing_context: Any, number: Any) -> Any:
    """One number in all eight lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _spread(builder, arguments[0])

    return LANES(types.float64), generate


@_intrinsic
def total(typing_context: Any, lanes: Any) -> Any:
    """Sum of the eight lanes."""
    if lanes != LANES:
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        width, summed = WIDTH, arguments[0]
        while width > 1:
            width //= 2
            halves = [
                builder.shuffle_vector(
                    summed,
                    ir.Constant(summed.type, ir.Undefined),
                    ir.Constant(ir.VectorType(cgutils.int32_t, width), list(range(start, start + width))),
                )
                for start in (0, width)
            ]
            summed = builder.fadd(*halves)
        return builder.extract_element(summed, cgutils.int32_t(0))

    return types.float64(LANES), generate


@_intrinsic
def root(typing_context: Any, lanes: Any) -> Any:
    """Square root, lane by lane."""
    if lanes != LANES:
        return None

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function_type: Any = ir.FunctionType(_VECTOR, [_VECTOR])
        name = f"llvm.sqrt.v{WIDTH}f64"
        known = builder.module.globals
        square_root = known[name] if name in known else ir.Function(builder.module, function_type, name)
        return builder.call(square_root, arguments)

    return LANES(LANES), generate


def _spread(builder: Any, number: Any) -> Any:
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, number, cgutils.int32_t(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(cgutils.int32_t, WIDTH), [0] * WIDTH))


class _Arithmetic(templates.AbstractTemplate):
    def generic(self, arguments: Any, keywords: Any) -> Any:
        if LANES in arguments and all(argument in {LANES, types.float64} for argument in arguments):
            return LANES(*arguments)
        return None


def _arithmetic(operation: Any, instruction: str) -> None:
    infer_global(operation)(type("_LaneByLane", (_Arithmetic,), {"key": operation}))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes = [
            value if value_type == LANES else _spread(builder, value)
            for value_type, value in zip(signature.args, arguments, strict=True)
        ]
        return getattr(builder, instruction)(*lanes, flags=_CONTRACT)

    for signature in ((LANES, LANES), (LANES, types.float64), (types.float64, LANES)):
        lower_builtin(operation, *signature)(generate)


for _operation, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _arithmetic(_operation, _instruction)
