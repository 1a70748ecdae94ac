"""What travels between the stages: frozen, keyword-only, valid once constructed.

What every call makes anew is a msgspec struct and not a dataclass: the same thing to read, made in 0.2 µs
and copied in 0.1 where a frozen dataclass of as many fields takes 2.8 and 3.0.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from gateway.errors import FieldInvalid
from gateway.manifest import Manifest

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# A name that is safe to say back. Anything else could be a patient's, put in the wrong place, or too long for a status.
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")

# TensorFlow's most dimensions (tensorflow/core/framework/tensor_shape.h, MaxDimensions). What is declared beyond isn't even copied.
MAX_RANK = 254
# More than any model has. Two bytes on the wire make one of these, and each costs Python a microsecond and hundreds of bytes, so a request
# that declares millions is refused before anything is made of them.
MAX_INPUTS = 1024
MAX_CHANNELS = 4096
MAX_FEATURES = 4096


def input_field(name: str) -> str:
    """The path of an input in a request, for an error: `inputs["images"]`, or `inputs` where the name isn't a plain one."""
    return f'inputs["{name}"]' if is_plain_name(name) else "inputs"


def require_few_inputs(count: int) -> None:
    """Raises FieldInvalid for more inputs than are taken."""
    if count > MAX_INPUTS:
        message = f"the request has {count} inputs; at most {MAX_INPUTS} are taken"
        raise FieldInvalid(message, field="inputs")


def is_plain_name(name: str) -> bool:
    """Whether a name may be said back and written down."""
    return _PLAIN_NAME.fullmatch(name) is not None


class Action(StrEnum):
    """What a caller may be allowed to do."""

    INFER = "infer"
    READ = "read"
    RELOAD = "reload"


class PurposeOfUse(StrEnum):
    """Why the data is used, by HL7's codes (v3 PurposeOfUse); empty where the caller didn't say."""

    UNSPECIFIED = ""
    TREATMENT = "TREAT"
    EMERGENCY_TREATMENT = "ETREAT"
    RESEARCH = "HRESCH"
    QUALITY = "HQUALIMP"


class Selector(msgspec.Struct, frozen=True, kw_only=True):
    """The model that a call names and how it chooses the version; both None means the one that answers by default.

    `field` is where the request names the model.
    """

    model: str
    field: str = "model.name"
    version: int | None = None
    label: str | None = None


class TensorDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """What an input says of itself before anything is allocated.

    `field` is the shape's path in the request; `input_name` is given where the tensor, a batch, is passed on as it is.
    """

    field: str
    shape: tuple[int, ...]
    input_name: str = ""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What the transport knows of one call.

    Attributes:
        method: the full gRPC method, for example `/medserve.v1.InferenceService/Infer`.
        action: what the caller wants to do.
        request_id: the caller's name for the call or one made up for it.
        selectors: every model that the call names, the one that answers first; empty where it is about no model in particular.
        authorization: the value of the `authorization` metadata; empty where none came. Never logged.
        timeout_seconds: what is left of the caller's deadline; None where there is none.
        size_bytes: the size of the message.
        declarations: the shapes that the inputs declare.
        signature_name: which signature is called, where the caller says so; empty for the default one.
        listed_models: the names in a list that is to replace what the model server serves.
        purpose_of_use: why the data is used.
        study_key, patient_key: what the call is about; only keyed hashes of them are ever written.
    """

    method: str
    action: Action
    request_id: str
    authorization: str
    timeout_seconds: float | None
    size_bytes: int
    selectors: tuple[Selector, ...] = ()
    declarations: tuple[TensorDeclaration, ...] = ()
    signature_name: str = ""
    listed_models: tuple[str, ...] = ()
    purpose_of_use: PurposeOfUse = PurposeOfUse.UNSPECIFIED
    study_key: str = ""
    patient_key: str = ""

    def __post_init__(self) -> None:
        """Raises FieldInvalid for a request id that could hide a patient's data or break a log line."""
        if not _REQUEST_ID.fullmatch(self.request_id):
            message = "the request id takes 1 to 128 letters, digits, '.', '_', ':' and '-'"
            raise FieldInvalid(message, field="context.request_id")

    def __repr__(self) -> str:
        """Names the call, and shows neither the key nor what it is about."""
        return f"Call({self.method}, {self.request_id})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """Who is calling, and what they may do: `models` and `actions` are names, `*` for any model."""

    key_id: str
    tenant: str
    models: frozenset[str]
    actions: frozenset[Action]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where a call goes.

    Attributes:
        model: the model's name.
        version: the version; None leaves the choice to the model server.
        label: the label that chose the version; empty where none did.
        manifest: what the version says of itself; None for a model that the repository here doesn't hold.
        by_default: True where the gateway chose the version itself, so that it may choose again if that one is gone.
    """

    model: str
    version: int | None
    label: str = ""
    manifest: Manifest | None = None
    by_default: bool = False
