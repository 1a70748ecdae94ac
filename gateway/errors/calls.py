"""A call that isn't taken on, or that there is nothing to send to."""

from gateway.errors.root import Code, MedserveError


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


class ModelNotServed(RoutingError):
    """The model is published, and the model server knows no version of it."""

    code = Code.FAILED_PRECONDITION
    reason = "MODEL_NOT_SERVED"


class VersionNotReady(RoutingError):
    """The version exists and isn't loaded."""

    code = Code.UNAVAILABLE
    reason = "VERSION_NOT_READY"
    retry_after_seconds = 1.0
