"""How soon the model server answers, and how much memory it holds, against a Python that imports TensorFlow and loads the same model.

python -m benchmarks.modelserver.start [--rounds 5]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import psutil

from benchmarks.modelserver.servers import calls, model_server, request_of, write_models
from benchmarks.paired import Figures, in_turn, report

_SIDE = 28
_CALLS = 100
_MEBI = 1 << 20
_BARE = """
import sys
import tensorflow as tf
session = tf.compat.v1.Session(graph=tf.Graph())
with session.graph.as_default():
    meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], sys.argv[1])
signature = meta.signature_def["serving_default"]
images = [[[[0.0]] * 28] * 28]
for _ in range(int(sys.argv[2])):
    session.run(signature.outputs["probabilities"].name if "probabilities" in signature.outputs else
                next(iter(signature.outputs.values())).name, {signature.inputs["images"].name: images})
    if _ == 0:
        print("answered", flush=True)
print("done", flush=True)
sys.stdin.read()
"""


def _bare(root: Path) -> Figures:
    command = [sys.executable, "-c", _BARE, str(root / "small" / "1"), str(_CALLS)]
    began = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        if process.stdout is None or process.stdout.readline() != "answered\n":
            message = "the baseline didn't answer"
            raise RuntimeError(message)
        answered = time.perf_counter() - began
        process.stdout.readline()
        resident = psutil.Process(process.pid).memory_info().rss / _MEBI
        process.kill()
    return {"answers after s": answered, "resident MiB": resident}


def _model_server(root: Path) -> Figures:
    request = request_of("small", "images", (1, _SIDE, _SIDE, 1), bytes(4 * _SIDE * _SIDE))
    began = time.perf_counter()
    server = model_server(root, "small")
    with calls(server, request) as call:
        answered = time.perf_counter() - began
        for _ in range(_CALLS):
            call()
        return {"answers after s": answered, "resident MiB": psutil.Process(server.pid).memory_info().rss / _MEBI}


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.modelserver.start", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="medserve-start-") as folder:
        root = Path(folder)
        write_models(root)
        samples = in_turn({"TensorFlow and the model": partial(_bare, root), "model server": partial(_model_server, root)}, rounds)
    print(f"{rounds} rounds; median ratio (least-greatest)")
    report(samples, dict.fromkeys(samples, "TensorFlow and the model"))


if __name__ == "__main__":
    main()
