"""From what the caller sent to the tensors that the model takes: what depends on the medium, and nothing that depends on the data.

Resizing and normalising are inside the SavedModel. Here a caller's input is bounded, decoded and checked against the manifest, one file
a medium: `tensor.py`, `image.py`, `dicom.py` (with `grey.py` and `codestream.py`), `time_series.py` (with `resampling.py`), `record.py` (with
`record_tensor.py`, and `features.py`, which both share); `pixels.py` is what images share.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.errors import InputFormNotAccepted, InputMissing, InputUnknown
from gateway.item import DeclaredTensor, DicomObject, EncodedImage, InputData, Item, Record, TimeSeries
from gateway.manifest import ImageInput, InputSpec, Manifest, RecordInput, TimeSeriesInput
from gateway.preprocess import image, record, record_tensor, tensor, time_series
from gateway.preprocess.bounds import InputLimits
from gateway.reading import Caution
from gateway.tensor import Tensor

__all__ = ["InputLimits", "Prepared", "Preprocessor"]


# A tensor, and what a reader of the answer should know of how it came about.
_Prepared = tuple[Tensor, tuple[Caution, ...]]


def _prepare_tensor(spec: InputSpec, value: DeclaredTensor, limits: InputLimits) -> _Prepared:
    if isinstance(spec.medium, RecordInput):
        return record_tensor.prepare(spec, value, limits)
    return tensor.prepare(spec, value, limits), ()


def _prepare_image(spec: InputSpec, value: EncodedImage, limits: InputLimits) -> _Prepared:
    return image.prepare(spec, value, limits), ()


def _prepare_dicom(spec: InputSpec, value: DicomObject, limits: InputLimits) -> _Prepared:
    # pydicom's dictionaries and the decoders take half a second and tens of megabytes, which a gateway without DICOM never pays.
    from gateway.preprocess import dicom  # noqa: PLC0415

    return dicom.prepare(spec, value, limits), ()


def _always(_spec: InputSpec, _value: Any) -> bool:  # noqa: ANN401 - an image or a DICOM object
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class _Form:
    """What a form is called in a request, which media of the manifest take it, what turns it into a tensor, and whether that takes long."""

    name: str
    media: tuple[type, ...]
    prepare: Callable[[InputSpec, Any, InputLimits], _Prepared]
    is_long: Callable[[InputSpec, Any], bool]


_FORMS: dict[type, _Form] = {
    DeclaredTensor: _Form(
        name="tensor", media=(type(None), ImageInput, TimeSeriesInput, RecordInput), prepare=_prepare_tensor, is_long=record_tensor.is_long
    ),
    EncodedImage: _Form(name="image", media=(ImageInput,), prepare=_prepare_image, is_long=_always),
    DicomObject: _Form(name="dicom", media=(ImageInput,), prepare=_prepare_dicom, is_long=_always),
    TimeSeries: _Form(name="time_series", media=(TimeSeriesInput,), prepare=time_series.prepare, is_long=time_series.is_long),
    Record: _Form(name="record", media=(RecordInput,), prepare=record.prepare, is_long=record.is_long),
}


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """The tensors of one item by input name, in the manifest's order, without a batch dimension; and what the answer has to be read with."""

    tensors: Mapping[str, Tensor]
    warnings: tuple[Caution, ...]


class Preprocessor:
    """Turns items into tensors. Holds no state, so any number of threads may use it at once."""

    def __init__(self, limits: InputLimits) -> None:
        """Takes the bounds on what an input may declare."""
        self._limits = limits

    def prepare(self, manifest: Manifest, item: Item) -> Prepared:
        """The tensors of one item.

        Each has exactly the manifest's dtype and its shape, with free dimensions resolved. Raises an InputError, or TooManyElements.
        """
        if unknown := len(item.inputs.keys() - manifest.inputs.keys()):
            # The names that came aren't repeated: one may be a patient's.
            message = f"{unknown} of the request's inputs are unknown to the model: it takes {_listed(manifest)}"
            raise InputUnknown(message, field="inputs")
        prepared = {name: self._prepare_input(spec, item.inputs.get(name)) for name, spec in manifest.inputs.items()}
        return Prepared(
            tensors={name: made for name, (made, _) in prepared.items()},
            warnings=tuple(caution for _, cautions in prepared.values() for caution in cautions),
        )

    def is_heavy(self, manifest: Manifest, item: Item) -> bool:
        """Whether an item takes long enough to prepare that it belongs on a thread."""
        # What the manifest doesn't take is refused at once.
        return any(
            value is not None
            and (spec := manifest.inputs.get(name)) is not None
            and isinstance(spec.medium, (form := _FORMS[type(value)]).media)
            and form.is_long(spec, value)
            for name, value in item.inputs.items()
        )

    def _prepare_input(self, spec: InputSpec, value: InputData | None) -> _Prepared:
        if value is None:
            message = f"the model needs this input: send it as {_accepted(spec)}"
            raise InputMissing(message, field=f'inputs["{spec.name}"]')
        form = _FORMS[type(value)]
        if not isinstance(spec.medium, form.media):
            message = f"this input doesn't come as {form.name}: send it as {_accepted(spec)}"
            raise InputFormNotAccepted(message, field=f'inputs["{spec.name}"].{form.name}')
        return form.prepare(spec, value, self._limits)


def _accepted(spec: InputSpec) -> str:
    return " or ".join(form.name for form in _FORMS.values() if isinstance(spec.medium, form.media))


def _listed(manifest: Manifest) -> str:
    return ", ".join(manifest.inputs)
