"""A tensor from the caller: checked against the manifest, and passed on without a copy."""

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.call import TensorDeclaration
from gateway.errors import ContentSizeMismatch, DtypeMismatch, ShapeMismatch, ValueNotFinite
from gateway.item import DeclaredTensor
from gateway.manifest import InputSpec, Manifest
from gateway.preprocess.bounds import InputLimits, require_at_most
from gateway.tensor import DType, Tensor


def prepare(spec: InputSpec, declared: DeclaredTensor, limits: InputLimits) -> Tensor:
    """The tensor of `spec`'s dtype and shape. Shares the caller's bytes.

    Raises what `declared_as` does, or ValueNotFinite.
    """
    tensor = declared_as(spec, declared, limits)
    if spec.dtype.is_floating:
        require_finite(tensor.array, spec, field=f'inputs["{spec.name}"].tensor.content')
    return tensor


def declared_as(spec: InputSpec, declared: DeclaredTensor, limits: InputLimits) -> Tensor:
    """A tensor of `spec`'s dtype and shape, whichever numbers it holds. Shares the caller's bytes.

    Raises TooManyElements, DtypeMismatch, ShapeMismatch or ContentSizeMismatch.
    """
    field = f'inputs["{spec.name}"].tensor'
    if any(size < 0 for size in declared.shape):
        message = f"a dimension is below zero: the model takes {described(spec.shape)}"
        raise ShapeMismatch(message, field=f"{field}.shape")
    require_at_most(limits.max_elements, declared.shape, unit="elements", field=f"{field}.shape")
    if declared.dtype is not spec.dtype:
        came = "no type" if declared.dtype is None else declared.dtype.name
        message = f"the model takes {spec.dtype.name}, {came} came: convert the values and set data_type"
        raise DtypeMismatch(message, field=f"{field}.data_type")
    require_shape(declared.shape, spec, field=f"{field}.shape")
    _require_content(declared, spec.dtype, field)
    tensor = Tensor(dtype=spec.dtype, shape=declared.shape, content=declared.content, strings=tuple(declared.strings))
    if spec.dtype is DType.BOOL and tensor.content and np.frombuffer(tensor.content, dtype=np.uint8).max() > 1:
        # Any other byte is undefined behaviour in C++, where the model reads it.
        message = "an element of a BOOL tensor is the byte 0 or 1"
        raise DtypeMismatch(message, field=f"{field}.content")
    return tensor


def require_batches(manifest: Manifest, declarations: Iterable[TensorDeclaration]) -> None:
    """Raises ShapeMismatch where a batch that is passed on unparsed hasn't the rank or a known dimension of the manifest's input.

    TensorFlow Serving checks neither, and a wrong rank aborts its whole process inside oneDNN. The rest is its own to answer.
    """
    for declaration in declarations:
        spec = manifest.inputs.get(declaration.input_name)
        shape = declaration.shape
        if spec is None:
            continue
        if len(shape) != len(spec.shape) + 1 or any(known not in {-1, size} for known, size in zip(spec.shape, shape[1:], strict=True)):
            message = f"the model takes batches of {described(spec.shape)}: send a tensor of that shape behind a batch dimension"
            raise ShapeMismatch(message, field=declaration.field)


def described(shape: tuple[int, ...]) -> str:
    """A shape for people: `[any, 28, 1]`."""
    return "[" + ", ".join("any" if size < 0 else str(size) for size in shape) + "]"


def require_shape(shape: tuple[int, ...], spec: InputSpec, *, field: str) -> None:
    """Raises ShapeMismatch where the rank or a known dimension isn't the manifest's."""
    if len(shape) != len(spec.shape) or any(known not in {-1, size} for known, size in zip(spec.shape, shape, strict=True)):
        came = described(shape) if len(shape) <= 8 else f"{len(shape)} dimensions"  # noqa: PLR2004 - what a message can hold
        message = f"the model takes {described(spec.shape)} without a batch dimension, {came} came"
        raise ShapeMismatch(message, field=field)


def require_finite(values: NDArray[Any], spec: InputSpec, *, field: str) -> None:
    """Raises ValueNotFinite for an infinity, and for NaN unless it marks a missing value that the model fills in."""
    if spec.allows_missing:
        if np.isinf(values).any():
            message = "a value is infinite: send a number, or NaN where a value is missing"
            raise ValueNotFinite(message, field=field)
    elif not np.isfinite(values).all():
        message = "a value is NaN or infinite, and the model takes numbers only: fill in or leave out what is missing"
        raise ValueNotFinite(message, field=field)


def _require_content(declared: DeclaredTensor, dtype: DType, field: str) -> None:
    elements = prod(declared.shape)
    if dtype is DType.STRING:
        if len(declared.strings) != elements or declared.content:
            message = f"the shape needs {elements} strings in string_values and an empty content: {len(declared.strings)} strings came"
            raise ContentSizeMismatch(message, field=f"{field}.string_values")
        return
    expected = elements * dtype.numpy.itemsize
    if len(declared.content) != expected or declared.strings:
        message = f"the shape needs {expected} bytes of {dtype.name} and no string_values: {len(declared.content)} bytes came"
        raise ContentSizeMismatch(message, field=f"{field}.content")
