"""`MultiInference`: several signatures of one model on the same examples, in one run of its graph (servables/tensorflow/multi_inference.cc)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from tensorflow_serving.apis import inference_pb2, model_pb2

from modelserver import classify, regress
from modelserver.errors import ServingError, invalid_argument
from modelserver.examples import read_examples, run_signatures
from modelserver.servable import DEFAULT_SIGNATURE, Servable
from modelserver.signature import Outputs


@dataclass(frozen=True, kw_only=True, slots=True)
class _Method:
    """What a task can ask for: `check` names the outputs that a signature gives, and `fill` writes them to the field `result`."""

    check: Callable[[Servable, str], tuple[str, ...]]
    result: str
    fill: Callable[[Any, Outputs, int], None]


_METHODS = {
    classify.METHOD: _Method(check=classify.check_classification, result="classification_result", fill=classify.fill_classifications),
    regress.METHOD: _Method(check=regress.check_regression, result="regression_result", fill=regress.fill_regressions),
}


def spec_of(request: inference_pb2.MultiInferenceRequest) -> model_pb2.ModelSpec:
    """Which version is asked: the first task says so, and of the others only the model's name is looked at."""
    return request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()


def multi_inference(servable: Servable, request: inference_pb2.MultiInferenceRequest) -> inference_pb2.MultiInferenceResponse:
    """Does all tasks of a request by a loaded version. Raises ServingError where any of them can't be done."""
    name = spec_of(request).name
    wanted: dict[str, tuple[str, ...]] = {}
    for task in request.tasks:
        if not task.model_spec.name:
            raise invalid_argument("Found ModelSpec with an empty model name.")
        if task.model_spec.name != name:
            raise invalid_argument("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        key = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if key in wanted:
            message = f"Duplicate evaluation of signature: {key}"
            raise invalid_argument(message)
        if key not in servable.signature_def:
            message = f"Requested signature not found in model graph: {key}"
            raise invalid_argument(message)
        if task.method_name not in _METHODS:
            message = f"Unsupported signature method_name: {task.method_name}"
            raise ServingError(grpc.StatusCode.UNIMPLEMENTED, message)
        wanted[key] = _METHODS[task.method_name].check(servable, key)
    examples = read_examples(request.input)
    outputs = run_signatures(servable, wanted, examples)
    response = inference_pb2.MultiInferenceResponse()
    for key, task in zip(wanted, request.tasks, strict=True):
        method, result = _METHODS[task.method_name], response.results.add(model_spec=servable.spec(key))
        method.fill(getattr(result, method.result), outputs[key], len(examples))
    return response
