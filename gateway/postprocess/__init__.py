"""From the model's outputs to what they mean: one file a reading."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from gateway.errors import BackendAnswerInvalid
from gateway.manifest import Classification, ForecastReading, Manifest, NoveltyReading, OutputSpec, SurvivalReading, TreatmentReading
from gateway.postprocess.findings import findings_of
from gateway.postprocess.forecast import forecasts_of
from gateway.postprocess.novelty import novelty_of
from gateway.postprocess.survival import survival_of
from gateway.postprocess.treatment import ranking_of
from gateway.reading import Caution, Decision, Finding, Forecast, Novelty, Reading, SurvivalCurve, TreatmentRanking
from gateway.tensor import Tensor

__all__ = ["read"]

_DEMONSTRATION_ONLY = Caution(
    reason="DEMONSTRATION_ONLY", message="This model is a technical demonstration: no patient's care may rest on its answers."
)
_TRIAL = Caution(
    reason="TRIAL", message="This version came of a trial and wasn't held to what its job asks for: no patient's care may rest on its answers."
)
_OUT_OF_DISTRIBUTION = Caution(
    reason="OUT_OF_DISTRIBUTION",
    message="This item is unlike the data that the model was fitted to: its answer may be wrong in ways that nobody measured.",
)
_CONFORMAL_SET_EMPTY = Caution(
    reason="CONFORMAL_SET_EMPTY",
    message="No class is in the conformal set: the model is less sure of each than it is of nearly all items of that class. A person has to look.",
)

Kind = TypeVar("Kind")

# What each reading of the manifest makes of its output and of those that it is read with.
_READINGS: dict[type, Callable[[str, Any, Mapping[str, Tensor]], Sequence[Any]]] = {
    Classification: findings_of,
    SurvivalReading: survival_of,
    TreatmentReading: ranking_of,
    ForecastReading: forecasts_of,
    NoveltyReading: novelty_of,
}


def read(manifest: Manifest, outputs: Mapping[str, Tensor], warnings: Sequence[Caution] = ()) -> Reading:
    """What `outputs`, each without a batch dimension, say by the manifest; findings are in order, the most probable first.

    `warnings` are what there was to say before the model was asked. Raises BackendAnswerInvalid where an output is missing, unknown, of another
    type or shape, or holds numbers that can't be what the manifest says they are.
    """
    if outputs.keys() != manifest.outputs.keys():
        message = f"the model server didn't answer with the manifest's outputs, {', '.join(manifest.outputs)}: publish the version again"
        raise BackendAnswerInvalid(message)
    for name, spec in manifest.outputs.items():
        _require_declared(spec, outputs[name])
    found = [read for name, spec in manifest.outputs.items() if spec.reading for read in _READINGS[type(spec.reading)](name, spec.reading, outputs)]
    findings, novelties = _of(Finding, found), _of(Novelty, found)
    trial = (_TRIAL,) if manifest.is_trial else ()
    demonstration = (_DEMONSTRATION_ONLY,) if manifest.demonstration_only else ()
    novel = (_OUT_OF_DISTRIBUTION,) if any(novelty.is_out_of_distribution for novelty in novelties) else ()
    without = {name for name, spec in manifest.outputs.items() if _rules_out_all(spec, findings)}
    unsure = (_CONFORMAL_SET_EMPTY,) if without else ()
    torn = _called_outside([finding for finding in findings if finding.output not in without])
    return Reading(
        # Python's sort is stable: equals stay in the manifest's order.
        findings=tuple(sorted(findings, key=lambda finding: -finding.probability)),
        survival_curves=_of(SurvivalCurve, found),
        treatment_rankings=_of(TreatmentRanking, found),
        forecasts=_of(Forecast, found),
        novelties=novelties,
        warnings=(*novel, *unsure, *torn, *warnings, *trial, *demonstration),
        outputs=dict(outputs),
    )


def _rules_out_all(spec: OutputSpec, findings: Sequence[Finding]) -> bool:
    """Whether one of the output's classes has to be, and none is in the conformal set. Of classes that don't exclude each other, none may be."""
    if not isinstance(spec.reading, Classification) or not spec.reading.exclusive:
        return False
    sets = [finding.conformal for finding in findings if finding.output == spec.name]
    return bool(sets) and all(membership is not None and not membership.in_set for membership in sets)


def _called_outside(findings: Sequence[Finding]) -> tuple[Caution, ...]:
    """What there is to say where a finding is called present that the conformal set rules out."""
    torn = [
        finding for finding in findings if finding.decision is Decision.PRESENT and finding.conformal is not None and not finding.conformal.in_set
    ]
    if not torn:
        return ()
    named = ", ".join(finding.code.display or finding.code.code for finding in torn)
    message = f"Called present, and ruled out by the conformal set: {named}. The two disagree on how sure the model has to be. A person has to look."
    return (Caution(reason="DECISION_OUTSIDE_CONFORMAL_SET", message=message),)


def _of(kind: type[Kind], found: Sequence[Any]) -> tuple[Kind, ...]:
    return tuple(each for each in found if isinstance(each, kind))


def _require_declared(spec: OutputSpec, tensor: Tensor) -> None:
    fits = len(tensor.shape) == len(spec.shape) and all(known in {-1, size} for known, size in zip(spec.shape, tensor.shape, strict=True))
    if tensor.dtype is not spec.dtype or not fits:
        message = (
            f'output "{spec.name}" is {tensor.dtype.name}{list(tensor.shape)}, the manifest says {spec.dtype.name}{list(spec.shape)}: '
            "publish the version again with a manifest that fits"
        )
        raise BackendAnswerInvalid(message)
