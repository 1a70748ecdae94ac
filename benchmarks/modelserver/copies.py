"""What a large tensor costs on its way through a model that does nothing, against its way through gRPC alone.

    python -m benchmarks.modelserver.copies [--rounds 8] [--seconds 1.0]

The tensors are an image of 150 x 150 x 3 and one of five million elements, float; they come as `tensor_content` or as `float_val`, and go back as
`float_val`. The echo answers with the bytes that came. The bare callable makes an object of every element that comes as `float_val`, in Python.
"""

import argparse
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.modelserver.servers import callable_server, calls, echo_server, model_server, request_of, write_models
from benchmarks.paired import Call, Figures, in_turn, latency, report
from tfserving.v1 import prediction_pb2, tensor_pb2

ELEMENTS = {"image of 67,500": 150 * 150 * 3, "5,000,000": 5_000_000}


def typed_request(values: np.ndarray[tuple[int], np.dtype[np.float32]]) -> bytes:
    """The same request with its elements in `float_val`."""
    tensor = tensor_pb2.TensorProto(dtype=tensor_pb2.DATA_TYPE_FLOAT)
    tensor.tensor_shape.dim.add(size=len(values))
    tensor.float_val.extend(values.tolist())
    request = prediction_pb2.PredictRequest()
    request.model_spec.name = "identity"
    request.inputs["x"].CopyFrom(tensor)
    return request.SerializeToString()


def _measure(call: Call, seconds: float) -> Figures:
    return {"p50 ms": latency(call, seconds)["p50 ms"]}


def run(root: Path, *, rounds: int, seconds: float) -> None:
    """Starts everything, measures, and prints."""
    write_models(root)
    for name, count in ELEMENTS.items():
        values = np.random.default_rng(0).random(count, np.float32)
        content, typed = request_of("identity", "x", (count,), values.tobytes()), typed_request(values)
        servers = {
            "echo": (echo_server(root), content),
            "model server, tensor_content": (model_server(root, "identity"), content),
            "model server, float_val": (model_server(root, "identity"), typed),
            "callable, tensor_content": (callable_server(root, "identity"), content),
            "callable, float_val": (callable_server(root, "identity"), typed),
        }
        with ExitStack() as stack:
            ways = {way: stack.enter_context(calls(process, request)) for way, (process, request) in servers.items()}
            samples = in_turn({way: partial(_measure, call, seconds) for way, call in ways.items()}, rounds)
        print(f"{name} floats; {rounds} rounds of {seconds:g} s; median ratio (least-greatest)")
        report(samples, dict.fromkeys(samples, "echo"))


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.modelserver.copies", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="medserve-copies-") as folder:
        run(Path(folder), rounds=arguments.rounds, seconds=arguments.seconds)


if __name__ == "__main__":
    main()
