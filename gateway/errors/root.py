"""The root of the tree, and the gRPC codes that it uses."""

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


def leaves(root: type[MedserveError] = MedserveError) -> tuple[type[MedserveError], ...]:
    """Every error that can be raised: the classes without subclasses."""
    below = root.__subclasses__()
    return tuple(leaf for child in below for leaf in leaves(child)) if below else (root,)
