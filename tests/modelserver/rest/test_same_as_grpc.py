"""What `predict` gives over REST is what it gives over gRPC, for any array of any type; and a client that others wrote speaks both."""

import json
from typing import Any

import numpy as np
import ovmsclient  # type: ignore[import-untyped]
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.modelserver.rest.conftest import Ask

# The signatures of the model `echo` that JSON has values for, by their types.
DTYPES = {
    "float": np.float32,
    "double": np.float64,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "uint8": np.uint8,
    "uint32": np.uint32,
    "uint64": np.uint64,
    "bool": np.bool_,
}
PROPERTY = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


def over_grpc(server: Any, signature: str, array: Any) -> Any:
    return tf.make_ndarray(server.predict("echo", signature=signature, x=array).outputs["y"])


def over_rest(ask: Ask, body: dict[str, Any]) -> Any:
    answer = ask("/v1/models/echo:predict", body)
    assert answer.status == 200, answer.text
    return json.loads(answer.body, parse_constant=float)


@pytest.mark.parametrize("signature", DTYPES)
@PROPERTY
@given(data=st.data())
def test_numbers(rest_server: Any, ask: Ask, signature: str, data: st.DataObject) -> None:
    dtype = np.dtype(DTYPES[signature])
    # Subnormal numbers are zero to the server's threads, JSON's as well as TensorFlow's.
    elements = st.floats(width=32 if dtype == np.float32 else 64, allow_subnormal=False) if dtype.kind == "f" else None
    array = data.draw(arrays.arrays(dtype, st.integers(1, 20), elements=elements))

    found = over_grpc(rest_server, signature, array)
    rows = over_rest(ask, {"signature_name": signature, "instances": array.tolist()})["predictions"]
    columns = over_rest(ask, {"signature_name": signature, "inputs": {"x": array.tolist()}})["outputs"]

    np.testing.assert_array_equal(np.array(rows, dtype), found)
    np.testing.assert_array_equal(np.array(columns, dtype), found)


@PROPERTY
@given(texts=st.lists(st.text(), min_size=1, max_size=5))
def test_strings(rest_server: Any, ask: Ask, texts: list[str]) -> None:
    encoded = [text.encode(errors="surrogateescape") for text in texts if text.isprintable()] or [b"a"]

    found = over_grpc(rest_server, "string", np.array(encoded, object))
    rows = over_rest(ask, {"signature_name": "string", "instances": [text.decode() for text in encoded]})["predictions"]

    assert [text.encode() for text in rows] == found.tolist()


@PROPERTY
@given(array=arrays.arrays(np.float32, arrays.array_shapes(min_dims=1, max_dims=4, max_side=3), elements=st.floats(-100, 100, width=32)))
def test_shapes(rest_server: Any, ask: Ask, array: Any) -> None:
    found = tf.make_ndarray(rest_server.predict("several", signature="double", x=array).outputs["y"])
    answer = ask("/v1/models/several:predict", {"signature_name": "double", "inputs": array.tolist()})

    np.testing.assert_array_equal(np.array(json.loads(answer.body)["outputs"], np.float32), found)


@pytest.fixture(params=["http", "grpc"])
def client(request: pytest.FixtureRequest, rest_server: Any, port: int) -> Any:
    """OpenVINO's client of TensorFlow Serving's API."""
    if request.param == "http":
        return ovmsclient.make_http_client(f"127.0.0.1:{port}")
    return ovmsclient.make_grpc_client(f"127.0.0.1:{rest_server.process.port}")


def test_ovmsclient_predicts(client: Any) -> None:
    # Without a version it asks for version 0, which is the newest one to OpenVINO's server alone.
    found = client.predict(inputs={"x": np.array([2.0, 4.0], np.float32)}, model_name="half_plus_two", model_version=1)

    np.testing.assert_array_equal(found, [3.0, 4.0])


def test_ovmsclient_reads_the_status(client: Any) -> None:
    status = client.get_model_status(model_name="half_plus_two", model_version=1)

    assert status == {1: {"state": "AVAILABLE", "error_code": 0, "error_message": ""}}


def test_ovmsclient_is_told_that_there_is_no_model(client: Any) -> None:
    with pytest.raises(ovmsclient.tfs_compat.base.errors.ModelNotFoundError):
        client.predict(inputs={"x": np.array([2.0], np.float32)}, model_name="nope")
