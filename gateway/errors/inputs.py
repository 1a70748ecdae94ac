"""An input that isn't what the model takes."""

from gateway.errors.root import Code, MedserveError


class InputError(MedserveError):
    """An input isn't what the model takes."""

    code = Code.INVALID_ARGUMENT


class InputMissing(InputError):
    """An input of the manifest is missing."""

    reason = "INPUT_MISSING"


class InputUnknown(InputError):
    """The manifest has no such input."""

    reason = "INPUT_UNKNOWN"


class InputFormNotAccepted(InputError):
    """The input came in a form that the manifest doesn't take."""

    reason = "INPUT_FORM_NOT_ACCEPTED"


class DtypeMismatch(InputError):
    """The element type isn't the manifest's."""

    reason = "DTYPE_MISMATCH"


class ShapeMismatch(InputError):
    """The rank or a dimension isn't the manifest's."""

    reason = "SHAPE_MISMATCH"


class ContentSizeMismatch(InputError):
    """There are more or fewer bytes or values than the shape says."""

    reason = "CONTENT_SIZE_MISMATCH"


class ValueNotFinite(InputError):
    """A value is NaN or infinite where that can't be."""

    reason = "VALUE_NOT_FINITE"


class ImageUndecodable(InputError):
    """The image is damaged, cut short, or neither PNG nor JPEG."""

    reason = "IMAGE_UNDECODABLE"


class DicomUnreadable(InputError):
    """The DICOM object can't be read."""

    reason = "DICOM_UNREADABLE"


class DicomWithoutPixels(InputError):
    """The DICOM object holds no pixels."""

    reason = "DICOM_WITHOUT_PIXELS"


class DicomNotSupported(InputError):
    """The DICOM object is of a kind that isn't taken."""

    reason = "DICOM_NOT_SUPPORTED"


class ChannelsMismatch(InputError):
    """A channel is missing, unknown, named twice, or of another length than the others."""

    reason = "CHANNELS_MISMATCH"


class UnitMismatch(InputError):
    """The unit of a channel or a feature is missing, no UCUM, or of another kind than the manifest's."""

    reason = "UNIT_MISMATCH"


class SamplingFrequencyMismatch(InputError):
    """The sampling frequency is missing or isn't the manifest's."""

    reason = "SAMPLING_FREQUENCY_MISMATCH"


class TimesInvalid(InputError):
    """The times of a series don't rise, aren't finite, or aren't as many as its values."""

    reason = "TIMES_INVALID"


class GapTooLong(InputError):
    """A series is too short, or has too long a gap, to be brought to the model's sampling frequency."""

    reason = "GAP_TOO_LONG"


class FeatureUnknown(InputError):
    """The manifest has no such feature."""

    reason = "FEATURE_UNKNOWN"


class FeatureMissing(InputError):
    """A feature that the model needs is missing."""

    reason = "FEATURE_MISSING"


class FeatureKindMismatch(InputError):
    """A feature is a number where the manifest says categories, or the other way round."""

    reason = "FEATURE_KIND_MISMATCH"


class FeatureOutOfRange(InputError):
    """A number is beyond what the manifest calls plausible."""

    reason = "FEATURE_OUT_OF_RANGE"


class CategoryUnknown(InputError):
    """The manifest has no such category."""

    reason = "CATEGORY_UNKNOWN"
