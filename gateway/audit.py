"""Who asked what, of which weights, and how it ended: one typed event a call, appended to a file as a line of JSON.

An event has no field that could hold a patient's data. Study and patient keys are written as keyed hashes (HMAC-SHA-256), so that the events
of one study can be found by who holds the secret, and by nobody else. A model is named where it is published, or has answered: a name that
a caller made up is not written.

One thread writes, in the order of the calls' ends. It is where a later release will chain the lines by their hashes.
"""

import contextlib
import hashlib
import hmac
import os
import queue
import secrets
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from gateway.call import Call, Principal, Route, is_plain_name

_log = structlog.get_logger("gateway.audit")

# A disk that stalls must not eat the memory: past this no call is taken on. Those under way are recorded all the same.
MAX_QUEUED_EVENTS = 10_000
_SECRET_BYTES = 32
# The writer lets events gather, so that it wakes some two hundred times a second however many calls end: a thread that woke for each would
# take the interpreter's lock from the event loop each time, a fifth of what a call costs the gateway.
_GATHER_SECONDS = 0.005
_RETRY_SECONDS = 1.0
_CLOSE_SECONDS = 10.0


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call.

    Attributes:
        time: when it ended, RFC 3339 in UTC.
        method: the full gRPC method.
        code: the gRPC status code's name.
        reason: the error's reason; empty for success and for what the model server answered on its own API.
        duration_ms: from arrival to answer.
        models: what a list names that was to replace what the model server serves, `?` for a name that isn't plain.
        study, patient: keyed hashes in hexadecimal; empty where the call named none.
    """

    time: datetime
    request_id: str
    method: str
    action: str
    code: str
    reason: str = ""
    tenant: str = ""
    key_id: str = ""
    model: str = ""
    models: tuple[str, ...] = ()
    version: int | None = None
    label: str = ""
    weights_digest: str = ""
    purpose_of_use: str = ""
    study: str = ""
    patient: str = ""
    size_bytes: int
    duration_ms: float


class AuditLog:
    """Appends events to a file."""

    def __init__(self, file: Path, secret_file: Path) -> None:
        """Opens the file, which only its owner may read.

        Raises OSError where that can't be, and ValueError for a secret that is none: a gateway without an audit doesn't start.
        """
        self._secret = _read_or_make_secret(secret_file)
        file.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._end_line()
        self._queue: queue.SimpleQueue[AuditEvent | None] = queue.SimpleQueue()
        self._stop_at = float("inf")
        self._thread = threading.Thread(target=self._write_all, name="audit", daemon=True)
        self._thread.start()

    @property
    def has_room(self) -> bool:
        """False while the disk is so far behind that no call should be taken on."""
        return self._queue.qsize() < MAX_QUEUED_EVENTS

    def record_call(
        self,
        call: Call,
        *,
        principal: Principal | None,
        model: str,
        models: tuple[str, ...] = (),
        route: Route | None,
        version: int | None,
        code: str,
        reason: str,
        duration_seconds: float,
    ) -> None:
        """Records how a call ended. `model` is a name that is known to be one; `version` is the one that answered, where one did.

        `models` is a list that somebody sent who may replace what is served.
        """
        manifest = None if route is None else route.manifest
        self.record(
            AuditEvent(
                time=datetime.now(UTC),
                request_id=call.request_id,
                method=call.method,
                action=call.action.value,
                code=code,
                reason=reason,
                tenant="" if principal is None else principal.tenant,
                key_id="" if principal is None else principal.key_id,
                model=model,
                models=tuple(name if is_plain_name(name) else "?" for name in models),
                version=version,
                label="" if route is None or manifest is None else route.label,
                weights_digest="" if manifest is None else manifest.weights_digest,
                purpose_of_use=call.purpose_of_use.value,
                study=self._hash(call.study_key),
                patient=self._hash(call.patient_key),
                size_bytes=call.size_bytes,
                duration_ms=round(duration_seconds * 1000, 3),
            )
        )

    def record(self, event: AuditEvent) -> None:
        """Takes an event on, at once; the writer's thread appends it."""
        self._queue.put(event)

    def close(self) -> None:
        """Writes all that was taken on, and closes the file."""
        self._stop_at = time.monotonic() + _CLOSE_SECONDS
        self._queue.put(None)
        self._thread.join()
        os.close(self._descriptor)

    def _hash(self, key: str) -> str:
        return hmac.new(self._secret, key.encode(), hashlib.sha256).hexdigest() if key else ""

    def _end_line(self) -> None:
        """Ends the line that a process left half written when it was killed: the next event has its own."""
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")

    def _write_all(self) -> None:
        encoder = msgspec.json.Encoder()
        running = True
        while running:
            lines = bytearray()
            event = self._queue.get()
            if event is not None:
                time.sleep(_GATHER_SECONDS)
            while event is not None:
                lines += encoder.encode(event) + b"\n"
                try:
                    event = self._queue.get_nowait()
                except queue.Empty:
                    break
            running = event is not None
            self._append(lines)

    def _append(self, lines: bytearray) -> None:
        """Writes the lines whole, and waits for a disk that is full: nothing is skipped while the process lives."""
        rest = memoryview(lines)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except OSError as error:
                _log.error("audit not written: trying again", errno=error.errno)
                if time.monotonic() > self._stop_at:
                    _log.critical("audit events lost", bytes=len(rest))
                    return
                time.sleep(_RETRY_SECONDS)


def _read_or_make_secret(file: Path) -> bytes:
    """The key of the keyed hashes; made on first use, in a file that only its owner may read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    if not file.exists():
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(secrets.token_bytes(_SECRET_BYTES))
            out.flush()
            os.fsync(out.fileno())
        # A link, and not a rename: where two gateways start at once, the first one's secret stays.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, file)
        temporary.unlink()
    secret = file.read_bytes()
    if len(secret) < _SECRET_BYTES:
        message = f"{file}: a secret has {_SECRET_BYTES} bytes or more: restore the file, or remove it to have a new one made"
        raise ValueError(message)
    return secret
