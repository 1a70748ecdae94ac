"""Which call a request's method and path mean (model_servers/http_rest_api_util.cc)."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from tensorflow_serving.apis import model_pb2

from modelserver.errors import ServingError, invalid_argument

_ANY = re.compile(r"/v1/.*", re.IGNORECASE)
_MODEL = r"(?:(?:/versions/([0-9]+))|(?:/labels/([^/:]+)))?"
_POST = re.compile(rf"/v1/models/([^/:]+){_MODEL}:(classify|regress|predict)", re.IGNORECASE)
_GET = re.compile(rf"/v1/models(?:/([^/:]+))?{_MODEL}(?:/(metadata))?", re.IGNORECASE)
_MAX_INT64 = (1 << 63) - 1
_MAX_INT64_DIGITS = 19

METADATA, STATUS = "metadata", "status"


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """`call` is `predict`, `classify`, `regress`, `metadata` or `status`; `spec` says of which model and version."""

    call: str
    spec: model_pb2.ModelSpec


def is_api(path: str) -> bool:
    """Whether a path, its query included, is the API's; others are not found."""
    return _ANY.fullmatch(path) is not None


def find(method: str, path: str) -> Route:
    """The call of a request. Raises ServingError (INVALID_ARGUMENT) in TensorFlow Serving's words.

    The path is the one that was sent, with its query, which no path of the API has. As in TensorFlow Serving its words are found in any case; those
    of a call have to be in lower case all the same, and `METADATA` is the status.
    """
    pattern = {"POST": _POST, "GET": _GET}.get(method)
    found = None if pattern is None else pattern.fullmatch(path)
    if found is None:
        raise _malformed(method, path)
    name, version, label, word = found.groups()
    spec = model_pb2.ModelSpec(name=_decoded(name or ""))
    if version:
        spec.version.value = _number(version)
    if label:
        spec.version_label = _decoded(label)
    if method == "POST":
        if word != word.lower():
            raise _malformed(method, path)
        return Route(call=word, spec=spec)
    if not spec.name:
        raise invalid_argument("Missing model name in request.")
    return Route(call=METADATA if word == METADATA else STATUS, spec=spec)


def _malformed(method: str, path: str) -> ServingError:
    return invalid_argument(f"Malformed request: {method} {path}")


def _decoded(text: str) -> str:
    return unquote(text, errors="replace")


def _number(text: str) -> int:
    digits = text.lstrip("0") or "0"
    if len(digits) > _MAX_INT64_DIGITS or int(digits) > _MAX_INT64:
        message = f"Failed to convert version: {text} to numeric."
        raise invalid_argument(message)
    return int(digits)
