"""Certificates: made, renewed and checked; and nothing in the clear beyond this machine."""

import ipaddress
import multiprocessing
import socket
import ssl
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from gateway import tls
from gateway.tls import ServerCertificate, development_certificate, require_pair, require_tls_beyond_loopback


def load(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def shake_hands(files: ServerCertificate, name: str) -> None:
    """A TLS handshake between Python's own two ends; raises ssl.SSLError where it fails."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate_file, files.private_key_file)
    client = ssl.create_default_context(cafile=str(files.ca_file))
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except (OSError, ssl.SSLError):
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client.wrap_socket(ours, server_hostname=name).close()
    finally:
        ours.close()
        thread.join()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", socket.gethostname()])
def test_a_caller_who_trusts_the_ca_reaches_this_machine_by_each_of_its_names(tmp_path: Path, name: str) -> None:
    shake_hands(development_certificate(tmp_path), name)


def test_and_by_no_other(tmp_path: Path) -> None:
    files = development_certificate(tmp_path)

    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(files, "gateway.hospital.example")


def test_the_names_are_in_the_certificate(tmp_path: Path) -> None:
    names = load(development_certificate(tmp_path).certificate_file).extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert set(names.get_values_for_type(x509.DNSName)) == {"localhost", socket.gethostname()}
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    files = development_certificate(tmp_path)

    assert {stat.S_IMODE(file.stat().st_mode) for file in (files.private_key_file, tmp_path / "ca-key.pem")} == {0o600}


def test_what_is_current_stays(tmp_path: Path) -> None:
    before = development_certificate(tmp_path).certificate_file.read_bytes()

    assert development_certificate(tmp_path).certificate_file.read_bytes() == before


def expire(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(tls, "_SERVER_DAYS", 20)
        (folder / "server.pem").unlink()
        development_certificate(folder)


def rename_machine(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "renamed")


FAULTS: dict[str, Callable[[Path, pytest.MonkeyPatch], Any]] = {
    "about to expire": expire,
    "another machine's name": rename_machine,
    "the certificate is gone": lambda folder, _: (folder / "server.pem").unlink(),
    "the key is gone": lambda folder, _: (folder / "server-key.pem").unlink(),
    "the certificate is cut short": lambda folder, _: (folder / "server.pem").write_bytes((folder / "server.pem").read_bytes()[:100]),
    "the key is of another certificate": lambda folder, _: tls._write(
        folder / "server-key.pem", tls._pem(ec.generate_private_key(ec.SECP256R1())), 0o600
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_used_is_made_anew_by_the_same_ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    ca = development_certificate(tmp_path).ca_file.read_bytes()
    FAULTS[fault](tmp_path, monkeypatch)

    files = development_certificate(tmp_path)

    shake_hands(files, "localhost")
    assert load(files.certificate_file).not_valid_after_utc - datetime.now(UTC) > timedelta(days=300)
    assert files.ca_file.read_bytes() == ca


def test_where_the_ca_is_gone_a_new_one_signs_a_new_certificate(tmp_path: Path) -> None:
    (development_certificate(tmp_path).ca_file).unlink()

    shake_hands(development_certificate(tmp_path), "localhost")


def test_two_gateways_that_start_at_once_make_one_ca_and_one_certificate(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.map(development_certificate, [tmp_path] * 4)

    assert len(set(found)) == 1
    shake_hands(found[0], "localhost")
    assert not list(tmp_path.glob(".*.new"))


@pytest.mark.parametrize(
    ("host", "is_tls", "refused"),
    [
        ("127.0.0.1", False, False), ("127.9.9.9", False, False), ("::1", False, False), ("localhost", False, False),
        ("0.0.0.0", False, True), ("::", False, True), ("192.168.1.5", False, True), ("gateway.example", False, True), ("", False, True),
        ("0.0.0.0", True, False), ("gateway.example", True, False),
    ],
)  # fmt: skip
def test_nothing_goes_in_the_clear_beyond_loopback(host: str, is_tls: bool, refused: bool) -> None:
    if not refused:
        require_tls_beyond_loopback(host, is_tls)
        return
    with pytest.raises(ValueError, match="loopback"):
        require_tls_beyond_loopback(host, is_tls)


def test_a_pair_is_a_key_and_its_certificate(tmp_path: Path) -> None:
    files = development_certificate(tmp_path)
    key, certificate = files.private_key_file.read_bytes(), files.certificate_file.read_bytes()

    require_pair(key, certificate + files.ca_file.read_bytes())
    for pair in ((certificate, key), (key, b""), (b"", certificate)):
        with pytest.raises(ValueError, match="both PEM"):
            require_pair(*pair)
    with pytest.raises(ValueError, match="isn't the certificate's"):
        require_pair(key, files.ca_file.read_bytes())
