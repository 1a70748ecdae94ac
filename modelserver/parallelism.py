"""On how many threads one operation of a model runs, where the flags leave that open.

Several threads cost a small model more than they give: a convolution of a tenth of a millisecond takes three times as long on two of them. A large
one is the faster for them while there is one caller. So a model is loaded for one thread, and, where its answer to a request of zeros takes long,
once more for all of them. That request is made only of a graph that no request can change.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.framework import graph_pb2, node_def_pb2, types_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.framework import op_def_registry

from modelserver.session import Session
from modelserver.source import fingerprint

# A model whose answer takes no longer is served by one thread for each request: measured on two cores, several threads earn nothing below it.
LONG_SECONDS = 0.002
# A model of more weights than this is loaded for all threads at once: it would be no gain to load it twice.
_MAX_BYTES = 64 << 20
_MAX_ELEMENTS = 1 << 22
_TRIES = 5
# Stateful by their definition; they call, or read what was loaded.
_READING = frozenset(
    {
        "PartitionedCall", "StatefulPartitionedCall", "If", "While", "Case", "VarHandleOp", "ReadVariableOp", "ResourceGather", "ResourceGatherNd",
        "VariableV2", "Variable", "HashTable", "HashTableV2", "LookupTableFind", "LookupTableFindV2", "Assert", "NoOp", "Placeholder",
    }
)  # fmt: skip


def chosen(config: config_pb2.ConfigProto, folder: Path) -> config_pb2.ConfigProto | None:
    """The configuration to load a model with first, where the number of threads is ours to choose; None where it isn't."""
    if config.intra_op_parallelism_threads or sum(size for _, size, _ in fingerprint(folder)) > _MAX_BYTES:
        return None
    single = config_pb2.ConfigProto()
    single.CopyFrom(config)
    single.intra_op_parallelism_threads = 1
    return single


def is_long(session: Session, definition: meta_graph_pb2.SignatureDef) -> bool:
    """Whether several threads are worth their cost for this signature, and also where that can't be found out without a change of the model."""
    zeros = _zeros(definition)
    if zeros is None or not _only_reads(session.meta_graph.graph_def, definition):
        return True
    feeds, arrays = zip(*zeros, strict=True)
    run = session.callable(feeds, tuple(sorted(info.name for info in definition.outputs.values())))
    try:
        # The first run is TensorFlow's to prepare.
        return min(_seconds_of(run, arrays) for _ in range(_TRIES)) > LONG_SECONDS
    except tf.errors.OpError:
        return True


def _seconds_of(run: Any, arrays: tuple[NDArray[Any], ...]) -> float:  # noqa: ANN401 - a callable of TensorFlow's
    started = time.perf_counter()
    run(*arrays)
    return time.perf_counter() - started


def _zeros(definition: meta_graph_pb2.SignatureDef) -> list[tuple[str, NDArray[Any]]] | None:
    """One row of zeros for each input, by the name of its tensor; None where the signature doesn't say its size."""
    if not definition.inputs or not definition.outputs:
        return None
    zeros = []
    for _, info in sorted(definition.inputs.items()):
        sizes = [dim.size for dim in info.tensor_shape.dim]
        shape = [1 if number == 0 and size < 0 else size for number, size in enumerate(sizes)]
        is_number = bool(info.dtype) and tf.as_dtype(info.dtype).is_numpy_compatible and info.dtype != types_pb2.DT_STRING
        if not is_number or info.tensor_shape.unknown_rank or any(size < 0 for size in shape) or int(np.prod(shape)) > _MAX_ELEMENTS:
            return None
        zeros.append((info.name, np.zeros(shape, tf.as_dtype(info.dtype).as_numpy_dtype)))
    return zeros


def _only_reads(graph: graph_pb2.GraphDef, definition: meta_graph_pb2.SignatureDef) -> bool:
    """Whether a run of the signature leaves everything as it was: each operation that it needs, and each of the functions that they call."""
    nodes = {node.name: node for node in graph.node}
    functions = {function.signature.name: function for function in graph.library.function}
    seen = {info.name.partition(":")[0] for info in definition.outputs.values()}
    waiting = [(nodes[name], True) for name in seen]
    while waiting:
        node, is_of_graph = waiting.pop()
        if not _reads(node.op):
            return False
        # The nodes of a function are all looked at, so its inputs needn't be followed.
        inputs = {name.lstrip("^").partition(":")[0] for name in node.input} if is_of_graph else set()
        for needed in (inputs & nodes.keys()) - seen:
            seen.add(needed)
            waiting.append((nodes[needed], True))
        for called in (set(_called_by(node)) & functions.keys()) - seen:
            seen.add(called)
            waiting.extend((inner, False) for inner in functions[called].node_def)
    return True


def _reads(op: str) -> bool:
    found = op_def_registry.get(op)
    return op in _READING or (found is not None and not found.is_stateful)


def _called_by(node: node_def_pb2.NodeDef) -> Iterator[str]:
    for value in node.attr.values():
        for function in (value.func, *value.list.func):
            if function.name:
                yield function.name
