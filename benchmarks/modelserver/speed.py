"""How fast the model server answers, against a bare Session callable behind a synchronous grpc.server, in one run.

    python -m benchmarks.modelserver.speed [--model small|large] [--rounds 16] [--seconds 1.0]

One image in each request. The servers are processes that run at their defaults; checks, counting and the whole of the model server's API are on. The
callers are threads of one Python process on the same machine.
"""

import argparse
import os
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.modelserver.servers import callable_server, calls, model_server, request_of, write_models
from benchmarks.paired import WARM_UP_CALLS, Call, Figures, in_turn, latency, report, throughput

SHAPES = {"small": (1, 28, 28, 1), "large": (1, 64, 64, 3)}
CALLERS = (16, 64)
_FLOAT_BYTES = 4
# As TensorFlow would choose by itself; at its defaults the model server chooses by the model.
_ALL_THREADS = tuple(f"--tensorflow_{kind}_op_parallelism={os.cpu_count()}" for kind in ("intra", "inter"))


def _measure(call: Call, seconds: float) -> Figures:
    figures = latency(call, seconds)
    for callers in CALLERS:
        figures |= throughput(call, seconds, callers)
    return figures


def run(root: Path, *, model: str, rounds: int, seconds: float) -> None:
    """Starts everything, measures, and prints."""
    write_models(root)
    shape = SHAPES[model]
    request = request_of(model, "images", shape, os.urandom(shape[1] * shape[2] * shape[3]) * _FLOAT_BYTES)
    servers = {
        "callable": callable_server(root, model),
        "model server": model_server(root, model),
        "model server, batching": model_server(root, model, "--enable_batching"),
        "model server, all threads": model_server(root, model, *_ALL_THREADS),
    }
    with ExitStack() as stack:
        ways = {name: stack.enter_context(calls(process, request)) for name, process in servers.items()}
        for call in ways.values():
            for _ in range(WARM_UP_CALLS):
                call()
            throughput(call, seconds, max(CALLERS))
        samples = in_turn({name: partial(_measure, call, seconds) for name, call in ways.items()}, rounds)
    baselines = dict.fromkeys(samples, "callable")
    print(f"model {model}; {rounds} rounds of {seconds:g} s; median ratio (least-greatest)")
    report(samples, baselines)
    print("and what batching, and the choice of threads, change")
    changes = {name: figures for name, figures in samples.items() if name.startswith("model server")}
    report(changes, dict.fromkeys(changes, "model server"))


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.modelserver.speed", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", choices=tuple(SHAPES), default="small")
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="medserve-speed-") as folder:
        run(Path(folder), model=arguments.model, rounds=arguments.rounds, seconds=arguments.seconds)


if __name__ == "__main__":
    main()
