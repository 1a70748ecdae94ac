"""How soon the gateway listens, and how much memory it holds then and after it has decoded an image and a DICOM object.

    python -m benchmarks.start [--rounds 10]

The baseline, started in turn with it, is a Python that imports what any gRPC server in Python has to: grpc.aio, protobuf and numpy.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from statistics import median

import numpy as np
import psutil
from PIL import Image
from pydicom.data import get_testdata_file

from local.prepare import make_key, publish_model
from local.stack import Stack
from medserve import Client, Dicom, EncodedImage

BASELINE = "import grpc.aio, numpy, google.protobuf.message"
MEBIBYTE = 1 << 20


def run(folder: Path, rounds: int) -> None:
    """Starts everything in `folder`, measures, and prints."""
    stack = Stack(folder)
    publish_model(stack, "--epochs=1", "--floor=0")  # the weights don't matter here
    _, key = make_key(stack)
    with stack:
        stack.start_model_server()
        gateway_seconds, baseline_seconds, resident_mib = [], [], []
        for _ in range(rounds):
            started = time.perf_counter()
            gateway = stack.start_gateway()
            gateway_seconds.append(time.perf_counter() - started)
            resident_mib.append(psutil.Process(gateway.pid).memory_info().rss / MEBIBYTE)
            gateway.stop()
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", BASELINE], check=True)
            baseline_seconds.append(time.perf_counter() - started)
        gateway = stack.start_gateway()
        stack.wait_ready("digits")
        with Client(stack.target, api_key=key, ca_certificates=stack.ca_file) as client:
            file = BytesIO()
            Image.fromarray(np.zeros((28, 28), dtype=np.uint8)).save(file, "PNG")
            client.infer("digits", {"images": EncodedImage(file.getvalue())})
            client.infer("digits", {"images": Dicom.read(str(get_testdata_file("CT_small.dcm", download=False)))})
        used_mib = psutil.Process(gateway.pid).memory_info().rss / MEBIBYTE
    ratios = [mine / theirs for mine, theirs in zip(gateway_seconds, baseline_seconds, strict=True)]
    spread = f"{min(ratios):.1f}-{max(ratios):.1f}"
    print(f"the gateway listens after {median(gateway_seconds):.2f} s, {median(ratios):.1f} times ({spread}) a bare import")
    print(f"it holds {median(resident_mib):.0f} MiB then, and {used_mib:.0f} MiB after an image and a DICOM object")


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="medserve-start-") as folder:
        run(Path(folder), arguments.rounds)


if __name__ == "__main__":
    main()
