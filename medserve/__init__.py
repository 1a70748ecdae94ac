"""medserve: what a caller of the service installs.

The names are found when they are first used: the gateway imports `medserve.keys` and must not load a client for it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medserve.aio import AsyncClient
    from medserve.client import Client
    from medserve.errors import (
        DeadlineExceeded,
        FailedPrecondition,
        InternalError,
        InvalidArgument,
        MedserveError,
        NotFound,
        PermissionDenied,
        ResourceExhausted,
        Unauthenticated,
        Unavailable,
    )
    from medserve.inputs import Channel, Dicom, EncodedImage, InputValue, Quantity, Record, TimeSeries
    from medserve.tensors import to_array, to_tensor
    from medserve.v1.inference_pb2 import PurposeOfUse
    from medserve.v1.reading_pb2 import Decision

__all__ = [
    "AsyncClient",
    "Channel",
    "Client",
    "DeadlineExceeded",
    "Decision",
    "Dicom",
    "EncodedImage",
    "FailedPrecondition",
    "InputValue",
    "InternalError",
    "InvalidArgument",
    "MedserveError",
    "NotFound",
    "PermissionDenied",
    "PurposeOfUse",
    "Quantity",
    "Record",
    "ResourceExhausted",
    "TimeSeries",
    "Unauthenticated",
    "Unavailable",
    "to_array",
    "to_tensor",
]

_MODULES = {
    "medserve.aio": ("AsyncClient",),
    "medserve.client": ("Client",),
    "medserve.errors": (
        "DeadlineExceeded",
        "FailedPrecondition",
        "InternalError",
        "InvalidArgument",
        "MedserveError",
        "NotFound",
        "PermissionDenied",
        "ResourceExhausted",
        "Unauthenticated",
        "Unavailable",
    ),
    "medserve.inputs": ("Channel", "Dicom", "EncodedImage", "InputValue", "Quantity", "Record", "TimeSeries"),
    "medserve.tensors": ("to_array", "to_tensor"),
    "medserve.v1.inference_pb2": ("PurposeOfUse",),
    "medserve.v1.reading_pb2": ("Decision",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module  # noqa: PLC0415 - as lazily as the names

    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
