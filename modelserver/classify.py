"""`Classify`: classes and scores for each of a request's examples (servables/tensorflow/classifier.cc)."""

from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import classification_pb2

from modelserver.errors import ServingError, invalid_argument
from modelserver.examples import read_examples, run_signature, shape_of, type_of
from modelserver.servable import DEFAULT_SIGNATURE, Servable
from modelserver.signature import Outputs

METHOD = "tensorflow/serving/classify"
_INPUT, _CLASSES, _SCORES = "inputs", "classes", "scores"


def classify(servable: Servable, request: classification_pb2.ClassificationRequest) -> classification_pb2.ClassificationResponse:
    """Classifies the examples of a request by a loaded version. Raises ServingError."""
    key = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if key not in servable.signature_def:
        message = f"No signature was found with the name: {key}"
        raise invalid_argument(message)
    wanted = check_classification(servable, key)
    examples = read_examples(request.input)
    outputs = run_signature(servable, key, wanted, examples)
    response = classification_pb2.ClassificationResponse(model_spec=servable.spec(key))
    fill_classifications(response.result, outputs, len(examples))
    return response


def check_classification(servable: Servable, key: str) -> tuple[str, ...]:
    """The outputs, by alias, of a signature that classifies. Raises ServingError (INVALID_ARGUMENT) where it doesn't."""
    definition: meta_graph_pb2.SignatureDef = servable.signature_def[key]
    if servable.options.checks_method_name and definition.method_name != METHOD:
        message = f"Expected classification signature method_name to be {METHOD}. Was: {definition.method_name}"
        raise invalid_argument(message)
    if len(definition.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(definition.outputs) not in {1, 2}:
        message = f"Expected one or two output Tensors, found {len(definition.outputs)}"
        raise invalid_argument(message)
    if _INPUT not in definition.inputs:
        message = f"No classification inputs found in SignatureDef: {definition}"
        raise invalid_argument(message)
    wanted = tuple(alias for alias in (_CLASSES, _SCORES) if alias in definition.outputs)
    if not wanted:
        message = (
            f'Expected classification signature outputs to contain at least one of "{_CLASSES}" or "{_SCORES}". Signature was: {definition}'
        )  # fmt: skip
        raise invalid_argument(message)
    return wanted


def fill_classifications(result: classification_pb2.ClassificationResult, outputs: Outputs, count: int) -> None:
    """Writes what a graph found for `count` examples: string and float arrays [count, classes]. Raises ServingError where they aren't."""
    for alias, wanted in ((_CLASSES, "DT_STRING"), (_SCORES, "DT_FLOAT")):
        if alias in outputs:
            _check_output(alias, outputs[alias], wanted, count)
    classes, scores = outputs.get(_CLASSES), outputs.get(_SCORES)
    if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
        message = f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        raise invalid_argument(message)
    for row in range(count):
        listed = result.classifications.add().classes
        labels = None if classes is None else _labels(classes[row])
        values = None if scores is None else scores[row].tolist()
        if labels is None:
            for value in values or ():
                listed.add(score=value)
        elif values is None:
            for label in labels:
                listed.add(label=label)
        else:
            for label, value in zip(labels, values, strict=True):
                listed.add(label=label, score=value)


def _labels(classes: NDArray[np.object_]) -> list[str]:
    try:
        return [label.decode() for label in classes]
    except UnicodeDecodeError:
        # TensorFlow Serving sends it, and the caller can't read the reply.
        message = f"{_CLASSES}: the model gave a label that is no UTF-8"
        raise ServingError(grpc.StatusCode.INTERNAL, message) from None


def _check_output(alias: str, array: NDArray[Any], wanted: str, count: int) -> None:
    if array.ndim != 2:  # noqa: PLR2004 - the message says of what
        message = f"Expected Tensor shape: [batch_size num_classes] but got {shape_of(array)}"
        raise invalid_argument(message)
    if type_of(array) != wanted:
        message = f"Expected {alias} Tensor of {wanted}. Got: {type_of(array)}"
        raise invalid_argument(message)
    if array.shape[0] != count:
        message = f"Expected {alias} output batch size of {count}. Got: {array.shape[0]}"
        raise invalid_argument(message)
