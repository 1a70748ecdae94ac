"""`Classify`: what it answers, and what it refuses of a request and of a model. The contract has the rows that come over the wire."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import classification_pb2, input_pb2

from modelserver.classify import classify, fill_classifications
from modelserver.config import Batching
from modelserver.errors import ServingError
from modelserver.servable import Servable

Load = Callable[..., Servable]
Ask = Callable[..., classification_pb2.ClassificationResponse]


def _request(signature: str, *rows: float) -> classification_pb2.ClassificationRequest:
    examples = [tf.train.Example(features={"feature": {"x": {"float_list": {"value": [row]}}}}) for row in rows]
    return classification_pb2.ClassificationRequest(
        model_spec={"name": "m", "signature_name": signature}, input=input_pb2.Input(example_list=input_pb2.ExampleList(examples=examples))
    )


@pytest.fixture(scope="module")
def ask(load_shared: Load) -> Ask:
    """Classifies numbers by a signature of a model."""

    def ask_one(signature: str, *rows: float, model: str = "examples", **options: Any) -> classification_pb2.ClassificationResponse:
        return classify(load_shared(model, **options), _request(signature, *rows))

    return ask_one


def test_each_example_has_its_classes_with_label_and_score(ask: Ask) -> None:
    response = ask("classify_two", 1, -10)

    wanted = """
        classifications { classes { label: "high" score: 2.5 } classes { label: "low" score: -2.5 } }
        classifications { classes { label: "low" score: -3 } classes { label: "high" score: 3 } }
    """
    assert response.result == text_format.Parse(wanted, classification_pb2.ClassificationResult())


def test_a_graph_of_tensorflow_1_classifies(ask: Ask) -> None:
    response = ask("classify_x_to_y", 1, 2, model="legacy")

    assert [row.classes[0].score for row in response.result.classifications] == [2.5, 3.0]


def test_the_reply_names_the_version_and_the_signature(ask: Ask) -> None:
    spec = ask("", 1).model_spec

    assert (spec.name, spec.version.value, spec.signature_name) == ("examples", 1, "serving_default")
    assert spec.WhichOneof("version_choice") == "version"


def test_the_method_is_checked_where_that_is_asked_for(ask: Ask) -> None:
    ask("classify_x_to_y", 1, checks_method_name=True)
    with pytest.raises(ServingError) as caught:
        ask("regress_x_to_y", 1, checks_method_name=True)

    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert caught.value.message == (
        "Expected classification signature method_name to be tensorflow/serving/classify. Was: tensorflow/serving/regress"
    )


def test_what_initializes_a_model_does_not_classify(ask: Ask) -> None:
    with pytest.raises(ServingError, match=r"Expected one input Tensor\."):
        ask("__saved_model_init_op", 1, model="conv")


def test_an_input_that_takes_no_strings_is_refused_in_tensorflows_words(load: Load, tmp_path: Any) -> None:
    module = tf.Module()
    specs = [tf.TensorSpec([None], tf.float32, name="inputs")]
    signature = tf.function(lambda inputs: {"scores": inputs[:, None]}, input_signature=specs)
    tf.saved_model.save(module, str(tmp_path / "1"), signatures={"serving_default": signature})

    with pytest.raises(ServingError) as caught:
        classify(load("m", folder=tmp_path / "1"), _request("", 1))

    assert caught.value.message == "Expects arg[0] to be float but string is provided"


def test_an_example_without_the_feature_fails_in_tensorflows_words(load_shared: Load) -> None:
    request = _request("classify_x_to_y", 1)
    request.input.example_list.examples.add()

    with pytest.raises(ServingError) as caught:
        classify(load_shared("examples"), request)

    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert caught.value.message.startswith("Name: <unknown>, Feature: x (data type: float) is required but could not be found.")


BATCHING = Batching(max_batch_size=4, batch_timeout_micros=50_000, num_batch_threads=2)


def test_examples_of_several_callers_are_gathered_and_each_gets_its_own(load_shared: Load) -> None:
    servable, answers = load_shared("examples", batching=BATCHING), {}

    def one(number: int) -> None:
        response = classify(servable, _request("classify_x_to_y", number, -number))
        answers[number] = [row.classes[0].score for row in response.result.classifications]

    callers = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert answers == {number: [number / 2 + 2, -number / 2 + 2] for number in range(8)}


def test_more_examples_than_a_batch_holds_are_refused(ask: Ask) -> None:
    with pytest.raises(ServingError, match="Task size 5 is larger than maximum input batch size 4"):
        ask("classify_x_to_y", *range(5), batching=BATCHING)


def test_another_callers_broken_example_fails_nobody_else(load_shared: Load) -> None:
    servable = load_shared("examples", batching=BATCHING)
    broken, good = _request("classify_x_to_y", 1), _request("classify_x_to_y", 2)
    broken.input.example_list.examples[0].Clear()
    results: dict[str, Any] = {}

    def one(name: str, request: classification_pb2.ClassificationRequest) -> None:
        try:
            results[name] = classify(servable, request).result.classifications[0].classes[0].score
        except ServingError as error:
            results[name] = error.code.name

    callers = [threading.Thread(target=one, args=row) for row in (("broken", broken), ("good", good))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert results == {"broken": "INVALID_ARGUMENT", "good": 3.0}


FLAT, WIDE, NAMES = np.zeros(2, np.float32), np.zeros((2, 3), np.float32), np.full((2, 3), b"a", object)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"scores": np.float32(1)}, "Expected Tensor shape: [batch_size num_classes] but got []"),
        ({"scores": FLAT}, "Expected Tensor shape: [batch_size num_classes] but got [2]"),
        ({"scores": WIDE.astype(tf.bfloat16.as_numpy_dtype)}, "Expected scores Tensor of DT_FLOAT. Got: DT_BFLOAT16"),
        ({"scores": NAMES}, "Expected scores Tensor of DT_FLOAT. Got: DT_STRING"),
        ({"classes": WIDE}, "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
        ({"classes": NAMES[:1]}, "Expected classes output batch size of 2. Got: 1"),
        ({"scores": WIDE[:1]}, "Expected scores output batch size of 2. Got: 1"),
        ({"classes": NAMES, "scores": WIDE[:, :1]}, "Tensors class and score should match in dim_size(1). Got 3 vs. 1"),
        ({"classes": FLAT, "scores": FLAT[:1]}, "Expected Tensor shape: [batch_size num_classes] but got [2]"),
    ],
)
def test_outputs_of_another_form_are_refused(outputs: dict[str, Any], message: str) -> None:
    with pytest.raises(ServingError) as caught:
        fill_classifications(classification_pb2.ClassificationResult(), outputs, 2)

    assert (caught.value.code.name, caught.value.message) == ("INVALID_ARGUMENT", message)


def test_no_classes_are_an_answer() -> None:
    result = classification_pb2.ClassificationResult()

    fill_classifications(result, {"scores": WIDE[:, :0]}, 2)

    assert [len(row.classes) for row in result.classifications] == [0, 0]


def test_a_label_that_is_no_text_is_the_models_fault() -> None:
    with pytest.raises(ServingError) as caught:
        fill_classifications(classification_pb2.ClassificationResult(), {"classes": np.full((1, 1), b"\xff", object)}, 1)

    assert (caught.value.code.name, caught.value.message) == ("INTERNAL", "classes: the model gave a label that is no UTF-8")
