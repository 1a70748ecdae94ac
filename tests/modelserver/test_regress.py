"""`Regress`: what it answers, and what it refuses of a request and of a model. The contract has the rows that come over the wire."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import input_pb2, regression_pb2

from modelserver.config import Batching
from modelserver.errors import ServingError
from modelserver.regress import fill_regressions, regress
from modelserver.servable import Servable

Load = Callable[..., Servable]
Ask = Callable[..., list[float]]


@pytest.fixture(scope="module")
def ask(load_shared: Load) -> Ask:
    """Regresses numbers by a signature of a model."""

    def ask_one(signature: str, *rows: float, model: str = "examples", **options: Any) -> list[float]:
        examples = [tf.train.Example(features={"feature": {"x": {"float_list": {"value": [row]}}}}) for row in rows]
        request = regression_pb2.RegressionRequest(
            model_spec={"name": "m", "signature_name": signature}, input=input_pb2.Input(example_list=input_pb2.ExampleList(examples=examples))
        )
        return [row.value for row in regress(load_shared(model, **options), request).result.regressions]

    return ask_one


@pytest.mark.parametrize("signature", ["regress_x_to_y", "regress_flat"])
def test_each_example_has_its_number(ask: Ask, signature: str) -> None:
    assert ask(signature, 1, 2) == [2.5, 3.0]


def test_a_graph_of_tensorflow_1_regresses(ask: Ask) -> None:
    assert ask("regress_x_to_y", 1, 2, model="legacy") == [2.5, 3.0]


@pytest.mark.parametrize("model", ["examples", "legacy"])
def test_examples_may_be_gathered(ask: Ask, model: str) -> None:
    assert ask("regress_x_to_y", 1, 2, model=model, batching=Batching()) == [2.5, 3.0]


def test_the_method_is_checked_where_that_is_asked_for(ask: Ask) -> None:
    ask("regress_flat", 1, checks_method_name=True)
    with pytest.raises(ServingError) as caught:
        ask("predict_x_to_y", 1, checks_method_name=True)

    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert caught.value.message == "Expected regression signature method_name to be tensorflow/serving/regress. Was: tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((), np.float32), "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got []"),
        (np.zeros((2, 2), np.float32), "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]"),
        (np.zeros((2, 1, 1), np.float32), "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,1,1]"),
        (np.zeros((3, 1), np.float32), "Input batch size did not match output batch size: 2 vs. 3"),
        (np.zeros(3, np.float64), "Input batch size did not match output batch size: 2 vs. 3"),
        (np.zeros(2, np.float64), "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"),
        (np.full(2, b"1", object), "Expected output Tensor of DT_FLOAT.  Got: DT_STRING"),
    ],
)
def test_outputs_of_another_form_are_refused(array: Any, message: str) -> None:
    with pytest.raises(ServingError) as caught:
        fill_regressions(regression_pb2.RegressionResult(), {"outputs": array}, 2)

    assert (caught.value.code.name, caught.value.message) == ("INVALID_ARGUMENT", message)
