"""What callers notice while versions are published: failed calls, the 99th percentile, and the memory that stays.

    python -m benchmarks.modelserver.publish [--versions 200] [--callers 4] [--seconds 20] [--minutes 12]

The small model is called all the time. First nothing is published for some seconds, then one version after the other, each as soon as the one before
it is available, and then nothing again. It ends with 1 where a call failed or was answered wrongly, or where memory stayed taken.
"""

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from statistics import quantiles

import grpc
import psutil

from benchmarks.modelserver.servers import calls, model_server, request_of, write_models
from tfserving.v1 import model_pb2

_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
_SIDE = 28
_MEBI = 1 << 20
# The head of the reply: the probabilities.
_OUTPUTS_BYTES = 60
_MAX_GROWTH = 1.05


class Callers:
    """Threads that call without end, and what became of each call."""

    def __init__(self, call: Callable[[], bytes], number: int) -> None:
        """Starts them. Every version answers the same; only its number, which comes last, is another."""
        self._call = call
        self._expected = call()[:_OUTPUTS_BYTES]
        self._stopping = threading.Event()
        self._durations: list[tuple[float, float]] = []
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            started = time.perf_counter()
            try:
                reply = self._call()
            except grpc.RpcError as error:
                self.failures.append(f"{error.code().name}: {error.details()}")
            else:
                if not reply.startswith(self._expected):
                    self.failures.append("a wrong answer")
            self._durations.append((started, (time.perf_counter() - started) * 1000))

    def during(self, began: float, ended: float) -> list[float]:
        """The durations of the calls that were made in that time, in milliseconds."""
        return [duration for started, duration in self._durations if began <= started < ended]

    def stop(self) -> None:
        """Ends them."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()


def is_available(channel: grpc.Channel, version: int) -> bool:
    """Whether that version of the model answers."""
    request = model_pb2.GetModelStatusRequest()
    request.model_spec.name = "small"
    status = channel.unary_unary(
        _STATUS,
        request_serializer=model_pb2.GetModelStatusRequest.SerializeToString,
        response_deserializer=model_pb2.GetModelStatusResponse.FromString,
    )(request, timeout=60)
    states = {row.version: row.state for row in status.model_version_status}
    return states.get(version) == model_pb2.ModelVersionStatus.STATE_AVAILABLE


def publish(base_path: Path, version: int) -> None:
    """Publishes version 1 again under another number, by one rename."""
    unfinished = base_path / f".{version}.tmp"
    shutil.copytree(base_path.with_name("source"), unfinished, copy_function=os.link)
    unfinished.rename(base_path / str(version))


def run(root: Path, *, versions: int, minutes: float, callers: int, seconds: float) -> bool:
    """Starts everything, publishes, and prints; returns whether nothing was lost, and no memory stayed taken."""
    write_models(root)
    base_path = root / "small"
    shutil.copytree(base_path / "1", root / "source")
    request = request_of("small", "images", (1, _SIDE, _SIDE, 1), bytes(4 * _SIDE * _SIDE))
    server = model_server(root, "small", "--file_system_poll_wait_seconds=0.1")
    process = psutil.Process(server.pid)
    with calls(server, request) as call, grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        threads = Callers(call, callers)
        memory = []
        published = 0
        marks = []
        for phase in ("rest", "publishing", "rest again"):
            # What was under way when a phase began isn't counted to it.
            time.sleep(1)
            began = time.perf_counter()
            if phase == "publishing":
                for version in range(2, versions + 2) if not minutes else count(2):
                    if minutes and time.perf_counter() > began + minutes * 60:
                        break
                    publish(base_path, version)
                    while not is_available(channel, version):
                        time.sleep(0.05)
                    shutil.rmtree(base_path / str(version - 1))
                    published = version - 1
                    print(f"\rversion {published}", end="", file=sys.stderr, flush=True)
                print(file=sys.stderr)
            else:
                time.sleep(seconds)
            marks.append((phase, began, time.perf_counter()))
            memory.append(process.memory_info().rss / _MEBI)
        threads.stop()
    print(f"{published} versions, {callers} callers; {len(threads.failures)} failed calls {sorted(set(threads.failures))[:3]}")
    grown = memory[-1] / memory[0]
    at_rest = quantiles(threads.during(*marks[0][1:]), n=100)
    for (phase, began, ended), rss in zip(marks, memory, strict=True):
        centiles = quantiles(threads.during(began, ended), n=100)
        calls_per_second = len(threads.during(began, ended)) / (ended - began)
        print(
            f"{phase:<12}{ended - began:>7.1f} s {calls_per_second:>7.0f} calls/s"
            f"  p50 {centiles[49]:>6.2f} ms ({centiles[49] / at_rest[49]:.2f} x)  p99 {centiles[98]:>6.2f} ms ({centiles[98] / at_rest[98]:.2f} x)"
            f"  resident {rss:.0f} MiB"
        )
    return not threads.failures and grown < _MAX_GROWTH


def main() -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.modelserver.publish", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--versions", type=int, default=200)
    parser.add_argument("--callers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20.0, help="of rest before and after")
    parser.add_argument("--minutes", type=float, default=0.0, help="of publishing, in place of a number of versions")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="medserve-publish-") as folder:
        return 0 if run(Path(folder), **vars(arguments)) else 1


if __name__ == "__main__":
    sys.exit(main())
