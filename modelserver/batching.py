"""Requests gathered into batches by TensorFlow's own kernel, the `BatchFunction` operation.

A signature of a TensorFlow 2 model is one call of a function: its leading arguments are the signature's inputs, and the others what the function
captured (variables, tables). `BatchFunction` takes the same function and the same arguments, joins the inputs of several callers row by row, calls
it once, and hands each caller its rows. Rows of different shapes can't be joined, so each shape has a queue of its own: nobody fails for another's
shape, or is padded to it.
"""

import threading
from collections.abc import Sequence
from typing import Any

import grpc
import structlog
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.python.ops import gen_batch_ops

from modelserver.config import Batching
from modelserver.errors import RUN_ERRORS, ServingError, invalid_argument
from modelserver.session import Session

_log = structlog.get_logger("modelserver.batching")

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
# A queue stays as long as its model: callers mustn't make them without end.
_MAX_QUEUES = 32

Shapes = tuple[tuple[int, ...], ...]


class Unbatchable(Exception):
    """A signature can't be batched; the message says why."""


def check_task(arrays: Sequence[NDArray[Any]], batching: Batching) -> int:
    """The rows of a request. Raises ServingError in the words of TensorFlow Serving's batching session (batching/batching_session.cc)."""
    if any(not array.ndim for array in arrays):
        raise invalid_argument("Batching Run() input tensors must have at least one dimension")
    rows = {array.shape[0] for array in arrays}
    if len(rows) > 1:
        raise invalid_argument("Batching Run() input tensors must have equal 0th-dimension size")
    size = max(rows, default=0)
    if size > batching.max_batch_size:
        message = f"Task size {size} is larger than maximum input batch size {batching.max_batch_size}"
        raise invalid_argument(message)
    return int(size)


class Batcher:
    """Runs one signature with the rows of other requests."""

    def __init__(self, session: Session, name: str, definition: meta_graph_pb2.SignatureDef, batching: Batching) -> None:
        """Takes the signature, and `name`, which no other one in the process has. Raises Unbatchable."""
        self._session = session
        self._name = name
        self._batching = batching
        self._definition = definition
        self._feeds = tuple(info.name for _, info in sorted(definition.inputs.items()))
        _check_rows(definition)
        self._call = _call_of(session.graph, definition)
        self._queues: dict[Shapes, dict[str, str]] = {}
        self._lock = threading.Lock()
        self._is_said = False
        fixed = _item_shapes(definition)
        self._max_queues = _MAX_QUEUES if fixed is None else 1
        if fixed is not None:
            self._queues[fixed] = self._new_queue()

    def run(self, wanted: tuple[str, ...], arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]] | None:
        """Runs with the others' rows; `wanted` are aliases of outputs. None where the request is to be run by itself.

        A batch fails as a whole, whoever's rows it is that a graph refuses. Each of its requests is then run apart, and only the one at fault fails.
        Raises ServingError (UNAVAILABLE) where the queue is full.
        """
        outputs = self._queue_of(tuple(array.shape[1:] for array in arrays))
        if outputs is None:
            return None
        try:
            return self._session.callable(self._feeds, tuple(outputs[alias] for alias in wanted))(*arrays)
        except tf.errors.UnavailableError as error:
            # TensorFlow adds the operation's name, which is of our making.
            raise ServingError(grpc.StatusCode.UNAVAILABLE, error.message.partition("\n")[0]) from None
        except RUN_ERRORS as error:
            self._say("a batch failed: its requests are run apart, as are those of later ones that fail", code=type(error).__name__)
            return None

    def _queue_of(self, shapes: Shapes) -> dict[str, str] | None:
        outputs = self._queues.get(shapes)
        if outputs is None:
            with self._lock:
                outputs = self._queues.get(shapes)
                if outputs is None and len(self._queues) < self._max_queues:
                    outputs = self._queues[shapes] = self._new_queue()
                elif outputs is None:
                    self._say("too many shapes: requests of further ones run by themselves", shapes=self._max_queues)
        return outputs

    def _new_queue(self) -> dict[str, str]:
        """Puts a batched call of the signature into the graph; returns the tensor's name of each output, by alias."""
        batching, count = self._batching, len(self._feeds)
        with self._session.graph.as_default():
            results = gen_batch_ops.batch_function(
                in_tensors=list(self._call.inputs[:count]),
                captured_tensors=list(self._call.inputs[count:]),
                f=self._call.get_attr("f"),
                Tout=self._call.get_attr("Tout"),
                num_batch_threads=batching.num_batch_threads,
                max_batch_size=batching.max_batch_size,
                batch_timeout_micros=batching.batch_timeout_micros,
                max_enqueued_batches=batching.max_enqueued_batches,
                allowed_batch_sizes=list(batching.sizes_to_run),
                enable_large_batch_splitting=batching.enable_large_batch_splitting,
                # The signature's queues share its threads.
                shared_name=self._name,
                batching_queue=str(len(self._queues)),
                name="batching",
            )
        return {alias: results[_index(info.name)].name for alias, info in self._definition.outputs.items()}

    def _say(self, event: str, **fields: object) -> None:
        """Logs what happens to many requests once, and without what is in them."""
        if not self._is_said:
            self._is_said = True
            _log.warning(event, signature=self._name, **fields)


def _check_rows(definition: meta_graph_pb2.SignatureDef) -> None:
    if not definition.inputs:
        raise Unbatchable("it has no inputs")
    for alias, info in sorted(definition.inputs.items()):
        if not _has_rows(info):
            reason = f"input {alias} has the shape {_text(info)}: the number of its rows can't vary"
            raise Unbatchable(reason)
    for alias, info in sorted(definition.outputs.items()):
        if not _has_rows(info):
            reason = f"output {alias} has the shape {_text(info)}: it isn't one row for each of the input"
            raise Unbatchable(reason)


def _has_rows(info: meta_graph_pb2.TensorInfo) -> bool:
    sizes = _sizes(info)
    return bool(sizes) and sizes[0] < 0


def _item_shapes(definition: meta_graph_pb2.SignatureDef) -> Shapes | None:
    """The shapes of the inputs' rows, in the order of the aliases; None where they vary."""
    shapes = tuple(tuple(_sizes(info)[1:]) for _, info in sorted(definition.inputs.items()))
    return None if any(size < 0 for shape in shapes for size in shape) else shapes


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
