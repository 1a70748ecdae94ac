"""What a client can be made with, and what is refused before anything is sent."""

import json
import math
import os
from pathlib import Path
from typing import Any

import grpc
import pytest

from medserve import Client
from medserve.connection import Connection


def connection(target: str = "localhost:8443", **changes: Any) -> Connection:
    return Connection.of(target, **({"api_key": None, "ca_certificates": None, "insecure": False, "timeout_seconds": 1.0} | changes))


@pytest.mark.parametrize(
    "target", ["localhost:1", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "dns:///localhost:1", "dns:///127.0.0.1", "unix:///run/gateway", "localhost"]
)
def test_this_machine_may_be_called_in_the_clear(target: str) -> None:
    assert connection(target, insecure=True).insecure


@pytest.mark.parametrize(
    "target",
    [
        "gateway:1", "10.0.0.1:1", "0.0.0.0:1", "[::]:1", "localhost.example:1", "127.0.0.1.example:1", "dns:///gateway:1", "dns://10.0.0.1/localhost:1",
        "ipv4:127.0.0.1:1,10.0.0.1:1", "xds:///localhost", "user@localhost:1", "localhost:1/evil", "",
    ],
)  # fmt: skip
def test_nothing_else_may(target: str) -> None:
    with pytest.raises(ValueError, match="isn't this machine"):
        connection(target, insecure=True)


def test_no_proxy_sees_what_goes_in_the_clear() -> None:
    assert ("grpc.enable_http_proxy", 0) in connection(insecure=True).options
    assert ("grpc.enable_http_proxy", 0) not in connection().options


@pytest.mark.parametrize("key", ["msk_abc\ndef", "two words", "schlüssel", "msk_\x00"])
def test_a_key_that_cannot_travel_is_refused_without_quoting_it(key: str) -> None:
    with pytest.raises(ValueError, match="characters that no key has") as caught:
        connection(api_key=key)

    assert key not in str(caught.value)


def test_a_key_is_sent_as_a_bearer_token_and_shown_nowhere() -> None:
    made = connection(api_key="msk_secret\n")

    assert made.metadata == (("authorization", "Bearer msk_secret"),)
    assert "secret" not in repr(made)


def test_without_a_key_no_metadata_is_sent() -> None:
    assert connection().metadata == ()


@pytest.mark.parametrize("timeout_seconds", [0, -1, math.nan, math.inf])
def test_a_timeout_is_a_time(timeout_seconds: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        connection(timeout_seconds=timeout_seconds)
    with Client(insecure=True) as client, pytest.raises(ValueError, match="above zero"):
        client.health(timeout_seconds=timeout_seconds)


@pytest.mark.parametrize("content", [b"", b"text", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\xff"])
def test_certificates_that_are_none_are_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(content)

    for given in (content, file, os.fspath(file)):
        with pytest.raises(ValueError, match="not certificates in PEM"):
            connection(ca_certificates=given)


def test_a_ca_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.pem"):
        connection(ca_certificates=tmp_path / "absent.pem")


def test_certificates_and_no_tls_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="leave one"):
        connection(insecure=True, ca_certificates=b"x")


def test_only_what_nobody_took_on_and_only_idempotent_calls_are_tried_again() -> None:
    config = json.loads(str(dict(connection().options)["grpc.service_config"]))

    (method,) = config["methodConfig"]
    assert method["retryPolicy"]["retryableStatusCodes"] == [grpc.StatusCode.UNAVAILABLE.name, grpc.StatusCode.CANCELLED.name]
    assert method["retryPolicy"]["maxAttempts"] <= 5
    assert method["name"] == [
        {"service": "medserve.v1.InferenceService", "method": "Infer"},
        {"service": "medserve.v1.CatalogService"},
        {"service": "grpc.health.v1.Health", "method": "Check"},
    ]
