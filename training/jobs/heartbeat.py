"""The jobs that read one heartbeat differ in the cells of their network, and in nothing else."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from medserve.v1 import manifest_input_pb2, manifest_pb2, tensor_pb2
from training.baseline import Baseline, support_vectors
from training.data.ecg5000 import CLASSES, SAMPLES, load_ecg5000
from training.job import Job, Schedule, softmax_output
from training.models.recurrent import Cell, stacked
from training.report import plots

if TYPE_CHECKING:
    import keras

_CHANNEL = "ecg"


def job(cell: Cell) -> Job:
    """Three layers of 64 of these cells on one beat, and five classes."""
    name = f"ecg-{cell.lower()}"

    def build(*_: NDArray[Any]) -> "keras.Model":
        return stacked(cell, name=name.replace("-", "_"), samples=SAMPLES, channels=1, classes=len(CLASSES))

    return Job(
        name=name,
        load=load_ecg5000,
        build=build,
        schedule=Schedule(epochs=40, batch_size=32, validation_split=0.1),
        # Six seeds of the LSTM reached 0.926 to 0.934, in the mean 0.931. To say `normal` always is right in 0.584.
        accuracy_floor=0.92,
        facts=lambda: _facts(f"Heartbeat classes, {cell}"),
        baseline=Baseline(name="a support vector machine on the samples", make=support_vectors),
        write_sample=_write_sample,
        draw=_draw,
    )


def _facts(display_name: str) -> manifest_pb2.ModelManifest:
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
            manifest_input_pb2.InputSpec(
                name="series",
                data_type=tensor_pb2.DATA_TYPE_FLOAT32,
                shape=[SAMPLES, 1],
                description="One heartbeat, stretched to 140 samples of one lead, in any unit: [samples, 1].",
                time_series=manifest_input_pb2.TimeSeriesInput(channels=[manifest_input_pb2.ChannelSpec(name=_CHANNEL, unit="1")]),
            )
        ],
        outputs=[softmax_output("urn:ucr:ECG5000", {str(number): display for number, display in enumerate(CLASSES, start=1)})],
    )


def _write_sample(folder: Path, stem: str, series: NDArray[Any]) -> Path:
    path = folder / f"{stem}.json"
    channel = {"name": _CHANNEL, "unit": "1", "values": [round(float(value), 6) for value in series[:, 0]]}
    path.write_text(json.dumps({"channels": [channel], "sampling_frequency_hz": 0}))
    return path


def _draw(series: NDArray[Any], title: str) -> str:
    return plots.series({_CHANNEL: series[:, 0]}, title=title)
