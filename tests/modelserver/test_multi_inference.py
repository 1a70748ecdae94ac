"""`MultiInference`: several signatures in one run of the graph. The contract has the rows that come over the wire."""

from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf
from tensorflow_serving.apis import inference_pb2

from modelserver.config import Batching
from modelserver.errors import ServingError
from modelserver.multi_inference import multi_inference
from modelserver.servable import Servable

Load = Callable[..., Servable]

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
BOTH = (("classify_two", CLASSIFY), ("regress_x_to_y", REGRESS))


def request(*tasks: tuple[str, str], rows: tuple[float, ...] = (1.0, 2.0)) -> inference_pb2.MultiInferenceRequest:
    made = inference_pb2.MultiInferenceRequest()
    for signature, method in tasks:
        made.tasks.add(model_spec={"name": "m", "signature_name": signature}, method_name=method)
    for row in rows:
        made.input.example_list.examples.add().features.feature["x"].float_list.value.append(row)
    return made


@pytest.mark.parametrize("batching", [None, Batching()])
def test_each_task_has_its_result(load_shared: Load, batching: Batching | None) -> None:
    response = multi_inference(load_shared("examples", batching=batching), request(*BOTH))

    classified, regressed = response.results
    assert [[one.label for one in row.classes] for row in classified.classification_result.classifications] == [["high", "low"], ["high", "low"]]
    assert [row.value for row in regressed.regression_result.regressions] == [2.5, 3.0]
    assert [result.model_spec.signature_name for result in response.results] == ["classify_two", "regress_x_to_y"]


def test_a_graph_of_tensorflow_1_parses_the_examples_once(load_shared: Load) -> None:
    servable, runs = load_shared("legacy"), []
    tasks = request(("classify_x_to_y", CLASSIFY), ("regress_x_to_y", REGRESS))
    make_callable = servable.session.callable

    def watched(feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Any:
        runs.append((feeds, fetches))
        return make_callable(feeds, fetches)

    servable.session.callable = watched
    try:
        response = multi_inference(servable, tasks)
    finally:
        servable.session.callable = make_callable

    assert [row.classes[0].score for row in response.results[0].classification_result.classifications] == [2.5, 3.0]
    assert [row.value for row in response.results[1].regression_result.regressions] == [2.5, 3.0]
    assert runs == [(("tf_example:0",), ("y:0",))]


def test_a_task_alone_is_gathered_with_others(load_shared: Load) -> None:
    servable = load_shared("examples", batching=Batching(max_batch_size=2))

    with pytest.raises(ServingError, match="Task size 3 is larger than maximum input batch size 2"):
        multi_inference(servable, request(BOTH[0], rows=(1, 2, 3)))


def test_what_one_task_refuses_fails_the_request(load_shared: Load) -> None:
    with pytest.raises(ServingError, match=r"Expected output Tensor of DT_FLOAT\.  Got: DT_DOUBLE"):
        multi_inference(load_shared("examples"), request(BOTH[0], ("regress_double", REGRESS)))


def test_the_method_is_checked_where_that_is_asked_for(load_shared: Load) -> None:
    servable = load_shared("examples", checks_method_name=True)
    multi_inference(servable, request(*BOTH))

    with pytest.raises(ServingError, match=r"Expected regression signature method_name to be tensorflow/serving/regress\. Was: tensorflow/serving/c"):
        multi_inference(servable, request(("classify_x_to_y", REGRESS)))


def test_no_task_runs_nothing_in_tensorflows_words(load_shared: Load) -> None:
    """Only a warm-up record comes so far: a call has to name a model, and tasks do that."""
    with pytest.raises(ServingError, match="Must specify at least one target to fetch or execute"):
        multi_inference(load_shared("examples"), request())


def test_an_input_that_takes_no_strings_is_refused_in_tensorflows_words(load: Load, tmp_path: Any) -> None:
    def score(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": inputs[:, None]}

    signatures = {
        name: tf.function(score, input_signature=[tf.TensorSpec([None], dtype, name="inputs")])
        for name, dtype in (("a", tf.string), ("b", tf.float32))
    }
    tf.saved_model.save(tf.Module(), str(tmp_path / "1"), signatures=signatures)

    with pytest.raises(ServingError) as caught:
        multi_inference(load("m", folder=tmp_path / "1"), request(("a", CLASSIFY), ("b", CLASSIFY)))

    assert caught.value.message == "Expects arg[1] to be float but string is provided"
