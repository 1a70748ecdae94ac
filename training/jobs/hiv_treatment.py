"""HIV: four treatments, ranked for a patient by the CD4 cells that are expected after 20 weeks, learnt from a randomised trial."""

from functools import partial

from medserve.v1 import coding_pb2, manifest_pb2
from training import record_input
from training.data.actg175 import OPTIONS, SCHEMA, TABLE, load_actg175
from training.evidence.robustness import Noise, Shift
from training.features import Log1p, Normalise, Recipe
from training.gates import Ceiling, Floor, NotWorse, SubgroupGap
from training.job import USUAL, Job
from training.tasks.treatment import Treatment

_FIELDS = tuple(field.name for field in SCHEMA.fields)
# Places of the fields that are numbers; none of them can be negative.
_NUMBERS = tuple(place for place, field in enumerate(SCHEMA.fields) if not field.categories)
_CODES = ("zidovudine", "zidovudine-didanosine", "zidovudine-zalcitabine", "didanosine")


def _facts() -> manifest_pb2.ModelManifest:
    return manifest_pb2.ModelManifest(
        task=manifest_pb2.TASK_TREATMENT,
        display_name="HIV: treatments by expected CD4 cells",
        description=(
            "Ranks four treatments by the CD4 cells that are expected after 20 weeks, each with its effect against zidovudine. Intervals are of the "
            "mean of patients like this one, not of where this one will be."
        ),
        intended_use=manifest_pb2.IntendedUse(
            purpose="Shows how a record becomes a ranking of treatments, and tests it.",
            not_for=["Any patient's care", "Today's treatments: the trial is of 1991 to 1994, and none of its arms is given alone now"],
            demonstration_only=True,
        ),
        inputs=[record_input.input_spec(SCHEMA, description="Who the patient is and what was measured before the treatment.")],
    )


HIV_TREATMENT = Job(
    name="hiv-treatment",
    load=load_actg175,
    task=Treatment(
        system="urn:medserve:actg175",
        options=dict(zip(_CODES, OPTIONS, strict=True)),
        outcome=coding_pb2.Coding(system="LN", code="24467-3", display="CD4 cells after 20 weeks"),
        unit="/uL",
        shares=(0.25, 0.25, 0.25, 0.25),
        columns=_FIELDS,
        recipe=Recipe(steps=(Log1p(columns=("days_of_treatment_before", "cd8")), Normalise(by="standard"))),
        perturbations=(
            Noise(levels=(0.25, 0.5, 1.0), only=_NUMBERS, least=0),
            Shift(levels=(0.5, 1.0), only=_NUMBERS, least=0),
        ),
    ),
    facts=_facts,
    # What each other arm of the trial had over zidovudine alone was 40 cells and more. Whether choosing beats the best arm, the report says.
    floor=Floor(figure="gain_over_zidovudine", least=30),
    gates=(
        # What corresponds to calibration: in the mean it predicts what the trial found, and its intervals hold what they say.
        Ceiling(figure="average_effect_miss", most=1),
        Floor(figure="interval_coverage_outcome", least=0.95, bound="upper"),
        Floor(figure="interval_coverage_effect", least=0.95, bound="upper"),
        # The 219 held-out patients below 30 know their gain within 46 cells either way, and the 138 women within 70: so wide a gap chance makes.
        SubgroupGap(figure="gain_over_zidovudine", most=60, least_items=100),
        NotWorse(figure="policy_value", margin=10),
        *USUAL,
    ),
    table=TABLE,
    write_sample=partial(record_input.write_sample, SCHEMA),
)
