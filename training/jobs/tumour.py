"""Breast tumours: malignant or benign, from what was measured of the nuclei; a dense network on selected, extracted and constructed features."""

from functools import partial
from typing import TYPE_CHECKING

from medserve.v1 import manifest_pb2
from training import record_input
from training.baseline import Baseline, gradient_boosting
from training.data.breast_cancer import BENIGN, MALIGNANT, SCHEMA, TABLE, load_breast_cancer
from training.dataset import Part
from training.evidence.robustness import Noise, Shift
from training.features import Log1p, Normalise, PrincipalComponents, Ratio, Recipe, Select
from training.fitting.monitor import EarlyStopping
from training.fitting.plan import Plan
from training.gates import Ceiling, Floor, NotWorse
from training.job import USUAL, Job
from training.tasks.classification import Classification

if TYPE_CHECKING:
    import keras

_FIELDS = tuple(field.name for field in SCHEMA.fields)
_HEAD = "head"
# Sizes are skewed to the right, and how much larger the largest nuclei are than the mean one is what a pathologist looks at.
_SKEWED = tuple(name for name in _FIELDS if name.endswith("_error") or "area" in name)
RECIPE = Recipe(
    steps=(
        Ratio(numerator="worst_area", denominator="mean_area", name="area_worst_to_mean"),
        Ratio(numerator="worst_perimeter", denominator="mean_perimeter", name="perimeter_worst_to_mean"),
        Log1p(columns=_SKEWED),
        Normalise(by="standard"),
        Select(by="mutual information", count=20),
        PrincipalComponents(count=5, keep=True),
        Normalise(by="standard"),
    )
)


def _build(training: Part) -> "keras.Model":
    """The recipe, fitted to the training items, and 16 rectified units: 20 chosen features and 5 principal components to two probabilities."""
    import keras  # noqa: PLC0415 - listing jobs must not take the seconds that TensorFlow's import takes
    from keras import layers, regularizers  # noqa: PLC0415

    fitted = RECIPE.fit(_FIELDS, training.inputs, training.targets, seed=0)
    record = keras.Input((len(_FIELDS),), dtype="float32", name=record_input.RECORD)
    hidden = layers.Dense(16, activation="relu", kernel_regularizer=regularizers.L2(1e-2))(fitted.as_layer()(record))
    return keras.Model(record, layers.Dense(2, activation="softmax", name=_HEAD)(hidden), name="tumour")


def _facts() -> manifest_pb2.ModelManifest:
    return manifest_pb2.ModelManifest(
        task=manifest_pb2.TASK_DIAGNOSIS,
        display_name="Breast tumour, malignant or benign",
        description="Says whether a breast mass is malignant, from ten measures of the nuclei in a fine-needle aspirate.",
        intended_use=manifest_pb2.IntendedUse(
            purpose="Shows the way of a clinical record through the service, and tests it.",
            not_for=["Any patient's care", "Aspirates that were measured by another method: the measures are in pixels of one digitiser"],
            demonstration_only=True,
        ),
        inputs=[
            record_input.input_spec(SCHEMA, description="Ten measures of the nuclei, each as mean, standard error and mean of the three largest.")
        ],
    )


TUMOUR = Job(
    name="tumour",
    load=load_breast_cancer,
    task=Classification(
        system="urn:medserve:breast-mass",
        classes={BENIGN: BENIGN, MALIGNANT: MALIGNANT},
        build=_build,
        plan=Plan(epochs=200, batch_size=32, early_stopping=EarlyStopping(figure="val_loss", patience=20)),
        baseline=Baseline(name="gradient boosting on the same fields, fitted to the same items", make=gradient_boosting),
        features_before=_HEAD,
        conformal_level=0.95,
        wanted_sensitivity=0.97,
        # Nothing that was measured of a nucleus can be negative.
        perturbations=(Noise(least=0), Shift(levels=(0.25, 0.5, 1.0), least=0)),
    ),
    facts=_facts,
    floor=Floor(figure="auroc", least=0.99),
    # Of 142 held-out items a margin of 0.05 is seven.
    gates=(
        Ceiling(figure="ece", most=0.06),
        Floor(figure="conformal_coverage", least=0.95, bound="upper"),
        NotWorse(figure="accuracy", margin=0.05),
        NotWorse(figure="auroc", margin=0.01),
        *USUAL,
    ),
    table=TABLE,
    write_sample=partial(record_input.write_sample, SCHEMA),
)
