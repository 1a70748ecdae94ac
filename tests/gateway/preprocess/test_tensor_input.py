"""Tensors from callers."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from gateway.errors import ContentSizeMismatch, DtypeMismatch, InputError, MedserveError, ShapeMismatch, TooManyElements, ValueNotFinite
from gateway.item import DeclaredTensor
from gateway.manifest import InputSpec
from gateway.tensor import DType, Tensor

Prepare = Callable[..., Tensor]
NUMERIC = [dtype for dtype in DType if dtype is not DType.STRING]


def spec(dtype: DType = DType.FLOAT32, shape: tuple[int, ...] = (-1, 2), *, allows_missing: bool = False) -> InputSpec:
    return InputSpec(name="x", dtype=dtype, shape=shape, allows_missing=allows_missing)


def declared(*values: float, shape: tuple[int, ...] | None = None) -> DeclaredTensor:
    return DeclaredTensor(dtype=DType.FLOAT32, shape=shape or (len(values) // 2, 2), content=np.array(values, "<f4").tobytes())


@given(data=st.data(), dtype=st.sampled_from(NUMERIC))
def test_passes_every_array_on_as_it_is(prepare: Prepare, data: st.DataObject, dtype: DType) -> None:
    elements = {"allow_nan": False, "allow_infinity": False} if dtype.is_floating else {}
    array = data.draw(npst.arrays(dtype.numpy, npst.array_shapes(min_dims=0, max_dims=4, max_side=5, min_side=0), elements=elements))
    free = data.draw(st.lists(st.booleans(), min_size=array.ndim, max_size=array.ndim))
    # A manifest can't ask for an empty dimension; one that is free may be empty.
    shape = tuple(-1 if any_size or not size else size for any_size, size in zip(free, array.shape, strict=True))

    tensor = prepare(spec(dtype, shape), DeclaredTensor(dtype=dtype, shape=array.shape, content=array.tobytes()))

    assert tensor.dtype is dtype
    assert tensor.shape == array.shape
    np.testing.assert_array_equal(tensor.array, array)


def test_shares_the_callers_bytes(prepare: Prepare) -> None:
    value = declared(1, 2, 3, 4)

    assert prepare(spec(), value).content is value.content


def test_takes_strings(prepare: Prepare) -> None:
    tensor = prepare(spec(DType.STRING, (2,)), DeclaredTensor(dtype=DType.STRING, shape=(2,), content=b"", strings=(b"a", b"\xff")))

    assert tensor.strings == (b"a", b"\xff")


@pytest.mark.parametrize(
    ("value", "error", "field"),
    [
        (DeclaredTensor(dtype=None, shape=(1, 2), content=b"\0" * 8), DtypeMismatch, "data_type"),
        (DeclaredTensor(dtype=DType.FLOAT64, shape=(1, 2), content=b"\0" * 16), DtypeMismatch, "data_type"),
        (DeclaredTensor(dtype=DType.STRING, shape=(1, 2), content=b"", strings=(b"", b"")), DtypeMismatch, "data_type"),
        (declared(1, 2, shape=(2,)), ShapeMismatch, "shape"),
        (declared(1, 2, shape=(1, 1, 2)), ShapeMismatch, "shape"),
        (declared(1, 2, 3, shape=(1, 3)), ShapeMismatch, "shape"),
        (declared(1, 2, shape=(-1, 2)), ShapeMismatch, "shape"),
        (declared(1, 2, shape=(-1, -2)), ShapeMismatch, "shape"),
        (DeclaredTensor(dtype=DType.FLOAT32, shape=(1,) * 5000, content=b"\0" * 4), ShapeMismatch, "shape"),
        (declared(1, 2, shape=(2, 2)), ContentSizeMismatch, "content"),
        (declared(1, 2, 3, shape=(1, 2)), ContentSizeMismatch, "content"),
        (DeclaredTensor(dtype=DType.FLOAT32, shape=(0, 2), content=b"", strings=(b"a",)), ContentSizeMismatch, "content"),
        (declared(1, float("nan")), ValueNotFinite, "content"),
        (declared(1, float("inf")), ValueNotFinite, "content"),
    ],
)
def test_refuses(prepare: Prepare, value: DeclaredTensor, error: type[InputError], field: str) -> None:
    with pytest.raises(error) as caught:
        prepare(spec(), value)

    assert caught.value.field == f'inputs["x"].tensor.{field}'
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("strings", [(), (b"a",), (b"a", b"b", b"c")])
def test_refuses_more_or_fewer_strings_than_the_shape_says(prepare: Prepare, strings: tuple[bytes, ...]) -> None:
    with pytest.raises(ContentSizeMismatch) as caught:
        prepare(spec(DType.STRING, (2,)), DeclaredTensor(dtype=DType.STRING, shape=(2,), content=b"", strings=strings))

    assert caught.value.field == 'inputs["x"].tensor.string_values'


def test_refuses_a_bool_that_is_neither(prepare: Prepare) -> None:
    assert prepare(spec(DType.BOOL, (2,)), DeclaredTensor(dtype=DType.BOOL, shape=(2,), content=b"\0\1")).array.tolist() == [False, True]
    with pytest.raises(DtypeMismatch, match="0 or 1"):
        prepare(spec(DType.BOOL, (2,)), DeclaredTensor(dtype=DType.BOOL, shape=(2,), content=b"\0\2"))


def test_takes_nan_but_no_infinity_where_values_may_be_missing(prepare: Prepare) -> None:
    tensor = prepare(spec(allows_missing=True), declared(1, float("nan")))

    assert np.isnan(tensor.array).tolist() == [[False, True]]
    for infinite in (float("inf"), float("-inf")):
        with pytest.raises(ValueNotFinite):
            prepare(spec(allows_missing=True), declared(float("nan"), infinite))


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param((10**9, 1), id="a thousand million"),
        pytest.param((2**32, 2**32), id="2^64, which is 0 in 64 bits"),
        pytest.param((2**63 - 1, 2**63 - 1), id="the largest dimensions"),
        pytest.param((0, 2**62), id="none, and yet too large for numpy"),
        pytest.param((2**62,) * 100_000, id="a very long shape"),
    ],
)
def test_refuses_what_is_declared_too_large_before_it_allocates(prepare: Prepare, shape: tuple[int, ...]) -> None:
    value = DeclaredTensor(dtype=DType.FLOAT32, shape=shape, content=b"")
    tracemalloc.start()

    with pytest.raises(TooManyElements) as caught:
        prepare(spec(), value)

    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.field == 'inputs["x"].tensor.shape'
    assert peak_bytes < 1_000_000


@given(
    dtype=st.sampled_from([None, *DType]),
    shape=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 3), max_size=5),
    content=st.binary(max_size=64),
    strings=st.lists(st.binary(max_size=4), max_size=3),
)
def test_whatever_is_declared_ends_in_a_tensor_or_an_error_of_the_tree(
    prepare: Prepare, dtype: DType | None, shape: list[int], content: bytes, strings: list[bytes]
) -> None:
    value = DeclaredTensor(dtype=dtype, shape=tuple(shape), content=content, strings=tuple(strings))

    try:
        tensor = prepare(spec(), value)
    except MedserveError as error:
        assert isinstance(error, InputError | TooManyElements)  # noqa: PT017 - either outcome is right
    else:
        assert tensor.shape == value.shape
