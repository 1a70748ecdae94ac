"""Reads a model's outputs as its manifest says."""

from collections.abc import Mapping

from gateway.call import Caution, Reading
from gateway.errors import BackendAnswerInvalid
from gateway.manifest import Manifest
from gateway.postprocess.findings import read_classification
from gateway.tensor import Tensor

__all__ = ["read"]

_DEMONSTRATION_ONLY = Caution(reason="DEMONSTRATION_ONLY", message="This model is a technical demonstration: no patient's care may rest on it.")


def read(manifest: Manifest, outputs: Mapping[str, Tensor]) -> Reading:
    """What the outputs of one item mean (each without its batch dimension), most probable finding first.

    Raises:
        BackendAnswerInvalid: an output is missing, or isn't what the manifest says.
    """
    findings = []
    for name, spec in manifest.outputs.items():
        field = f'outputs["{name}"]'
        tensor = outputs.get(name)
        if tensor is None:
            message = "the model's answer lacks an output of its manifest: tell whoever published this version"
            raise BackendAnswerInvalid(message, field=field)
        fits = len(tensor.shape) == len(spec.shape) and all(wanted in {-1, size} for size, wanted in zip(tensor.shape, spec.shape, strict=True))
        if tensor.dtype is not spec.dtype or not fits:
            message = (
                f"the model's answer is {tensor.dtype.value}{list(tensor.shape)}, its manifest says {spec.dtype.value}{list(spec.shape)}: "
                "tell whoever published this version"
            )
            raise BackendAnswerInvalid(message, field=field)
        if spec.classification is not None:
            findings.extend(read_classification(name, spec.classification, tensor))
    return Reading(
        findings=tuple(sorted(findings, key=lambda finding: -finding.probability)),
        warnings=(_DEMONSTRATION_ONLY,) if manifest.demonstration_only else (),
        outputs={name: outputs[name] for name in manifest.outputs},
    )
