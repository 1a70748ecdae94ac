"""What the gateway costs: direct to the model server, through a bare grpc.aio hop, and through the gateway, in one run.

    python -m benchmarks.overhead [--rounds 20] [--seconds 1.0] [--side 28]

Of each round the median and the 99th percentile at one caller, and the throughput at sixteen, are divided by those of the round's baseline. Like is
compared with like: a hop with TLS for a gateway with TLS.
Authentication, authorisation, admission, routing, audit and metrics are on. The caller is one Python process on the same machine.
"""

import argparse
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc

from benchmarks.paired import WARM_UP_CALLS, Call, Figures, in_turn, latency, report, throughput
from local.prepare import make_key, publish_model
from local.process import Process
from local.stack import Stack
from tfserving.v1 import prediction_pb2, tensor_pb2

METHOD = "/tensorflow.serving.PredictionService/Predict"
CALLERS = 16
_HOP_READY = re.compile(r"hop listening on .*:(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """One way to the model: its name, the name of the way that it is compared with, and a call."""

    name: str
    baseline: str
    channel: grpc.Channel
    metadata: tuple[tuple[str, str], ...]

    def caller(self, request: bytes) -> Callable[[], bytes]:
        """A function that calls once."""
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(METHOD)
        return lambda: call(request, timeout=30, metadata=self.metadata)


def request_of(side: int) -> bytes:
    """A Predict request for one grey image of `side` x `side`."""
    request = prediction_pb2.PredictRequest()
    request.model_spec.name = "digits"
    tensor = request.inputs["images"]
    tensor.dtype = tensor_pb2.DATA_TYPE_UINT8
    for size in (1, side, side, 1):
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = bytes(side * side)
    return request.SerializeToString()


def run(folder: Path, *, rounds: int, seconds: float, side: int) -> None:
    """Starts everything in `folder`, measures, and prints."""
    stack = Stack(folder)
    publish_model(stack, "--epochs=1", "--floor=0")  # the weights don't matter here
    _, key = make_key(stack)
    metadata = (("authorization", f"Bearer {key}"),)
    with stack:
        model_server = stack.start_model_server()
        plain_gateway = stack.start_gateway("listen.tls.enabled=false")
        gateway = stack.start_gateway()
        stack.wait_ready("digits")
        trusted = grpc.ssl_channel_credentials(stack.ca_file.read_bytes())
        pki = stack.ca_file.parent
        backend = f"--backend=127.0.0.1:{model_server.port}"
        log_file = stack.log_folder / "hop.log"
        tls = [f"--certificate={pki / 'server.pem'}", f"--private-key={pki / 'server-key.pem'}"]
        hop = Process("benchmarks.hop", [backend], folder=Path.cwd(), log_file=log_file, ready=_HOP_READY)
        tls_hop = Process("benchmarks.hop", [backend, *tls], folder=Path.cwd(), log_file=log_file, ready=_HOP_READY)

        def plain(port: int) -> grpc.Channel:
            return grpc.insecure_channel(f"localhost:{port}")

        def secure(port: int) -> grpc.Channel:
            return grpc.secure_channel(f"localhost:{port}", trusted)

        ways = [
            Way(name="direct", baseline="direct", channel=plain(model_server.port), metadata=()),
            Way(name="hop", baseline="direct", channel=plain(hop.port), metadata=()),
            Way(name="gateway", baseline="hop", channel=plain(plain_gateway.port), metadata=metadata),
            Way(name="hop, TLS", baseline="direct", channel=secure(tls_hop.port), metadata=()),
            Way(name="gateway, TLS", baseline="hop, TLS", channel=secure(gateway.port), metadata=metadata),
        ]
        request = request_of(side)
        calls = {way.name: way.caller(request) for way in ways}
        try:
            for call in calls.values():
                for _ in range(WARM_UP_CALLS):
                    call()
            samples = in_turn({name: partial(_measure, call, seconds) for name, call in calls.items()}, rounds)
        finally:
            for process in (hop, tls_hop, plain_gateway):
                process.stop()
            for way in ways:
                way.channel.close()
        print(f"one image of {side} x {side} bytes; {rounds} rounds of {seconds:g} s; median ratio (least-greatest)")
        report(samples, {way.name: way.baseline for way in ways})


def _measure(call: Call, seconds: float) -> Figures:
    return latency(call, seconds) | throughput(call, seconds, CALLERS)


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--side", type=int, default=28, help="of the image, in pixels")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="medserve-overhead-"))
    try:
        run(folder, rounds=arguments.rounds, seconds=arguments.seconds, side=arguments.side)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
