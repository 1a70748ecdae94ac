"""`Regress`: a number for each of a request's examples (servables/tensorflow/regressor.cc)."""

from typing import Any

from numpy.typing import NDArray
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import regression_pb2

from modelserver.errors import invalid_argument
from modelserver.examples import read_examples, run_signature, shape_of, type_of
from modelserver.servable import DEFAULT_SIGNATURE, Servable
from modelserver.signature import Outputs

METHOD = "tensorflow/serving/regress"
_INPUT, _OUTPUT = "inputs", "outputs"


def regress(servable: Servable, request: regression_pb2.RegressionRequest) -> regression_pb2.RegressionResponse:
    """Finds the number of each example of a request by a loaded version. Raises ServingError."""
    key = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if key not in servable.signature_def:
        message = f"No signature was found with the name: {key}"
        raise invalid_argument(message)
    wanted = check_regression(servable, key)
    examples = read_examples(request.input)
    outputs = run_signature(servable, key, wanted, examples)
    response = regression_pb2.RegressionResponse(model_spec=servable.spec(key))
    fill_regressions(response.result, outputs, len(examples))
    return response


def check_regression(servable: Servable, key: str) -> tuple[str, ...]:
    """The output, by alias, of a signature that regresses. Raises ServingError (INVALID_ARGUMENT) where it doesn't."""
    definition: meta_graph_pb2.SignatureDef = servable.signature_def[key]
    if servable.options.checks_method_name and definition.method_name != METHOD:
        message = f"Expected regression signature method_name to be {METHOD}. Was: {definition.method_name}"
        raise invalid_argument(message)
    if len(definition.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(definition.outputs) != 1:
        raise invalid_argument("Expected one output Tensor.")
    if _INPUT not in definition.inputs:
        message = f"No regression inputs found in SignatureDef: {definition}"
        raise invalid_argument(message)
    if _OUTPUT not in definition.outputs:
        message = f"No regression outputs found in SignatureDef: {definition}"
        raise invalid_argument(message)
    return (_OUTPUT,)


def fill_regressions(result: regression_pb2.RegressionResult, outputs: Outputs, count: int) -> None:
    """Writes what a graph found for `count` examples: a float array [count] or [count, 1]. Raises ServingError where it isn't."""
    array = outputs[_OUTPUT]
    _check_output(array, count)
    for value in array.ravel().tolist():
        result.regressions.add(value=value)


def _check_output(array: NDArray[Any], count: int) -> None:
    if array.ndim != 1 and array.shape[1:] != (1,):
        message = f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {shape_of(array)}"
        raise invalid_argument(message)
    if array.shape[0] != count:
        message = f"Input batch size did not match output batch size: {count} vs. {array.shape[0]}"
        raise invalid_argument(message)
    if type_of(array) != "DT_FLOAT":
        message = f"Expected output Tensor of DT_FLOAT.  Got: {type_of(array)}"
        raise invalid_argument(message)
