"""Turns what a caller has (tensors, images, DICOM objects, time series) into the tensors that a manifest asks for.

What depends on the medium happens here; what depends on the training set happens inside the SavedModel. Each medium has a file; each is bounded
before it allocates.
"""

from gateway.call import DeclaredTensor, DicomObject, EncodedImage, InputData, Item, TimeSeries
from gateway.errors import InputFormNotAccepted, InputMissing, InputUnknown
from gateway.manifest import ImageInput, InputSpec, Manifest, TimeSeriesInput
from gateway.preprocess.bounds import InputLimits
from gateway.preprocess.dicom import prepare_dicom
from gateway.preprocess.image import prepare_image
from gateway.preprocess.tensor import prepare_tensor
from gateway.preprocess.time_series import prepare_time_series
from gateway.tensor import Tensor

__all__ = ["InputLimits", "Preprocessor"]

_FORMS = {
    DeclaredTensor: "a tensor",
    EncodedImage: "an encoded image",
    DicomObject: "a DICOM object",
    TimeSeries: "a time series",
}


class Preprocessor:
    """Prepares items. Holds nothing but its limits, so that any thread may use it."""

    def __init__(self, limits: InputLimits) -> None:
        """Takes the bounds of an input."""
        self._limits = limits

    def is_heavy(self, item: Item) -> bool:
        """Whether preparing may take more than a millisecond: decoding belongs on a thread of its own."""
        return any(isinstance(value, EncodedImage | DicomObject) for value in item.inputs.values())

    def prepare(self, manifest: Manifest, item: Item) -> dict[str, Tensor]:
        """The manifest's inputs by name, each with the manifest's dtype and shape, without a batch dimension.

        Raises an InputError or TooManyElements that names the input and what is wrong with it.
        """
        for name in item.inputs:
            if name not in manifest.inputs:
                message = f"the model has no such input; it has {', '.join(sorted(manifest.inputs))}"
                raise InputUnknown(message, field=f'inputs["{name}"]')
        return {name: self._prepare(spec, item.inputs.get(name)) for name, spec in manifest.inputs.items()}

    def _prepare(self, spec: InputSpec, value: InputData | None) -> Tensor:
        field = f'inputs["{spec.name}"]'
        match value, spec.medium:
            case None, _:
                message = "the model needs this input: send it"
                raise InputMissing(message, field=field)
            case DeclaredTensor(), _:
                return prepare_tensor(spec, value, self._limits, field)
            case EncodedImage(), ImageInput() as medium:
                return prepare_image(spec, medium, value, self._limits, field)
            case DicomObject(), ImageInput() as medium:
                return prepare_dicom(spec, medium, value, self._limits, field)
            case TimeSeries(), TimeSeriesInput() as medium:
                return prepare_time_series(spec, medium, value, self._limits, field)
            case _:
                accepted = {ImageInput: "a tensor, an encoded image or a DICOM object", TimeSeriesInput: "a tensor or a time series"}
                message = f"the model doesn't take {_FORMS[type(value)]} here; it takes {accepted.get(type(spec.medium), 'a tensor')}"
                raise InputFormNotAccepted(message, field=field)
