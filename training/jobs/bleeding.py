"""Bleeding: whether three bedside pressures are from before or after one, by its spectrum and a GRU; 52 pigs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medserve.v1 import manifest_input_pb2, manifest_pb2, tensor_pb2
from training.baseline import Baseline, gradient_boosting
from training.data.pigs import CHANNELS, SAMPLES, load_pigs
from training.dataset import Part
from training.evidence.robustness import Noise, Shift
from training.features import Log1p, Normalise, Recipe
from training.features.series import BandPower, SeriesFeatures, Summary
from training.fitting.monitor import EarlyStopping
from training.fitting.plan import Plan
from training.gates import Ceiling, Floor, NotWorse
from training.job import USUAL, Job
from training.report import plots
from training.tasks.classification import Classification

if TYPE_CHECKING:
    import keras

_HEAD = "head"
# As people write them.
_UNITS = {"mm[Hg]": "mmHg", "cm[H2O]": "cmH₂O"}
_INFERRED = (
    "Evidence on bleedings: the archive doesn't say which segments are from before and which from after; the labels were inferred for this job, from "
    "the levels of arterial and venous pressure, which the model sees as well"
)
# The archive doesn't say how often it was sampled. So time is counted in segments, and a "hertz" here is one cycle in 2,000 samples: the ventilator
# has 3 to 4 of these, and the heart 10 to 20.
FEATURES = SeriesFeatures(
    measures=(
        Summary(sampling_hz=SAMPLES),
        BandPower(sampling_hz=SAMPLES, bands=((1, 3), (3, 6), (6, 12), (12, 24), (24, 48), (48, 100), (100, 300))),
    ),
    channels=tuple(CHANNELS),
    samples=SAMPLES,
)
RECIPE = Recipe(steps=(Log1p(columns=tuple(name for name in FEATURES.columns if "_power_" in name)), Normalise(by="standard")))


def _build(training: Part) -> "keras.Model":
    """What is slow and what the spectrum says, and what a GRU of 16 makes of the shape: two strided convolutions of each channel at one scale."""
    import keras  # noqa: PLC0415 - listing jobs must not take the seconds that TensorFlow's import takes
    from keras import layers, regularizers  # noqa: PLC0415

    fitted = RECIPE.fit(FEATURES.columns, FEATURES.transform(training.inputs), None, seed=0)
    pressures = keras.Input((SAMPLES, len(CHANNELS)), dtype="float32", name="pressures")
    shape = layers.LayerNormalization(axis=1, center=False, scale=False)(pressures)
    for filters, strides in ((8, 4), (16, 2)):
        shape = layers.MaxPooling1D(2)(layers.Conv1D(filters, 9, strides=strides, activation="relu")(shape))
    shape = layers.GRU(16)(layers.Dropout(0.4)(shape))
    known = layers.Dropout(0.4)(layers.Concatenate()([shape, fitted.as_layer()(FEATURES.as_layer()(pressures))]))
    said = layers.Dense(2, activation="softmax", kernel_regularizer=regularizers.L2(1e-2), name=_HEAD)(known)
    return keras.Model(pressures, said, name="bleeding")


def _measures(flat: NDArray[Any]) -> NDArray[np.float64]:
    """[items, columns of FEATURES] from [items, samples × channels]."""
    return FEATURES.transform(flat.reshape(len(flat), SAMPLES, len(CHANNELS)))


def _spectral_boosting() -> Any:  # noqa: ANN401 - scikit-learn has no types
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - slow to import
    from sklearn.preprocessing import FunctionTransformer  # noqa: PLC0415

    return make_pipeline(FunctionTransformer(_measures), gradient_boosting())


def _facts() -> manifest_pb2.ModelManifest:
    return manifest_pb2.ModelManifest(
        task=manifest_pb2.TASK_PREDICTION,
        display_name="Pressures before and after a bleeding",
        description="Says whether 2,000 samples of three bedside pressures are from before or after a bleeding, by labels that were inferred.",
        intended_use=manifest_pb2.IntendedUse(
            purpose="Shows the way of a bedside series through the service, and tests it.",
            not_for=["Any patient's care", "People: it was fitted to anaesthetised pigs on a ventilator", _INFERRED],
            demonstration_only=True,
        ),
        inputs=[
            manifest_input_pb2.InputSpec(
                name="pressures",
                data_type=tensor_pb2.DATA_TYPE_FLOAT32,
                shape=[SAMPLES, len(CHANNELS)],
                description="Arterial, airway and central venous pressure at the same times, at the archive's frequency: [samples, channels].",
                time_series=manifest_input_pb2.TimeSeriesInput(
                    channels=[manifest_input_pb2.ChannelSpec(name=name, unit=unit) for name, unit in CHANNELS.items()]
                ),
            )
        ],
    )


def _write_sample(folder: Path, stem: str, series: NDArray[Any]) -> Path:
    path = folder / f"{stem}.json"
    channels = [
        {"name": name, "unit": unit, "values": [round(float(value), 4) for value in series[:, place]]}
        for place, (name, unit) in enumerate(CHANNELS.items())
    ]
    path.write_text(json.dumps({"channels": channels}))
    return path


def _draw(series: NDArray[Any], title: str) -> str:
    return plots.series(
        {f"{name.replace('_', ' ')} ({_UNITS[unit]})": series[:, place] for place, (name, unit) in enumerate(CHANNELS.items())}, title=title
    )


BLEEDING = Job(
    name="bleeding",
    load=load_pigs,
    task=Classification(
        system="urn:ucr:PigPressures",
        classes={"before": "before the bleeding", "after": "after the bleeding"},
        build=_build,
        plan=Plan(epochs=60, batch_size=16, early_stopping=EarlyStopping(figure="val_loss", patience=15)),
        baseline=Baseline(name="gradient boosting on spectral features, fitted to the same segments", make=_spectral_boosting),
        draw=_draw,
        features_before=_HEAD,
        perturbations=(Noise(levels=(0.1, 0.25, 0.5)), Shift(levels=(0.25, 0.5, 1.0))),
    ),
    facts=_facts,
    # By cross-validation on the other pigs neither this network nor the baseline gets beyond 0.6 for a pig that it never saw.
    floor=Floor(figure="auroc", least=0.5),
    # Of 78 segments of 13 pigs probabilities that hold would be off by 0.13 in the mean, by chance.
    gates=(
        Ceiling(figure="ece", most=0.2),
        Floor(figure="conformal_coverage", least=0.9, bound="upper"),
        # Of 13 pigs no smaller loss can be ruled out.
        NotWorse(figure="accuracy", margin=0.2),
        *USUAL,
    ),
    write_sample=_write_sample,
)
