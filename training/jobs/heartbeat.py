"""What the jobs that read one heartbeat have in common: how it is sent, and what the answer means."""

import json
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from medserve.v1 import manifest_pb2, tensor_pb2
from training.baseline import Baseline, support_vectors
from training.data.ecg5000 import CLASSES, SAMPLES
from training.job import softmax_output
from training.report import plots

BASELINE = Baseline(name="a support vector machine on the samples", make=support_vectors)
_CHANNEL = "ecg"


def facts(display_name: str) -> manifest_pb2.ModelManifest:
    """What the manifest says."""
    return manifest_pb2.ModelManifest(
        task=manifest_pb2.TASK_DIAGNOSIS,
        display_name=display_name,
        description="Says which of five classes one heartbeat belongs to, from 140 samples of one lead.",
        intended_use=manifest_pb2.IntendedUse(
            purpose="Shows the way of a time series through the service, and tests it. It was fitted to beats of one patient.",
            not_for=["Any patient's care"],
            demonstration_only=True,
        ),
        inputs=[
            manifest_pb2.InputSpec(
                name="series",
                data_type=tensor_pb2.DATA_TYPE_FLOAT32,
                shape=[SAMPLES, 1],
                description="One heartbeat, stretched to 140 samples of one lead, in any unit: [samples, 1].",
                time_series=manifest_pb2.TimeSeriesInput(channels=[manifest_pb2.ChannelSpec(name=_CHANNEL, unit="1")]),
            )
        ],
        outputs=[softmax_output("urn:ucr:ECG5000", {str(number): display for number, display in enumerate(CLASSES, start=1)})],
    )


def write_sample(folder: Path, stem: str, series: NDArray[Any]) -> Path:
    """Writes a heartbeat as the `medserve` command takes it."""
    path = folder / f"{stem}.json"
    channel = {"name": _CHANNEL, "unit": "1", "values": [round(float(value), 6) for value in series[:, 0]]}
    path.write_text(json.dumps({"channels": [channel], "sampling_frequency_hz": 0}))
    return path


def draw(series: NDArray[Any], title: str) -> str:
    """Draws a heartbeat."""
    return plots.series({_CHANNEL: series[:, 0]}, title=title)
