"""Tensors: checked against the manifest, and passed on without a copy."""

from math import prod

import numpy as np

from gateway.call import DeclaredTensor
from gateway.errors import ContentSizeMismatch, DtypeMismatch, ValueNotFinite
from gateway.manifest import InputSpec
from gateway.preprocess.bounds import InputLimits, check_elements, check_shape
from gateway.tensor import DType, Tensor


def prepare_tensor(spec: InputSpec, declared: DeclaredTensor, limits: InputLimits, field: str) -> Tensor:
    """The tensor as it came, proven to be what the manifest says. Raises an InputError or TooManyElements."""
    check_elements(declared.shape, limits, f"{field}.tensor.shape")
    if declared.dtype is not spec.dtype:
        got = "none" if declared.dtype is None else declared.dtype.value
        message = f"the element type is {got}; the model takes {spec.dtype.value}"
        raise DtypeMismatch(message, field=f"{field}.tensor.data_type")
    check_shape(spec, declared.shape, f"{field}.tensor.shape")
    elements = prod(declared.shape)
    if spec.dtype is DType.STRING:
        _check_count("strings", len(declared.strings), elements, f"{field}.tensor.string_values")
        return Tensor(dtype=spec.dtype, shape=declared.shape, strings=declared.strings)
    _check_count("bytes", len(declared.content), elements * spec.dtype.numpy.itemsize, f"{field}.tensor.content")
    tensor = Tensor(dtype=spec.dtype, shape=declared.shape, content=declared.content)
    check_finite(spec, tensor, f"{field}.tensor.content")
    return tensor


def check_finite(spec: InputSpec, tensor: Tensor, field: str) -> None:
    """Raises ValueNotFinite for an infinity, and for NaN unless the manifest says that it marks a missing value."""
    if not spec.dtype.is_floating:
        return
    bad = np.isinf(tensor.array) if spec.allows_missing else ~np.isfinite(tensor.array)
    if bad.any():
        allowed = "NaN for a missing value, but no infinity" if spec.allows_missing else "neither NaN nor infinity"
        message = f"{int(bad.sum())} of {bad.size} values are not finite; the model takes {allowed}"
        raise ValueNotFinite(message, field=field)


def _check_count(what: str, got: int, expected: int, field: str) -> None:
    if got != expected:
        message = f"{got} {what} came; the shape and element type ask for {expected}"
        raise ContentSizeMismatch(message, field=field)
