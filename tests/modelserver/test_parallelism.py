"""On how many threads a model's operations run, where that is left open."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from modelserver import parallelism
from modelserver.servable import LoadOptions, Servable
from modelserver.session import Session


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Saves a function as a model."""

    def save_one(body: Callable[..., Any], *specs: tf.TensorSpec, **state: Any) -> Path:
        module = tf.Module()
        for name, value in state.items():
            setattr(module, name, value)
        tf.saved_model.save(module, str(tmp_path / "m"), signatures={"serving_default": tf.function(body, input_signature=specs)})
        return tmp_path / "m"

    return save_one


def threads_of(folder: Path, intra: int = 0) -> int:
    """The threads that an operation of the loaded model may use; 0 where that is TensorFlow's choice."""
    servable = Servable("m", 1, folder, LoadOptions(session_config=config_pb2.ConfigProto(intra_op_parallelism_threads=intra)))
    try:
        return servable.session.config.intra_op_parallelism_threads
    finally:
        servable.close()


def test_a_short_model_runs_on_one_thread(save: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine a tenth of a millisecond may take several.
    monkeypatch.setattr(parallelism, "LONG_SECONDS", 1.0)
    folder = save(lambda x: {"y": x + 1.0}, tf.TensorSpec([None, 3], tf.float32, name="x"))

    assert threads_of(folder) == 1


def test_a_long_model_runs_on_all(save: Callable[..., Path]) -> None:
    def serve(x: tf.Tensor) -> dict[str, tf.Tensor]:
        _, y = tf.while_loop(lambda i, _: i < 50, lambda i, y: (i + 1, tf.linalg.matmul(y, y) * 0.001), (0, x))
        return {"y": y[:1]}

    folder = save(serve, tf.TensorSpec([512, 512], tf.float32, name="x"))

    assert threads_of(folder) == 0


def test_what_the_flags_say_is_taken(save: Callable[..., Path]) -> None:
    folder = save(lambda x: {"y": x + 1.0}, tf.TensorSpec([None, 3], tf.float32, name="x"))

    assert threads_of(folder, intra=2) == 2


def test_a_model_that_a_request_changes_is_not_asked(save: Callable[..., Path]) -> None:
    counter = tf.Variable(0.0)
    folder = save(
        lambda x: {"y": counter.assign_add(tf.reduce_sum(x) + 1.0)[tf.newaxis]}, tf.TensorSpec([None], tf.float32, name="x"), counter=counter
    )
    servable = Servable("m", 1, folder, LoadOptions(session_config=config_pb2.ConfigProto()))

    (first,) = servable.signatures["serving_default"].run(("y",), [np.zeros(1, np.float32)])

    assert first.tolist() == [1.0]
    assert servable.session.config.intra_op_parallelism_threads == 0
    servable.close()


@pytest.mark.parametrize(
    ("spec", "body"),
    [
        (tf.TensorSpec([None], tf.string, name="x"), tf.strings.length),
        (tf.TensorSpec([None, None], tf.float32, name="x"), tf.identity),
        (tf.TensorSpec(None, tf.float32, name="x"), tf.identity),
        (tf.TensorSpec([None, 1 << 23], tf.float32, name="x"), tf.identity),
        (tf.TensorSpec([None, 2], tf.float32, name="x"), lambda x: x + tf.random.uniform([2])),
    ],
    ids=["strings", "a size that isn't said", "an unknown rank", "a huge size", "chance"],
)
def test_what_cant_be_asked_is_taken_for_long(save: Callable[..., Path], spec: tf.TensorSpec, body: Callable[[tf.Tensor], tf.Tensor]) -> None:
    folder = save(lambda x: {"y": body(x)}, spec)
    session = Session(folder, tags=("serve",), config=config_pb2.ConfigProto())

    assert parallelism.is_long(session, session.meta_graph.signature_def["serving_default"])

    session.close()


def test_an_error_at_zeros_is_taken_for_long(save: Callable[..., Path]) -> None:
    def serve(x: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([tf.debugging.assert_positive(x)]):
            return {"y": tf.identity(x)}

    session = Session(save(serve, tf.TensorSpec([None], tf.float32, name="x")), tags=("serve",), config=config_pb2.ConfigProto())

    assert parallelism.is_long(session, session.meta_graph.signature_def["serving_default"])

    session.close()
