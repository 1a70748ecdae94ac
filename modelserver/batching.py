"""Requests gathered into batches by TensorFlow's own kernel, the `BatchFunction` operation.

A signature of a TensorFlow 2 model is one call of a function: its leading arguments are the signature's inputs, and the others what the function
captured (variables, tables). `BatchFunction` takes the same function and the same arguments, joins the inputs of several callers row by row, calls
it once, and hands each caller its rows.
"""

from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.python.ops import gen_batch_ops

from modelserver.config import Batching

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})


class Unbatchable(Exception):
    """A signature can't be batched; the message says why."""


def batched_outputs(graph: tf.Graph, definition: meta_graph_pb2.SignatureDef, batching: Batching) -> dict[str, str]:
    """Puts the batched call of a signature into the graph; returns the tensor's name of each output, by alias. Raises Unbatchable."""
    _check_shapes(definition)
    call = _call_of(graph, definition)
    count = len(definition.inputs)
    with graph.as_default():
        results = gen_batch_ops.batch_function(
            in_tensors=list(call.inputs[:count]),
            captured_tensors=list(call.inputs[count:]),
            f=call.get_attr("f"),
            Tout=call.get_attr("Tout"),
            num_batch_threads=batching.num_batch_threads,
            max_batch_size=batching.max_batch_size,
            batch_timeout_micros=batching.batch_timeout_micros,
            max_enqueued_batches=batching.max_enqueued_batches,
            allowed_batch_sizes=list(batching.allowed_batch_sizes),
            name="batching",
        )
    return {alias: results[_index(info.name)].name for alias, info in definition.outputs.items()}


def _check_shapes(definition: meta_graph_pb2.SignatureDef) -> None:
    """Items of one shape only: otherwise one caller's shape would fail the others of its batch."""
    if not definition.inputs:
        raise Unbatchable("it has no inputs")
    for alias, info in sorted(definition.inputs.items()):
        sizes = _sizes(info)
        if not sizes or sizes[0] >= 0 or min(sizes[1:], default=0) < 0:
            reason = f"input {alias} has the shape {_text(info)}: only the number of rows may vary"
            raise Unbatchable(reason)
    for alias, info in sorted(definition.outputs.items()):
        sizes = _sizes(info)
        if not sizes or sizes[0] >= 0:
            reason = f"output {alias} has the shape {_text(info)}: it isn't one row for each of the input"
            raise Unbatchable(reason)


def _call_of(graph: tf.Graph, definition: meta_graph_pb2.SignatureDef) -> Any:  # noqa: ANN401 - an operation
    calls = {graph.get_tensor_by_name(info.name).op for info in definition.outputs.values()}
    if len(calls) != 1:
        raise Unbatchable("its outputs come from several operations")
    call = calls.pop()
    if call.type not in _CALLS:
        reason = f"its outputs come from {call.type}, not from the call of a function"
        raise Unbatchable(reason)
    feeds = {info.name for info in definition.inputs.values()}
    count = len(definition.inputs)
    if {tensor.name for tensor in call.inputs[:count]} != feeds or feeds & {tensor.name for tensor in call.inputs[count:]}:
        raise Unbatchable("its inputs aren't the leading arguments of the function")
    if {_index(info.name) for info in definition.outputs.values()} != set(range(len(call.outputs))):
        raise Unbatchable("the function returns more than the signature does")
    return call


def _index(tensor_name: str) -> int:
    return int(tensor_name.rpartition(":")[2])


def _sizes(info: meta_graph_pb2.TensorInfo) -> list[int]:
    return [] if info.tensor_shape.unknown_rank else [dim.size for dim in info.tensor_shape.dim]


def _text(info: meta_graph_pb2.TensorInfo) -> str:
    return "<unknown>" if info.tensor_shape.unknown_rank else str(_sizes(info))
