"""What a version takes and says, as its manifest has it, for people."""

from collections.abc import Iterator

from medserve.manifests import says
from medserve.v1 import manifest_input_pb2, manifest_output_pb2
from training.gates.evidence import Measured
from training.report.page import Section, table

Input = manifest_input_pb2.InputSpec
Output = manifest_output_pb2.OutputSpec

# What UCUM writes in another way than people do.
_UNITS = {"1": "no unit", "a": "a (years)", "d": "d (days)", "Cel": "Cel (°C)", "mm[Hg]": "mm[Hg] (mmHg)", "cm[H2O]": "cm[H2O] (cmH₂O)"}


def fields(given: Input) -> Section | None:
    """A row for each field of a record or channel of a series: what it means, its unit, what it can be; None for another input."""
    title = f"What {given.name} has"
    match given.WhichOneof("medium"):
        case "record":
            rows = [(f.name, f.description, _UNITS.get(f.unit, f.unit), _range(f), _without(f)) for f in given.record.features]
            return Section(
                title=title,
                text=("A number beyond its range and a field that isn't listed are refused, unless the list says otherwise.",),
                table=table(("field", "what it is", "unit (UCUM)", "can be", "where it is missing"), rows),
            )
        case "time_series":
            hertz = given.time_series.sampling_frequency_hz
            sampled = f"Sampled {hertz:g} times a second." if hertz else "Samples are counted, whatever the time between them."
            channels = [(channel.name, _UNITS.get(channel.unit, channel.unit)) for channel in given.time_series.channels]
            return Section(title=title, text=(sampled,), table=table(("channel", "unit (UCUM)"), channels))
        case _:
            return None


def outputs(specs: list[Output], covered: Measured | None = None) -> list[tuple[str, str]]:
    """Each output's name and what it is read as, in the order of the manifest; `covered` is the share of held-out items that sets held."""
    parts = dict(part for spec in specs for part in _parts_of(spec))
    return [(spec.name, parts.get(spec.name) or _said(spec, covered)) for spec in specs]


def _said(spec: Output, covered: Measured | None) -> str:
    match spec.WhichOneof("reading"):
        case "classification":
            return "; ".join([says(spec), *_of_classes(spec.classification, covered)])
        case "novelty":
            return (
                f"how unlike the training data the item is, from 0 on; a caller is warned above {spec.novelty.threshold:.4g}, as at most 1 in 100 "
                f"validation items were ({spec.novelty.method})"
            )
        case _:
            return says(spec)


def _of_classes(classes: manifest_output_pb2.Classification, covered: Measured | None) -> Iterator[str]:
    """How probabilities were made to hold, from which on a class is called, and what its conformal set promises."""
    named = [(label.code.display or label.code.code, label) for label in classes.labels]
    points = [f"{name} from {label.operating_point:.1%} on" for name, label in named if label.HasField("operating_point")]
    yield f"called: {', '.join(points)}" if points else "called: the most probable one"
    if classes.HasField("calibration"):
        held = classes.calibration
        yield f"probabilities made to hold by {held.method}, on held-out items off by {held.expected_calibration_error:.1%} in the mean"
    if classes.conformal_confidence_level:
        yield f"sets that are to hold the true class of {classes.conformal_confidence_level:.0%} of items like those that set them{_of(covered)}"


def _of(covered: Measured | None) -> str:
    """What sets held."""
    if covered is None:
        return ""
    interval = "" if covered.lower is None or covered.upper is None else f" ({covered.lower:.3f} to {covered.upper:.3f})"
    return f", and held that of {covered.value:.3f}{interval} of held-out items"


def _parts_of(spec: Output) -> Iterator[tuple[str, str]]:
    """What other outputs are to this one: its interval's ends, and effects."""
    match spec.WhichOneof("reading"):
        case "treatment":
            told, outcome = spec.treatment, spec.treatment.outcome.display or spec.treatment.outcome.code
            reference = told.options[told.reference].display or told.options[told.reference].code
            effect = f"what each option's mean {outcome} has over that under {reference}, in {told.unit}"
            if told.effect_output:
                yield told.effect_output, effect
            yield from _ends(told.outcome_interval, f"the mean {outcome} of patients like this one under each option: not of where this one will be")
            yield from _ends(told.effect_interval, f"the mean effect on patients like this one against {reference}")
        case "survival":
            yield from _ends(spec.survival.interval, "the mean chance of patients like this one")
        case "forecast":
            yield from _ends(spec.forecast.interval, "the forecast")


def _ends(interval: manifest_output_pb2.Interval, of: str) -> Iterator[tuple[str, str]]:
    for name, end in ((interval.lower_output, "lower"), (interval.upper_output, "upper")):
        if name:
            yield name, f"the {end} end of the {interval.confidence_level:.0%} interval of {of}"


def _range(field: manifest_input_pb2.FeatureSpec) -> str:
    if field.categories:
        return ", ".join(category.display or category.code for category in field.categories)
    has_minimum, has_maximum = field.HasField("minimum"), field.HasField("maximum")
    if has_minimum and has_maximum:
        return f"{field.minimum:g} to {field.maximum:g}"
    return f"{field.minimum:g} or more" if has_minimum else f"{field.maximum:g} or less" if has_maximum else "any number"


def _without(field: manifest_input_pb2.FeatureSpec) -> str:
    return "counts as missing" if field.if_missing == manifest_input_pb2.FEATURE_HANDLING_AS_MISSING else "refused"
