"""What TensorFlow's kernels can't stand: a tensor of a wrong shape ends the process in some of them, and not only the request.

Found by feeding each operation that models have tensors of 0 to 64 dimensions, each in a process of its own (TensorFlow 2.21, x86-64, oneDNN on).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from google.protobuf.message import Message
from tensorflow.core.framework import graph_pb2, node_def_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.python.framework import op_def_registry

# The dimensions that inputs must have, by operation and the input's number: its kernel looks at them without a look at how many there are.
_RANKS: Mapping[str, Mapping[int, int]] = {
    # oneDNN: tensor_format.h, "Invalid index from the dimension".
    "Conv2D": {0: 4},
    "DepthwiseConv2dNative": {0: 4},
    "Conv3D": {0: 5},
    # tensor_shape.cc, "d < dims()".
    "MaxPool3D": {0: 5},
    "LSTMBlockCell": {0: 2, 1: 2, 2: 2},
    "CombinedNonMaxSuppression": {0: 4, 1: 3},
}
# They abort for other reasons, or those above do: what the signature says of its inputs is all that can be held against them.
_OTHERS = frozenset({"BlockLSTM", "BlockLSTMV2", "GRUBlockCell", "FakeQuantWithMinMaxVarsPerChannel", "RaggedGather"})
# All that oneDNN computes has a layout.
_LAYOUT = "data_format"
# png_io.cc, "'image' Must be non NULL".
_NEEDING_ELEMENTS = frozenset({"EncodePng"})


def can_abort(ops: frozenset[str]) -> bool:
    """Whether a tensor of a wrong shape can end the process. Where none can, shapes are left to the graph, as TensorFlow Serving leaves them."""
    definitions = (op_def_registry.get(op) for op in ops)
    return bool(ops & (_RANKS.keys() | _OTHERS)) or any(
        found is not None and any(attr.name == _LAYOUT for attr in found.attr) for found in definitions
    )


def need_elements(ops: frozenset[str]) -> bool:
    """Whether a tensor without any element can end the process."""
    return bool(ops & _NEEDING_ELEMENTS)


def ensure_ranks(meta_graph: meta_graph_pb2.MetaGraphDef) -> None:
    """Has the graph itself refuse what would end the process, where a signature doesn't say how many dimensions its inputs have.

    An `EnsureShape` is put before each input of such an operation, in the graph and in the functions that it calls. It costs next to nothing, and
    isn't put where it isn't needed: some fusions of operations would find it in their way.
    """
    infos = (info for definition in meta_graph.signature_def.values() for info in definition.inputs.values())
    if not any(info.tensor_shape.unknown_rank for info in infos):
        return
    graph: graph_pb2.GraphDef = meta_graph.graph_def
    _extend(graph.node, list(_ensure(graph.node, "")))
    for function in graph.library.function:
        _extend(function.node_def, list(_ensure(function.node_def, ":output:0")))


def _ensure(nodes: Iterable[node_def_pb2.NodeDef], output: str) -> Iterator[node_def_pb2.NodeDef]:
    for node in nodes:
        for number, rank in _RANKS.get(node.op, {}).items():
            added = node_def_pb2.NodeDef(name=f"{node.name}/of_{rank}_dimensions_{number}", op="EnsureShape", device=node.device)
            added.input.append(node.input[number])
            added.attr["T"].type = node.attr["T"].type if "T" in node.attr else types_pb2.DT_FLOAT
            for _ in range(rank):
                added.attr["shape"].shape.dim.add(size=-1)
            node.input[number] = added.name + output
            yield added


def _extend(nodes: Any, added: list[Message]) -> None:  # noqa: ANN401 - a repeated field
    nodes.extend(added)
