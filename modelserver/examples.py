"""The `tf.Example`s that `Classify`, `Regress` and `MultiInference` take, and the runs of a graph on them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import input_pb2

from modelserver.errors import RUN_ERRORS, ServingError, invalid_argument
from modelserver.servable import Servable
from modelserver.signature import Outputs

Examples = NDArray[np.object_]


def read_examples(sent: input_pb2.Input) -> Examples:
    """The serialized examples, of shape [count]. Raises ServingError (INVALID_ARGUMENT) where there is none.

    A context goes before each example: protobuf merges messages that follow each other, and of a feature that both have the example's counts.
    """
    kind = sent.WhichOneof("kind")
    listed = getattr(sent, kind).examples if kind else ()
    if not listed:
        message = "Input is empty."
        raise invalid_argument(message)
    context = sent.example_list_with_context.context.SerializeToString() if kind == "example_list_with_context" else b""
    examples = np.empty(len(listed), object)
    examples[:] = [context + example.SerializeToString() for example in listed]
    return examples


def run_signature(servable: Servable, key: str, wanted: tuple[str, ...], examples: Examples) -> Outputs:
    """Runs a signature of one input on examples, with those of others where requests are gathered; `wanted` are aliases. Raises ServingError."""
    signature = servable.runnable(key)
    signature.check_input(0, types_pb2.DT_STRING, examples.shape)
    return dict(zip(wanted, signature.run(wanted, [examples]), strict=True))


def run_signatures(servable: Servable, wanted: Mapping[str, Sequence[str]], examples: Examples) -> dict[str, Outputs]:
    """Runs several signatures of one input each in one run of the graph; `wanted` are aliases by signature. Raises ServingError."""
    if len(wanted) == 1:
        ((key, aliases),) = wanted.items()
        return {key: run_signature(servable, key, tuple(aliases), examples)}
    definitions = {key: servable.runnable(key).definition for key in wanted}
    feeds = {info.name: key for key, definition in definitions.items() for info in definition.inputs.values()}
    for number, (_, key) in enumerate(sorted(feeds.items())):
        servable.runnable(key).check_input(0, types_pb2.DT_STRING, examples.shape, argument=number)
    fetches = tuple(sorted({definitions[key].outputs[alias].name for key, aliases in wanted.items() for alias in aliases}))
    try:
        arrays: list[NDArray[Any]] = servable.session.callable(tuple(sorted(feeds)), fetches)(*[examples] * len(feeds))
    except RUN_ERRORS as error:
        raise ServingError.of(error) from None
    found = dict(zip(fetches, arrays, strict=True))
    return {key: {alias: found[definitions[key].outputs[alias].name] for alias in aliases} for key, aliases in wanted.items()}


def type_of(array: NDArray[Any]) -> str:
    """The type's name as in `DT_FLOAT`."""
    return types_pb2.DataType.Name(tf.as_dtype(array.dtype).as_datatype_enum)


def shape_of(array: NDArray[Any]) -> str:
    """The shape as TensorFlow writes it: `[2,3]`."""
    return f"[{','.join(map(str, array.shape))}]"
