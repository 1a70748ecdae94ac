"""Death within 180 days of seriously ill patients: a dense network on engineered features, with a hazard for each of eight intervals."""

from functools import partial
from typing import TYPE_CHECKING

from medserve.v1 import manifest_pb2
from training import record_input
from training.baseline import Hazards, gradient_boosting
from training.data.support2 import HORIZON_DAYS, SCHEMA, TABLE, load_support2
from training.dataset import Part
from training.evidence.robustness import Missing, Noise, Shift
from training.features import Impute, Log1p, MissingIndicators, Normalise, OneHot, Ratio, Recipe
from training.fitting.monitor import EarlyStopping
from training.fitting.plan import Plan
from training.gates import Ceiling, Floor, NotBehindBaseline, NotWorse, SubgroupGap
from training.job import USUAL, Job
from training.models import hazard
from training.tasks.survival import Survival

if TYPE_CHECKING:
    import keras

_FIELDS = tuple(field.name for field in SCHEMA.fields)
_CATEGORIES = {field.name: field.codes for field in SCHEMA.fields if field.categories}
_NUMBERS = tuple(name for name in _FIELDS if name not in _CATEGORIES)
# Where the numbers are; none of them can be negative.
_PLACES = tuple(_FIELDS.index(name) for name in _NUMBERS)
_SOMETIMES_MISSING = tuple(field.name for field in SCHEMA.fields if field.may_be_missing)
_SKEWED = ("hospital_day", "white_cells", "bilirubin", "creatinine", "glucose", "urea_nitrogen", "urine")
_EDGES_DAYS = (0.0, 7.0, 14.0, 30.0, 60.0, 90.0, 120.0, 150.0, float(HORIZON_DAYS))
RECIPE = Recipe(
    steps=(
        # Shock index, and what tells kidneys that get no blood from kidneys that are ill.
        Ratio(numerator="heart_rate", denominator="mean_blood_pressure", name="shock_index"),
        Ratio(numerator="urea_nitrogen", denominator="creatinine", name="urea_to_creatinine"),
        MissingIndicators(columns=_SOMETIMES_MISSING),
        Log1p(columns=_SKEWED),
        Impute(by="median", columns=(*_NUMBERS, "shock_index", "urea_to_creatinine")),
        Normalise(by="standard", columns=(*_NUMBERS, "shock_index", "urea_to_creatinine")),
        OneHot(columns=tuple(_CATEGORIES), categories=tuple(_CATEGORIES.values())),
    )
)


def _build(training: Part) -> "keras.Model":
    """The recipe, fitted to the training items, two layers of 64 rectified units with dropout, and a hazard for each interval."""
    import keras  # noqa: PLC0415 - listing jobs must not take the seconds that TensorFlow's import takes
    from keras import layers  # noqa: PLC0415

    fitted = RECIPE.fit(_FIELDS, training.inputs, None, seed=0)
    record = keras.Input((len(_FIELDS),), dtype="float32", name=record_input.RECORD)
    hidden = fitted.as_layer()(record)
    for _ in range(2):
        hidden = layers.Dropout(0.3)(layers.Dense(64, activation="relu")(hidden))
    return keras.Model(record, hazard.head(len(_EDGES_DAYS) - 1)(hidden), name="mortality")


def _facts() -> manifest_pb2.ModelManifest:
    return manifest_pb2.ModelManifest(
        task=manifest_pb2.TASK_PREDICTION,
        display_name="Survival of seriously ill patients",
        description="Gives the chance to live until each of eight days up to 180, from what was known on the third day in hospital, calibrated on "
        "patients whom the network wasn't fitted to. The interval is of the mean chance of patients like this one: not in it are what the record "
        "leaves out and what another fit would have learnt, so it is rather too narrow.",
        intended_use=manifest_pb2.IntendedUse(
            purpose="Shows how a record with missing values becomes a survival curve, and tests it.",
            not_for=["Any patient's care", "Patients of today: these were treated from 1989 to 1994", "Who isn't seriously ill"],
            demonstration_only=True,
        ),
        inputs=[
            record_input.input_spec(SCHEMA, description="Who the patient is, what they have, and the measurements of day 3; many may be missing.")
        ],
    )


MORTALITY = Job(
    name="mortality",
    load=load_support2,
    task=Survival(
        system="SCT",
        code="419620001",
        display="Death",
        edges_days=_EDGES_DAYS,
        horizon_days=float(HORIZON_DAYS),
        build=_build,
        plan=Plan(
            epochs=100, batch_size=64, learning_rate=1e-3, loss=hazard.loss, metrics=(), weight_decay=1e-4,
            early_stopping=EarlyStopping(figure="val_loss", patience=10),
        ),
        baseline=Hazards(name="gradient boosting on person-periods of the same fields, fitted to the same patients", make=gradient_boosting),
        # No other items for novelty: SurvSet's `rhc`, which has most of these fields, is of SUPPORT's own patients.
        features_before=hazard.HEAD,
        perturbations=(
            Missing(levels=(0.1, 0.25, 0.5)),
            Noise(levels=(0.25, 0.5, 1.0), only=_PLACES, least=0),
            Shift(levels=(0.5, 1.0), only=_PLACES, least=0),
        ),
    ),
    facts=_facts,
    floor=Floor(figure=f"auroc_{HORIZON_DAYS}d", least=0.75),
    gates=(
        NotBehindBaseline(figure=f"auroc_{HORIZON_DAYS}d", margin=0.01),
        NotBehindBaseline(figure="integrated_brier", margin=0.01, higher_is_better=False),
        Ceiling(figure="calibration_error", most=0.06),
        SubgroupGap(figure=f"auroc_{HORIZON_DAYS}d", most=0.15, least_items=100),
        NotWorse(figure="integrated_brier", margin=0.005, higher_is_better=False),
        NotWorse(figure="auroc_180d", margin=0.02),
        *USUAL,
    ),
    table=TABLE,
    write_sample=partial(record_input.write_sample, SCHEMA),
)  # fmt: skip
