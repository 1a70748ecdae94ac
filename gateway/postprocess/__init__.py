"""From the model's outputs to what they mean."""

from collections.abc import Mapping

from gateway.call import Caution, Reading
from gateway.errors import BackendAnswerInvalid
from gateway.manifest import Manifest, OutputSpec
from gateway.postprocess.findings import findings_of
from gateway.tensor import Tensor

__all__ = ["read"]

_DEMONSTRATION_ONLY = Caution(
    reason="DEMONSTRATION_ONLY", message="This model is a technical demonstration: no patient's care may rest on its answers."
)


def read(manifest: Manifest, outputs: Mapping[str, Tensor]) -> Reading:
    """What `outputs`, each without a batch dimension, say by the manifest: findings, most probable first, and cautions.

    Raises BackendAnswerInvalid where an output is missing, unknown, of another type or shape, or no probability where it should be one.
    """
    if outputs.keys() != manifest.outputs.keys():
        message = f"the model server didn't answer with the manifest's outputs, {', '.join(manifest.outputs)}: publish the version again"
        raise BackendAnswerInvalid(message)
    for name, spec in manifest.outputs.items():
        _require_declared(spec, outputs[name])
    findings = [finding for name, spec in manifest.outputs.items() if spec.classification for finding in findings_of(spec, outputs[name])]
    # Python's sort is stable: equals stay in the manifest's order.
    findings.sort(key=lambda finding: -finding.probability)
    return Reading(findings=tuple(findings), warnings=(_DEMONSTRATION_ONLY,) if manifest.demonstration_only else (), outputs=dict(outputs))


def _require_declared(spec: OutputSpec, tensor: Tensor) -> None:
    fits = len(tensor.shape) == len(spec.shape) and all(known in {-1, size} for known, size in zip(spec.shape, tensor.shape, strict=True))
    if tensor.dtype is not spec.dtype or not fits:
        message = (
            f'output "{spec.name}" is {tensor.dtype.name}{list(tensor.shape)}, the manifest says {spec.dtype.name}{list(spec.shape)}: '
            "publish the version again with a manifest that fits"
        )
        raise BackendAnswerInvalid(message)
