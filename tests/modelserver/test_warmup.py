"""Warm-up records: real requests that are run before callers are let in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from modelserver.config import Batching
from modelserver.errors import ServingError
from modelserver.servable import Servable
from modelserver.warmup import warm_up

Load = Callable[..., Servable]
Records = Callable[..., bytes]


def predict_log(value: Any, *, alias: str = "x", signature: str = "") -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature
    log.predict_log.request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return log


Log = prediction_log_pb2.PredictionLog
GOOD = predict_log(np.ones(2, np.float32))


@pytest.fixture
def warm(load: Callable[..., Servable], publish: Callable[..., Path], tmp_path: Path) -> Callable[..., int]:
    """Loads and warms up a model that was published with these bytes as its records."""

    def load_with(contents: bytes | None, *, model: str = "half_plus_two", **options: Any) -> int:
        folder = publish(model, tmp_path / "m", 1, warm_up=contents)
        return warm_up(load(model, folder=folder, **options), folder)

    return load_with


def test_a_model_without_records_needs_none(warm: Callable[..., int]) -> None:
    assert warm(None) == 0


def test_each_record_is_run(warm: Callable[..., int], records: Records) -> None:
    assert warm(records(GOOD, GOOD)) == 2


def test_a_thousand_records_are_taken(warm: Callable[..., int], records: Records) -> None:
    assert warm(records(*[GOOD] * 1000)) == 1000


FAILING = {
    "a wrong type": (predict_log(np.ones(2)), "INVALID_ARGUMENT", "Expects arg[0] to be float but double is provided"),
    "a wrong input": (predict_log(np.ones(2, np.float32), alias="z"), "INVALID_ARGUMENT", "Signature input alias: x"),
    "no such signature": (predict_log(np.ones(2, np.float32), signature="s"), "FAILED_PRECONDITION", 'Serving signature key "s" not found.'),
    "a stream": (Log(predict_streamed_log={}), "UNIMPLEMENTED", "Unsupported log_type for warmup: 7"),
    "a run of a session": (Log(session_run_log={}), "UNIMPLEMENTED", "Unsupported log_type for warmup: 5"),
    "another signature": (Log(regress_log={}), "INVALID_ARGUMENT", "No regression inputs found in SignatureDef: "),
    "no tasks": (Log(multi_inference_log={}), "INVALID_ARGUMENT", "Input is empty."),
    "what is no log": (b"\xff\xff", "INVALID_ARGUMENT", "Failed to parse warmup record: 2"),
}  # fmt: skip


@pytest.mark.parametrize(("record", "code", "message"), FAILING.values(), ids=FAILING.keys())
def test_a_record_that_fails_fails_the_load(
    warm: Callable[..., int], records: Records, record: prediction_log_pb2.PredictionLog | bytes, code: str, message: str
) -> None:
    with pytest.raises(ServingError) as caught:
        warm(records(GOOD, record))

    assert caught.value.code.name == code
    assert message in caught.value.message


def test_more_than_a_thousand_records_fail_the_load(warm: Callable[..., int], records: Records) -> None:
    with pytest.raises(ServingError, match=r"Number of warmup records exceeds the maximum \(1000\) at ") as caught:
        warm(records(*[GOOD] * 1001))

    assert caught.value.code.name == "INVALID_ARGUMENT"


def _of_examples(signature: str, method: str = "") -> Any:
    """Fields of a request for one example."""
    spec = {"name": "m", "signature_name": signature}
    sent = {"example_list": {"examples": [{"features": {"feature": {"x": {"float_list": {"value": [1.0]}}}}}]}}
    return {"request": {"tasks": [{"model_spec": spec, "method_name": method}], "input": sent} if method else {"model_spec": spec, "input": sent}}


CLASSIFY, REGRESS = Log(classify_log=_of_examples("classify_two")), Log(regress_log=_of_examples("regress_flat"))
MULTI = Log(multi_inference_log=_of_examples("regress_x_to_y", "tensorflow/serving/regress"))


@pytest.mark.parametrize("batching", [None, Batching()])
def test_each_kind_of_request_is_run(warm: Callable[..., int], records: Records, batching: Batching | None) -> None:
    assert warm(records(CLASSIFY, REGRESS, MULTI), model="examples", batching=batching) == 3


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (Log(classify_log=_of_examples("regress_flat")), "Expected classification signature outputs to contain"),
        (Log(regress_log=_of_examples("classify_two")), r"Expected one output Tensor\."),
        (Log(multi_inference_log=_of_examples("classify_two", "tensorflow/serving/predict")), "Unsupported signature method_name"),
    ],
)
def test_each_kind_of_request_that_fails_fails_the_load(warm: Callable[..., int], records: Records, record: Any, message: str) -> None:
    with pytest.raises(ServingError, match=message):
        warm(records(record), model="examples")


def test_a_record_of_no_kind_is_passed_over(warm: Callable[..., int], records: Records) -> None:
    assert warm(records(Log(), GOOD)) == 2


def test_the_records_are_run_as_often_as_asked_for(load: Load, publish: Callable[..., Path], records: Records, tmp_path: Path) -> None:
    one = predict_log(np.float32(1), alias="delta", signature="incr_counter_by")
    folder = publish("counter", tmp_path / "m", 1, warm_up=records(one, one))
    servable = load("counter", folder=folder, warm_up_iterations=3)

    assert warm_up(servable, folder) == 2

    assert servable.signatures["get_counter"].predict({}, ())["output"] == 6


def test_no_record_is_run_where_that_is_not_wanted(warm: Callable[..., int], records: Records) -> None:
    assert warm(records(b"\xff"), warms_up=False) == 0


def test_the_batch_is_warm_afterwards(load: Load, publish: Callable[..., Path], records: Records, tmp_path: Path) -> None:
    """The first request of a shape makes a queue for it in the graph."""
    folder = publish("batched", tmp_path / "m", 1, warm_up=records(predict_log(np.ones((2, 3), np.float32), signature="wide")))
    servable = load("batched", folder=folder, batching=Batching())
    before = len(servable.session.graph.get_operations())

    warm_up(servable, folder)
    after = len(servable.session.graph.get_operations())
    servable.signatures["wide"].predict({"x": tf.make_tensor_proto(np.ones((5, 3), np.float32))}, ())

    assert (after - before, len(servable.session.graph.get_operations()) - after) == (1, 0)


def test_what_can_not_be_read_fails_the_load(load: Load, publish: Callable[..., Path], tmp_path: Path) -> None:
    folder = publish("half_plus_two", tmp_path / "m", 1)
    (folder / "assets.extra" / "tf_serving_warmup_requests").mkdir(parents=True)

    with pytest.raises(ServingError):
        warm_up(load("half_plus_two", folder=folder), folder)


@pytest.mark.parametrize("damage", [lambda contents: contents[::-1], lambda contents: contents[:-3]], ids=["another format", "cut short"])
def test_a_corrupt_file_fails_the_load(warm: Callable[..., int], records: Records, damage: Callable[[bytes], bytes]) -> None:
    """tfserving_observed.md, section 7."""
    with pytest.raises(ServingError) as caught:
        warm(damage(records(GOOD)))

    assert caught.value.code.name == "DATA_LOSS"
    assert caught.value.message.endswith(". Please verify your warmup data is in TFRecord format.")
