"""What the gateway costs: direct to the model server, through a bare grpc.aio hop, and through the gateway, in one run.

    python -m benchmarks.overhead [--rounds 20] [--seconds 1.0] [--side 28]

The five ways are taken in turn, in another order each round, so that a machine whose speed drifts drifts for all of them. Of each round the
median and the 99th percentile at one caller, and the throughput at sixteen, are divided by those of the round's baseline; what is printed is the
median of these ratios over the rounds, with the least and the greatest. Like is compared with like: a hop with TLS for a gateway with TLS.
Authentication, authorisation, admission, routing, audit and metrics are on. The caller is one Python process on the same machine.
"""

import argparse
import random
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import grpc

from local.prepare import make_key, publish_model
from local.process import Process
from local.stack import Stack
from tfserving.v1 import prediction_pb2, tensor_pb2

METHOD = "/tensorflow.serving.PredictionService/Predict"
CALLERS = 16
WARM_UP_CALLS = 200
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """What one way did in one round."""

    p50_ms: float
    p99_ms: float
    calls_per_second: float


def measure(way: Way, request: bytes, seconds: float) -> Sample:
    """One caller for `seconds`, then sixteen for as long."""
    call = way.caller(request)
    durations = []
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        call()
        durations.append((time.perf_counter() - started) * 1000)
    counts = [0] * CALLERS
    began = time.perf_counter()
    end = began + seconds

    def ask(number: int) -> None:
        while time.perf_counter() < end:
            call()
            counts[number] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    percentiles = quantiles(durations, n=100)
    return Sample(p50_ms=median(durations), p99_ms=percentiles[98], calls_per_second=sum(counts) / (time.perf_counter() - began))


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


def report(samples: dict[str, list[Sample]], ways: list[Way]) -> None:
    """Prints each way's figures and its ratios to its baseline."""
    print(f"{'way':<22}{'p50 ms':>8}{'p99 ms':>8}{'calls/s':>9}   {'against':<14}{'p50':>20}{'p99':>20}{'calls/s at 16':>20}")
    for way in ways:
        own, base = samples[way.name], samples[way.baseline]
        columns = [median(getattr(sample, field) for sample in own) for field in Sample.__dataclass_fields__]
        line = f"{way.name:<22}{columns[0]:>8.2f}{columns[1]:>8.2f}{columns[2]:>9.0f}   {way.baseline:<14}"
        for field in Sample.__dataclass_fields__:
            ratios = [getattr(mine, field) / getattr(theirs, field) for mine, theirs in zip(own, base, strict=True)]
            line += f"{f'{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})':>20}"
        print(line)


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
        samples: dict[str, list[Sample]] = {way.name: [] for way in ways}
        try:
            for way in ways:
                call = way.caller(request)
                for _ in range(WARM_UP_CALLS):
                    call()
            order = list(ways)
            for number in range(rounds):
                random.shuffle(order)
                for way in order:
                    samples[way.name].append(measure(way, request, seconds))
                print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
            print(file=sys.stderr)
        finally:
            for process in (hop, tls_hop, plain_gateway):
                process.stop()
            for way in ways:
                way.channel.close()
        print(f"one image of {side} x {side} bytes; {rounds} rounds of {seconds:g} s; median ratio (least-greatest)")
        report(samples, ways)


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
