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
    │   ├── ModelNotServed     FAILED_PRECONDITION
    │   └── VersionNotReady    UNAVAILABLE         retry
    ├── InputError             INVALID_ARGUMENT
    │   ├── InputMissing, InputUnknown, InputFormNotAccepted
    │   ├── DtypeMismatch, ShapeMismatch, ContentSizeMismatch, ValueNotFinite
    │   ├── ImageUndecodable
    │   ├── DicomUnreadable, DicomWithoutPixels, DicomNotSupported
    │   ├── ChannelsMismatch, UnitMismatch, SamplingFrequencyMismatch, TimesInvalid, GapTooLong
    │   └── FeatureUnknown, FeatureMissing, FeatureKindMismatch, FeatureOutOfRange, CategoryUnknown
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

from gateway.errors.backend import (
    BackendAnswerInvalid,
    BackendError,
    BackendOverloaded,
    BackendRejected,
    BackendUnavailable,
    InternalError,
    RelayedStatus,
)
from gateway.errors.calls import (
    ActionNotAllowed,
    AdmissionError,
    CredentialsError,
    CredentialsInvalid,
    CredentialsMissing,
    DeadlineExceeded,
    FieldInvalid,
    LabelNotFound,
    ModelNotAllowed,
    ModelNotFound,
    ModelNotServed,
    NotAllowedError,
    RequestMalformed,
    RequestTooLarge,
    RoutingError,
    ShuttingDown,
    TooManyCalls,
    TooManyElements,
    VersionNotFound,
    VersionNotReady,
)
from gateway.errors.inputs import (
    CategoryUnknown,
    ChannelsMismatch,
    ContentSizeMismatch,
    DicomNotSupported,
    DicomUnreadable,
    DicomWithoutPixels,
    DtypeMismatch,
    FeatureKindMismatch,
    FeatureMissing,
    FeatureOutOfRange,
    FeatureUnknown,
    GapTooLong,
    ImageUndecodable,
    InputError,
    InputFormNotAccepted,
    InputMissing,
    InputUnknown,
    SamplingFrequencyMismatch,
    ShapeMismatch,
    TimesInvalid,
    UnitMismatch,
    ValueNotFinite,
)
from gateway.errors.root import (
    Code,
    MedserveError,
    leaves,
)

__all__ = [
    "ActionNotAllowed",
    "AdmissionError",
    "BackendAnswerInvalid",
    "BackendError",
    "BackendOverloaded",
    "BackendRejected",
    "BackendUnavailable",
    "CategoryUnknown",
    "ChannelsMismatch",
    "Code",
    "ContentSizeMismatch",
    "CredentialsError",
    "CredentialsInvalid",
    "CredentialsMissing",
    "DeadlineExceeded",
    "DicomNotSupported",
    "DicomUnreadable",
    "DicomWithoutPixels",
    "DtypeMismatch",
    "FeatureKindMismatch",
    "FeatureMissing",
    "FeatureOutOfRange",
    "FeatureUnknown",
    "FieldInvalid",
    "GapTooLong",
    "ImageUndecodable",
    "InputError",
    "InputFormNotAccepted",
    "InputMissing",
    "InputUnknown",
    "InternalError",
    "LabelNotFound",
    "MedserveError",
    "ModelNotAllowed",
    "ModelNotFound",
    "ModelNotServed",
    "NotAllowedError",
    "RelayedStatus",
    "RequestMalformed",
    "RequestTooLarge",
    "RoutingError",
    "SamplingFrequencyMismatch",
    "ShapeMismatch",
    "ShuttingDown",
    "TimesInvalid",
    "TooManyCalls",
    "TooManyElements",
    "UnitMismatch",
    "ValueNotFinite",
    "VersionNotFound",
    "VersionNotReady",
    "leaves",
]
