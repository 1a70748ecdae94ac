"""Every error that a caller can meet, in one tree.

    MedserveError
    ├── CredentialsError       UNAUTHENTICATED
    │   ├── CredentialsMissing
    │   └── CredentialsInvalid
    ├── NotAllowedError        PERMISSION_DENIED
    │   ├── ModelNotAllowed
    │   └── ActionNotAllowed
    ├── AdmissionError
    │   ├── RequestMalformed   INVALID_ARGUMENT
    │   ├── RequestTooLarge    RESOURCE_EXHAUSTED
    │   ├── TooManyElements    INVALID_ARGUMENT
    │   ├── TooManyCalls       RESOURCE_EXHAUSTED  retry
    │   ├── DeadlineExceeded   DEADLINE_EXCEEDED
    │   ├── ShuttingDown       UNAVAILABLE         retry
    │   └── FieldInvalid       INVALID_ARGUMENT
    ├── RoutingError
    │   ├── ModelNotFound      NOT_FOUND
    │   ├── VersionNotFound    NOT_FOUND
    │   ├── LabelNotFound      NOT_FOUND
    │   └── VersionNotReady    UNAVAILABLE         retry
    ├── InputError             INVALID_ARGUMENT
    │   ├── InputMissing, InputUnknown, InputFormNotAccepted
    │   ├── DtypeMismatch, ShapeMismatch, ContentSizeMismatch, ValueNotFinite
    │   ├── ImageUndecodable
    │   ├── DicomUnreadable, DicomWithoutPixels, DicomNotSupported
    │   └── ChannelsMismatch, UnitMismatch, SamplingFrequencyMismatch
    ├── BackendError
    │   ├── BackendUnavailable    UNAVAILABLE          retry
    │   ├── BackendOverloaded     UNAVAILABLE          retry
    │   ├── BackendRejected       FAILED_PRECONDITION
    │   └── BackendAnswerInvalid  INTERNAL
    └── InternalError          INTERNAL

Each leaf owns its gRPC code, a stable `reason` (the name in `medserve.v1.ErrorReason` without its prefix) and whether trying again can
help. A message says which field is at fault and what to do; it is written for the caller, and never holds a value of the patient's
or the text of another exception.

Beside the tree stands `RelayedStatus`: what TensorFlow Serving answered to a call of its own API, passed on as it is.
"""

from enum import IntEnum
from typing import ClassVar


class Code(IntEnum):
    """The gRPC status codes that the tree uses (https://grpc.io/docs/guides/status-codes)."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class MedserveError(Exception):
    """The root of the tree; never raised itself.

    Attributes:
        code: the gRPC status code.
        reason: the stable reason, as in `medserve.v1.ErrorReason`.
        retry_after_seconds: how long to wait before trying again; None where trying again can't help.
        message: what is wrong and what to do, for the caller.
        field: the request field at fault, as a path such as `inputs["images"].tensor.shape`; empty where none is.
        request_id: the call's name, as the audit has it; empty until the pipeline says.
    """

    code: ClassVar[Code]
    reason: ClassVar[str]
    retry_after_seconds: ClassVar[float | None] = None

    def __init__(self, message: str, *, field: str = "") -> None:
        """Takes the message for the caller and the path of the field at fault."""
        super().__init__(message)
        self.message = message
        self.field = field
        self.request_id = ""


class CredentialsError(MedserveError):
    """Who is calling isn't known."""

    code = Code.UNAUTHENTICATED


class CredentialsMissing(CredentialsError):
    """No key came with the call."""

    reason = "CREDENTIALS_MISSING"


class CredentialsInvalid(CredentialsError):
    """The key is unknown, malformed, expired or revoked: a caller isn't told which."""

    reason = "CREDENTIALS_INVALID"


class NotAllowedError(MedserveError):
    """Who is calling is known and may not."""

    code = Code.PERMISSION_DENIED


class ModelNotAllowed(NotAllowedError):
    """The key doesn't allow the model, whether or not there is one of that name."""

    reason = "MODEL_NOT_ALLOWED"


class ActionNotAllowed(NotAllowedError):
    """The key doesn't allow the action."""

    reason = "ACTION_NOT_ALLOWED"


class AdmissionError(MedserveError):
    """The call isn't taken on."""


class RequestMalformed(AdmissionError):
    """The message can't be parsed."""

    code = Code.INVALID_ARGUMENT
    reason = "REQUEST_MALFORMED"


class RequestTooLarge(AdmissionError):
    """The message has too many bytes."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "REQUEST_TOO_LARGE"


class TooManyElements(AdmissionError):
    """An input declares too many elements or pixels."""

    code = Code.INVALID_ARGUMENT
    reason = "TOO_MANY_ELEMENTS"


class TooManyCalls(AdmissionError):
    """As many calls as allowed are under way."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "TOO_MANY_CALLS"
    retry_after_seconds = 0.1


class DeadlineExceeded(AdmissionError):
    """The caller's deadline leaves no time to answer, or passed."""

    code = Code.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"


class ShuttingDown(AdmissionError):
    """The gateway is stopping."""

    code = Code.UNAVAILABLE
    reason = "SHUTTING_DOWN"
    retry_after_seconds = 1.0


class FieldInvalid(AdmissionError):
    """A field is missing or has a value that can't be used."""

    code = Code.INVALID_ARGUMENT
    reason = "FIELD_INVALID"


class RoutingError(MedserveError):
    """There is nothing to send the call to."""


class ModelNotFound(RoutingError):
    """There is no such model."""

    code = Code.NOT_FOUND
    reason = "MODEL_NOT_FOUND"


class VersionNotFound(RoutingError):
    """The model has no such version."""

    code = Code.NOT_FOUND
    reason = "VERSION_NOT_FOUND"


class LabelNotFound(RoutingError):
    """The model has no such label."""

    code = Code.NOT_FOUND
    reason = "LABEL_NOT_FOUND"


class VersionNotReady(RoutingError):
    """The version exists and isn't loaded."""

    code = Code.UNAVAILABLE
    reason = "VERSION_NOT_READY"
    retry_after_seconds = 1.0


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
    """A channel's unit isn't the manifest's."""

    reason = "UNIT_MISMATCH"


class SamplingFrequencyMismatch(InputError):
    """The sampling frequency is missing or isn't the manifest's."""

    reason = "SAMPLING_FREQUENCY_MISMATCH"


class BackendError(MedserveError):
    """The model server didn't answer, or not well."""


class BackendUnavailable(BackendError):
    """The model server can't be reached, or was lost in mid-call."""

    code = Code.UNAVAILABLE
    reason = "BACKEND_UNAVAILABLE"
    retry_after_seconds = 1.0


class BackendOverloaded(BackendError):
    """The model server takes no more calls just now."""

    code = Code.UNAVAILABLE
    reason = "BACKEND_OVERLOADED"
    retry_after_seconds = 0.2


class BackendRejected(BackendError):
    """The model server refused what the manifest allows."""

    code = Code.FAILED_PRECONDITION
    reason = "BACKEND_REJECTED"


class BackendAnswerInvalid(BackendError):
    """The model server's answer isn't what the manifest says."""

    code = Code.INTERNAL
    reason = "BACKEND_ANSWER_INVALID"


class InternalError(MedserveError):
    """A defect of ours. The caller is told no more than that; `invariant` says what didn't hold, for the log."""

    code = Code.INTERNAL
    reason = "INTERNAL"

    def __init__(self, invariant: str = "") -> None:
        """Takes what should have held; empty for a defect that nobody foresaw."""
        super().__init__("the gateway failed to answer: tell whoever runs it, with the request id")
        self.invariant = invariant


class RelayedStatus(Exception):
    """What TensorFlow Serving answered to a call of its own API: passed on with its own code and message."""

    def __init__(self, code: int, message: str) -> None:
        """Takes the gRPC status code's number and the message."""
        super().__init__(message)
        self.code = code
        self.message = message


def leaves(root: type[MedserveError] = MedserveError) -> tuple[type[MedserveError], ...]:
    """Every error that can be raised: the classes without subclasses, in the order in which they are drawn."""
    below = root.__subclasses__()
    return tuple(leaf for child in below for leaf in leaves(child)) if below else (root,)
