"""What a version says of itself, as the stages read it.

The words and meanings are those of `medserve.v1.ModelManifest` (proto/medserve/v1/manifest.proto); `gateway/manifest_file.py` reads the
file and builds these. A manifest is checked once, here, so that no stage meets a half-filled one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.manifest.inputs import (
    ChannelSpec,
    ColorSpace,
    FeatureHandling,
    FeatureSpec,
    ImageInput,
    InputSpec,
    Medium,
    RecordInput,
    TimeSeriesInput,
    Windowing,
)
from gateway.manifest.outputs import (
    Classification,
    Coding,
    ForecastReading,
    Interval,
    Label,
    NoveltyReading,
    OutputReading,
    OutputSpec,
    SurvivalReading,
    TreatmentReading,
    require_companions,
)

__all__ = [
    "ChannelSpec",
    "Classification",
    "Coding",
    "ColorSpace",
    "FeatureHandling",
    "FeatureSpec",
    "ForecastReading",
    "ImageInput",
    "InputSpec",
    "Interval",
    "Label",
    "Manifest",
    "Medium",
    "NoveltyReading",
    "OutputReading",
    "OutputSpec",
    "RecordInput",
    "SurvivalReading",
    "TimeSeriesInput",
    "TreatmentReading",
    "Windowing",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A version of a model.

    Attributes:
        name: the model's name.
        version: the version's number, 1 or more.
        signature_name: the signature to call.
        inputs: the signature's inputs by name, in the manifest's order.
        outputs: the signature's outputs by name, in the manifest's order.
        weights_digest: the digest of the SavedModel.
        demonstration_only: no patient's care may rest on it.
        is_trial: it wasn't held to what its job asks for.
    """

    name: str
    version: int
    signature_name: str
    inputs: Mapping[str, InputSpec]
    outputs: Mapping[str, OutputSpec]
    weights_digest: str
    demonstration_only: bool = False
    is_trial: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for a manifest that can't be served."""
        if not self.name or self.version < 1 or not self.inputs or not self.outputs:
            message = "name, version, inputs and outputs: each has to be given"
            raise ValueError(message)
        require_companions(self.outputs)
