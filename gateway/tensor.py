"""A dense array between the stages: its element type, its shape, and its bytes."""

from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray


class DType(StrEnum):
    """The element types, by their names in numpy; `STRING` holds byte strings of any length."""

    FLOAT16 = "float16"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    BOOL = "bool"
    STRING = "string"

    @property
    def numpy(self) -> np.dtype[Any]:
        """The little-endian numpy type. Raises TypeError for STRING, which has none of a fixed size."""
        if self is DType.STRING:
            message = "a string tensor has no fixed element size"
            raise TypeError(message)
        return np.dtype(self.value).newbyteorder("<")

    @property
    def is_floating(self) -> bool:
        """Whether NaN and infinity are values of the type."""
        return self.value.startswith("float")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tensor:
    """A dense array, row-major.

    Attributes:
        dtype: the element type.
        shape: the size of each dimension, each zero or more.
        content: all elements, row-major, little-endian; empty for strings.
        strings: all elements, row-major, where `dtype` is STRING; empty otherwise.
    """

    dtype: DType
    shape: tuple[int, ...]
    content: bytes | memoryview = b""
    strings: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError where the elements aren't as many as the shape says."""
        elements = prod(self.shape)
        got, expected = (len(self.strings), elements) if self.dtype is DType.STRING else (len(self.content), elements * self.dtype.numpy.itemsize)
        if got != expected or any(size < 0 for size in self.shape):
            message = f"{got} bytes or strings, expected {expected} for {self.dtype.value}{list(self.shape)}"
            raise ValueError(message)

    @classmethod
    def of(cls, array: NDArray[Any]) -> "Tensor":
        """A tensor with the numbers of `array` (any shape; a dtype that `DType` names). Copies."""
        dtype = DType(array.dtype.name)
        return cls(dtype=dtype, shape=array.shape, content=np.ascontiguousarray(array, dtype=dtype.numpy).tobytes())

    @property
    def array(self) -> NDArray[Any]:
        """A read-only view of the numbers, without a copy. Raises TypeError for strings."""
        view = np.frombuffer(self.content, dtype=self.dtype.numpy).reshape(self.shape)
        view.flags.writeable = False
        return view

    def with_shape(self, shape: tuple[int, ...]) -> "Tensor":
        """The same elements in another shape of as many."""
        return Tensor(dtype=self.dtype, shape=shape, content=self.content, strings=self.strings)
