"""Warm-up records: real requests that are run before callers are let in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from modelserver.errors import ServingError
from modelserver.servable import Servable
from modelserver.warmup import warm_up

Records = Callable[..., bytes]


def predict_log(value: Any, *, alias: str = "x", signature: str = "") -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.signature_name = signature
    log.predict_log.request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return log


GOOD = predict_log(np.ones(2, np.float32))


@pytest.fixture
def warm(load: Callable[..., Servable], publish: Callable[..., Path], tmp_path: Path) -> Callable[..., int]:
    """Loads and warms up a model that was published with these bytes as its records."""

    def load_with(contents: bytes | None) -> int:
        folder = publish("half_plus_two", tmp_path / "m", 1, warm_up=contents)
        return warm_up(load("half_plus_two", folder=folder), folder)

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
    "another kind of request": (
        prediction_log_pb2.PredictionLog(classify_log=prediction_log_pb2.ClassifyLog()), "UNIMPLEMENTED", "classify_log",
    ),
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


@pytest.mark.parametrize("damage", [lambda contents: contents[::-1], lambda contents: contents[:-3]], ids=["another format", "cut short"])
def test_a_corrupt_file_fails_the_load(warm: Callable[..., int], records: Records, damage: Callable[[bytes], bytes]) -> None:
    """tfserving_observed.md, section 7."""
    with pytest.raises(ServingError) as caught:
        warm(damage(records(GOOD)))

    assert caught.value.code.name == "DATA_LOSS"
    assert caught.value.message.endswith(". Please verify your warmup data is in TFRecord format.")
