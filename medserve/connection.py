"""How the client reaches the gateway: the address, what it trusts, and the options of the channel. Both clients use it."""

import ipaddress
import json
import math
import re
import ssl
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Self

import grpc

DEFAULT_TARGET = "localhost:8443"
DEFAULT_TIMEOUT_SECONDS = 10.0

# gRPC itself allows no more than five.
_MAX_ATTEMPTS = 4
# gRPC tries again only what it still holds. The gateway takes requests of up to 64 MiB by default.
_RETRY_BUFFER_BYTES = 64 << 20
# The calls that do nothing twice: a model keeps no state, so asking it again is harmless.
_IDEMPOTENT = (
    {"service": "medserve.v1.InferenceService", "method": "Infer"},
    {"service": "medserve.v1.CatalogService"},
    {"service": "grpc.health.v1.Health", "method": "Check"},
)
_SERVICE_CONFIG = {
    # With one address this is that address; behind a name of several gateways, one connection doesn't pin one of them.
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": _IDEMPOTENT,
            "retryPolicy": {
                "maxAttempts": _MAX_ATTEMPTS,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                # CANCELLED is what gRPC itself answers to a call that comes while a gateway closes; a caller's own cancellation isn't retried.
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ],
}
_OPTIONS = (
    # The gateway's limits bound a request, and answer with a reason; the manifest bounds an answer.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A connection that a firewall dropped without a word is noticed while a call waits on it. More often would count as abuse.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # A gateway that comes back is found within seconds, not gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 5000),
    ("grpc.enable_retries", 1),
    ("grpc.per_rpc_retry_buffer_size", _RETRY_BUFFER_BYTES),
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
)
# In the clear nothing may leave this machine, not to a proxy either.
_NO_PROXY = ("grpc.enable_http_proxy", 0)

_HOST_AND_PORT = re.compile(r"(?:dns:///)?(?:\[(?P<bracketed>[^\]]+)\]|(?P<host>[^:/,\[\]]+))(?::\d+)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """Everything that a client knows before it connects. The key shows in no `repr`."""

    target: str
    api_key: str = field(repr=False)
    root_certificates: bytes | None = field(repr=False)
    insecure: bool
    timeout_seconds: float

    @classmethod
    def of(
        cls,
        target: str,
        *,
        api_key: str | None,
        ca_certificates: bytes | str | PathLike[str] | None,
        insecure: bool,
        timeout_seconds: float,
    ) -> Self:
        """Takes what a client is made with. Raises ValueError where it can't be used, and OSError for a file that can't be read."""
        if insecure and not _is_loopback(target):
            message = f"{target} isn't this machine: beyond it, neither a key nor a patient's data is sent without TLS"
            raise ValueError(message)
        if insecure and ca_certificates is not None:
            raise ValueError("without TLS there is no certificate to check: leave one of insecure and ca_certificates out")
        key = (api_key or "").strip()
        # gRPC would refuse these as well, in an error that quotes them.
        if not all("!" <= character <= "~" for character in key):
            raise ValueError("the API key has characters that no key has: it is one word that starts with 'msk_'")
        return cls(
            target=target,
            api_key=key,
            root_certificates=None if insecure else _roots(ca_certificates),
            insecure=insecure,
            timeout_seconds=require_timeout(timeout_seconds),
        )

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with each call."""
        return (("authorization", f"Bearer {self.api_key}"),) if self.api_key else ()

    @property
    def options(self) -> tuple[tuple[str, str | int], ...]:
        """The options of the channel."""
        return (*_OPTIONS, _NO_PROXY) if self.insecure else _OPTIONS

    def credentials(self) -> grpc.ChannelCredentials:
        """What the channel trusts."""
        return grpc.ssl_channel_credentials(self.root_certificates)


def require_timeout(timeout_seconds: float) -> float:
    """The same. Raises ValueError where it is no time."""
    if not (timeout_seconds > 0 and math.isfinite(timeout_seconds)):
        message = f"timeout_seconds is {timeout_seconds}: give a number of seconds above zero"
        raise ValueError(message)
    return timeout_seconds


def _is_loopback(target: str) -> bool:
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    match = _HOST_AND_PORT.fullmatch(target)
    if match is None:
        return False
    host = match["bracketed"] or match["host"]
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _roots(ca_certificates: bytes | str | PathLike[str] | None) -> bytes | None:
    """The PEM of the CAs to trust: the caller's; the system's where OpenSSL names a file of them; None for those that come with gRPC."""
    if ca_certificates is None:
        system = ssl.get_default_verify_paths().cafile
        return None if system is None else Path(system).read_bytes()
    source = "ca_certificates" if isinstance(ca_certificates, bytes) else str(ca_certificates)
    content = ca_certificates if isinstance(ca_certificates, bytes) else Path(ca_certificates).read_bytes()
    try:
        # gRPC takes anything here, and fails later without saying why.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content.decode("ascii"))
    except (ssl.SSLError, ValueError):
        message = f"{source}: not certificates in PEM"
        raise ValueError(message) from None
    return content
