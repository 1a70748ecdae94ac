"""The jobs that read one heartbeat differ in the cells of their network, and in nothing else."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from medserve.v1 import manifest_input_pb2, manifest_pb2, tensor_pb2
from training.baseline import Baseline, support_vectors
from training.data.ecg5000 import CLASSES, SAMPLES, load_ecg5000, load_other_beats
from training.dataset import Part
from training.evidence.robustness import Delay, Noise
from training.fitting.plan import Plan
from training.gates import Ceiling, Floor, NotWorse
from training.job import USUAL, Job
from training.models.recurrent import HEAD, Cell, stacked
from training.report import plots
from training.tasks.classification import Classification

if TYPE_CHECKING:
    import keras

_CHANNEL = "ecg"


def job(cell: Cell, *, least: float) -> Job:
    """Three layers of 64 of these cells on one beat, and five classes; published from an accuracy of `least` on."""
    name = f"ecg-{cell.lower()}"

    def build(_: Part) -> "keras.Model":
        return stacked(cell, name=name.replace("-", "_"), samples=SAMPLES, channels=1, classes=len(CLASSES))

    return Job(
        name=name,
        load=load_ecg5000,
        task=Classification(
            system="urn:ucr:ECG5000",
            classes={str(number): display for number, display in enumerate(CLASSES, start=1)},
            build=build,
            plan=Plan(epochs=40, batch_size=32),
            baseline=Baseline(name="a support vector machine on the samples, fitted to the same items", make=support_vectors),
            draw=_draw,
            features_before=HEAD,
            # Each beat is brought to one scale, so a shift of all its values changes nothing; where it begins does.
            perturbations=(Noise(levels=(0.1, 0.5, 1.0), per="all"), Delay(levels=(5, 15))),
            other_items={"heartbeats of another person and lead (ECGFiveDays)": load_other_beats},
        ),
        facts=lambda: _facts(f"Heartbeat classes, {cell}"),
        # Six seeds of the LSTM reached 0.926 to 0.934, in the mean 0.931. To say `normal` always is right in 0.584.
        floor=Floor(figure="accuracy", least=least),
        # No gate on the conformal sets: the 50 beats that set them leave their coverage anywhere from 0.81 to 0.97, as the report says.
        gates=(Ceiling(figure="ece", most=0.06), NotWorse(figure="accuracy", margin=0.01), *USUAL),
        write_sample=_write_sample,
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
                description="One heartbeat of one lead, stretched to 140 samples, with the unit 1 whatever it was: the model scales it. [samples, 1]",
                time_series=manifest_input_pb2.TimeSeriesInput(channels=[manifest_input_pb2.ChannelSpec(name=_CHANNEL, unit="1")]),
            )
        ],
    )


def _write_sample(folder: Path, stem: str, series: NDArray[Any]) -> Path:
    path = folder / f"{stem}.json"
    channel = {"name": _CHANNEL, "unit": "1", "values": [round(float(value), 6) for value in series[:, 0]]}
    path.write_text(json.dumps({"channels": [channel], "sampling_frequency_hz": 0}))
    return path


def _draw(series: NDArray[Any], title: str) -> str:
    return plots.series({f"{_CHANNEL} (no unit)": series[:, 0]}, title=title)
