"""`Predict`: which signatures it runs."""

from collections.abc import Callable

import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from modelserver.config import Batching
from modelserver.errors import ServingError
from modelserver.predict import predict
from modelserver.servable import Servable

Load = Callable[..., Servable]


def _request(signature: str, **inputs: object) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest(model_spec={"name": "m", "signature_name": signature})
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return request


def test_a_single_text_is_answered_as_one(load_shared: Load) -> None:
    prediction = predict(load_shared("text"), _request("", numbers=b"1e2"))

    assert {alias: (output.shape, output.tolist()) for alias, output in prediction.outputs.items()} == {"value": ((), 100.0), "upper": ((), b"1E2")}
    assert prediction.signature.encode(prediction.outputs)


@pytest.mark.parametrize("batching", [None, Batching()])
def test_what_tensorflow_says_of_bytes_that_are_no_text_is_a_status(load_shared: Load, batching: Batching | None) -> None:
    with pytest.raises(ServingError) as caught:
        predict(load_shared("text", batching=batching), _request("", numbers=[b"\xff\x00"]))

    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert caught.value.message.startswith("StringToNumberOp could not correctly convert string: \N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize("signature", ["classify_x_to_y", "regress_x_to_y"])
def test_it_runs_what_classifies_and_regresses_also_where_methods_are_checked(load_shared: Load, signature: str) -> None:
    example = tf.train.Example(features={"feature": {"x": {"float_list": {"value": [1.0]}}}}).SerializeToString()

    prediction = predict(load_shared("examples", checks_method_name=True), _request(signature, inputs=[example]))

    assert [output.tolist() for output in prediction.outputs.values()] == [[[2.5]]]


def test_it_refuses_a_signature_without_a_method_where_that_is_checked(load_shared: Load) -> None:
    """tfserving_observed.md, section 2."""
    with pytest.raises(ServingError) as caught:
        predict(load_shared("conv", checks_method_name=True), _request("__saved_model_init_op"))

    assert caught.value.code.name == "INTERNAL"
    assert caught.value.message == (
        "Expected prediction signature method_name to be one of "
        "{tensorflow/serving/predict, tensorflow/serving/classify, tensorflow/serving/regress}. Was: "
    )


def test_what_initializes_a_model_gives_no_tensor_in_tensorflows_words(load_shared: Load) -> None:
    with pytest.raises(ServingError) as caught:
        predict(load_shared("conv"), _request("__saved_model_init_op"))

    assert caught.value.message == "Node 'NoOp' (type: 'NoOp', num of outputs: 0) does not have output 0"
