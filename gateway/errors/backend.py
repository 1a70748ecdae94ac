"""What went wrong behind the gateway, or in it."""

from gateway.errors.root import Code, MedserveError


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
