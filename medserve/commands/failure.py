"""What is said on standard error when a command fails, and the exit status that goes with it."""

import json
import sys
from typing import Any

from medserve.keys import KeysFileError

REFUSED = 1
WRONG_USAGE = 2

# What a person at a shell can do, where the service's message speaks to a program. By reason, or else by the gRPC code.
_ADVICE = {
    "CREDENTIALS_MISSING": "name the file that holds your key: --key-file FILE, or MEDSERVE_KEY_FILE",
    "CREDENTIALS_INVALID": "look at the file that --key-file names; whoever runs the gateway makes a new key with: medserve keys create",
    "MODEL_NOT_ALLOWED": "`medserve models` lists the models that your key allows",
    "MODEL_NOT_FOUND": "`medserve models` lists the models that your key allows",
    "VERSION_NOT_FOUND": "`medserve models NAME` lists the versions",
    "LABEL_NOT_FOUND": "`medserve models NAME` lists the labels",
    "VERSION_NOT_READY": "`medserve models NAME` shows the state of each version",
    "INPUT_MISSING": "`medserve models NAME` lists the inputs; give each: --input NAME=FILE",
    "INPUT_UNKNOWN": "`medserve models NAME` lists the inputs",
    "INPUT_FORM_NOT_ACCEPTED": "`medserve models NAME` shows what each input takes",
    "DEADLINE_EXCEEDED": "allow more time: --timeout-seconds SECONDS",
    "UNAVAILABLE": "--target HOST:PORT (or MEDSERVE_TARGET) names the gateway, --ca-file FILE (or MEDSERVE_CA_FILE) the CA to trust",
}


class UsageError(ValueError):
    """The command can't be carried out as it was given; the message says why."""


def report(error: Exception, *, as_json: bool) -> int:
    """Says what went wrong; returns the exit status."""
    if isinstance(error, UsageError | KeysFileError):
        return _say({"message": str(error)}, WRONG_USAGE, as_json=as_json)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return _say({"message": f"{where}{error.strerror or 'not readable'}"}, WRONG_USAGE, as_json=as_json)
    from medserve.errors import MedserveError  # noqa: PLC0415 - `medserve keys` does without gRPC

    if not isinstance(error, MedserveError):
        return _say({"message": f"a defect of medserve itself ({type(error).__name__}): tell whoever maintains it"}, REFUSED, as_json=as_json)
    said: dict[str, Any] = {
        "code": error.code.name,
        "reason": error.reason,
        "message": error.message,
        "field": error.field,
        "advice": _ADVICE.get(error.reason or error.code.name, ""),
        "retryAfterSeconds": error.retry_after_seconds,
        "requestId": error.request_id,
    }
    return _say(said, REFUSED, as_json=as_json)


def _say(said: dict[str, Any], status: int, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"error": {name: value for name, value in said.items() if value not in {"", None}}}), file=sys.stderr)
        return status
    name = said.get("reason") or said.get("code") or ""
    print(f"medserve: {name + ': ' if name else ''}{said['message']}", file=sys.stderr)
    rows = {
        "field": said.get("field"),
        "what to do": said.get("advice"),
        "try again": f"after {said['retryAfterSeconds']:g} s" if said.get("retryAfterSeconds") else "",
        "request": said.get("requestId"),
    }
    for title, value in rows.items():
        if value:
            print(f"  {title}: {value}", file=sys.stderr)
    return status
