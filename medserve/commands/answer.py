"""An answer, as people read it."""

from collections.abc import Callable, Sequence

import numpy as np
from rich.console import Console

from medserve.commands import tables
from medserve.tensors import to_array
from medserve.v1 import inference_pb2, reading_pb2, tensor_pb2

_DECISIONS = {reading_pb2.DECISION_PRESENT: "present", reading_pb2.DECISION_ABSENT: "absent"}
# A matrix of more values is for a program: --json has them all.
_MOST_VALUES = 20


def show(response: inference_pb2.InferResponse) -> None:
    """Prints an answer for people: who gave it, what it means, and what to know before relying on it."""
    console = tables.console()
    served = response.served_by
    label = f" ({served.version_label})" if served.version_label else ""
    console.print(tables.cell(f"{served.model} version {served.version}{label}", "bold"))
    console.print(tables.cell(f"request {response.request_id}"), soft_wrap=True)
    _print_findings(console, response)
    for curve in response.survival_curves:
        _print_curve(console, curve)
    for ranking in response.treatment_rankings:
        _print_ranking(console, ranking)
    for forecast in response.forecasts:
        _print_forecast(console, forecast)
    for novelty in response.novelties:
        console.print()
        score, threshold = _apart(novelty.score, novelty.threshold)
        console.print(tables.cell(f"Novelty {score}: above {threshold} an item is unlike the training data"))
    for name in sorted(response.raw_outputs):
        _print_output(console, name, response.raw_outputs[name])
    if response.warnings:
        console.print()
    for warning in response.warnings:
        console.print(tables.cell(f"Warning: {warning.message} ({warning.reason})", "yellow"))


def _print_findings(console: Console, response: inference_pb2.InferResponse) -> None:
    findings = response.findings
    if not findings:
        if response.survival_curves or response.treatment_rankings or response.forecasts:
            return
        console.print()
        shown = "" if response.raw_outputs else " --raw-outputs shows them."
        console.print(f"No findings: the model's outputs are numbers without a declared meaning.{shown}")
        return
    console.print()
    several = len({finding.output for finding in findings}) > 1
    systems = {finding.code.system for finding in findings}
    points = iter(tables.percentages([finding.operating_point for finding in findings if finding.HasField("operating_point")]))
    rows = [
        (
            finding.output if several else "",
            tables.cell(finding.code.display or finding.code.code, "bold" if finding.decision == reading_pb2.DECISION_PRESENT else ""),
            finding.code.code,
            finding.code.system if len(systems) > 1 else "",
            probability,
            next(points) if finding.HasField("operating_point") else "",
            _DECISIONS.get(finding.decision, "not decided"),
            _membership(finding),
        )
        for finding, probability in zip(findings, tables.percentages([finding.probability for finding in findings]), strict=True)
    ]
    columns = ("Output", "Finding", "Code", "System", "Probability", "Present from", "Decision", "Ruled out")
    tables.show(console, columns, rows, right=("Probability", "Present from"), whole=("Probability", "Present from", "Decision"))
    if len(systems) == 1 and any(systems):
        console.print()
        console.print(tables.cell(f"Codes are of {systems.pop()}"))


def _membership(finding: reading_pb2.Finding) -> str:
    """Whether the conformal set leaves a finding out; nothing where the model has no such sets."""
    if not finding.HasField("conformal"):
        return ""
    return "no" if finding.conformal.in_set else f"at {tables.level(finding.conformal.confidence_level)}"


def _print_curve(console: Console, curve: reading_pb2.SurvivalCurve) -> None:
    rows = [
        (f"{time:g}", _percentage(probability), _ends(curve.interval, place, _percentage))
        for place, (time, probability) in enumerate(zip(curve.times_days, curve.probabilities, strict=True))
    ]
    _print_table(console, f"Without the event: {curve.event.display or curve.event.code}", ("Days", "Probability", _level(curve.interval)), rows)


def _print_ranking(console: Console, ranking: reading_pb2.TreatmentRanking) -> None:
    reference = ranking.reference.display or ranking.reference.code
    rows = [
        (
            str(place),
            option.code.display or option.code.code,
            f"{option.outcome:.4g}",
            _ends(option.outcome_interval, 0, "{:.4g}".format),
            f"{option.effect:+.4g}" if option.HasField("effect") else "",
            _ends(option.effect_interval, 0, "{:+.4g}".format),
        )
        for place, option in enumerate(ranking.options, start=1)
    ]
    best = ranking.options[0]
    # Two columns of one name would be one for `whole`.
    columns = ("Rank", "Option", "Outcome", _level(best.outcome_interval), "Effect", f"{_level(best.effect_interval)} ")
    better = "lower" if ranking.lower_is_better else "higher"
    title = f"{ranking.outcome.display or ranking.outcome.code} in {ranking.unit}, {better} is better; effects are against {reference}"
    _print_table(console, title, columns, rows, folded=("Option",))


def _print_forecast(console: Console, forecast: reading_pb2.Forecast) -> None:
    rows = [
        (f"{(place + 1) * forecast.step_seconds:g}", f"{value:.4g}", _ends(forecast.interval, place, "{:.4g}".format))
        for place, value in enumerate(forecast.values)
    ]
    name = forecast.variable.display or forecast.variable.code
    _print_table(console, f"Forecast of {name} in {forecast.unit}", ("Seconds ahead", "Value", _level(forecast.interval)), rows)


def _print_table(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, folded: Sequence[str] = ()) -> None:
    """Numbers are whole and to the right; the columns in `folded` hold words."""
    numbers = [column for column in columns if column not in folded]
    console.print()
    console.print(tables.cell(title, "bold"))
    tables.show(console, columns, rows, right=numbers, whole=numbers)


def _level(interval: reading_pb2.IntervalEnds) -> str:
    return f"{tables.level(interval.confidence_level)} interval"


def _ends(interval: reading_pb2.IntervalEnds, place: int, text: Callable[[float], str]) -> str:
    """The ends of one interval; nothing where there are none."""
    return f"{text(interval.lower[place])} to {text(interval.upper[place])}" if interval.lower else ""


def _percentage(probability: float) -> str:
    """One chance of a curve: its own decimals, since those of the smallest would be noise beside the others."""
    return tables.percentages([probability], min_decimals=1)[0]


def _apart(one: float, other: float) -> tuple[str, str]:
    """Two numbers with four digits, or with all where four would make them one."""
    texts = f"{one:.4g}", f"{other:.4g}"
    return texts if one == other or texts[0] != texts[1] else (f"{one!r}", f"{other!r}")


def _print_output(console: Console, name: str, tensor: tensor_pb2.Tensor) -> None:
    array = to_array(tensor)
    data_type = tensor_pb2.DataType.Name(tensor.data_type).removeprefix("DATA_TYPE_")
    console.print()
    console.print(tables.cell(f"Output {name}: {data_type} {list(array.shape)}", "bold"))
    with np.printoptions(threshold=_MOST_VALUES, linewidth=console.width):
        for line in str(array).splitlines():
            console.print(tables.cell(line))
