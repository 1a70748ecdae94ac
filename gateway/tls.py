"""Certificates: your own, or one from a development CA that is made on first run."""

import contextlib
import fcntl
import ipaddress
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CA_DAYS = 3650
# Apple's and Chromium's limit for a server certificate is 825 or 398 days; a development one is renewed by the gateway itself.
_SERVER_DAYS = 365
_RENEW_DAYS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerCertificate:
    """Files, PEM: the server's certificate, its key, and the CA that callers have to trust."""

    certificate_file: Path
    private_key_file: Path
    ca_file: Path


def require_tls_beyond_loopback(host: str, is_tls: bool) -> None:  # noqa: FBT001 - a predicate of the two
    """Raises ValueError where patient data would cross a network in the clear."""
    if is_tls or host == "localhost":
        return
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    message = f"listen.tls.enabled: false is for loopback addresses only, and listen.host is {host}"
    raise ValueError(message)


def development_certificate(folder: Path) -> ServerCertificate:
    """Makes a CA and a certificate for this machine's names in `folder`, or finds those that it made before.

    The certificate is made anew where it is about to expire or this machine's name has changed; the CA stays, so callers trust it still.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = ServerCertificate(certificate_file=folder / "server.pem", private_key_file=folder / "server-key.pem", ca_file=folder / "ca.pem")
    with _locked(folder):
        if not files.ca_file.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            _write(folder / "ca-key.pem", _pem(key), 0o600)
            _write(files.ca_file, _ca(key).public_bytes(serialization.Encoding.PEM), 0o644)
        if not _is_current(files):
            ca = x509.load_pem_x509_certificate(files.ca_file.read_bytes())
            ca_key = serialization.load_pem_private_key((folder / "ca-key.pem").read_bytes(), None)
            if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
                message = f"{folder / 'ca-key.pem'}: not the key that was made here: remove the folder to start anew"
                raise ValueError(message)
            key = ec.generate_private_key(ec.SECP256R1())
            _write(files.private_key_file, _pem(key), 0o600)
            _write(files.certificate_file, _server(key, ca, ca_key).public_bytes(serialization.Encoding.PEM), 0o644)
    return files


def require_pair(private_key: bytes, certificate: bytes) -> None:
    """Raises ValueError where two PEM texts aren't a key without a password and, first in its chain, the certificate of that key."""
    try:
        key = serialization.load_pem_private_key(private_key, None)
        leaf = x509.load_pem_x509_certificate(certificate)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        message = "not a key without a password and a certificate, both PEM"
        raise ValueError(message) from None
    if key.public_key() != leaf.public_key():
        message = "the key isn't the certificate's"
        raise ValueError(message)


def _names() -> list[x509.GeneralName]:
    hosts = dict.fromkeys(("localhost", socket.gethostname()))
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    return [*(x509.DNSName(host) for host in hosts), *addresses]


def _is_current(files: ServerCertificate) -> bool:
    """Whether the certificate can be used: of this CA, of this key, for these names, and for long enough.

    The three files are written one by one, and any of them may have been removed or left behind by a process that was killed.
    """
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate_file.read_bytes())
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(files.ca_file.read_bytes()))
        require_pair(files.private_key_file.read_bytes(), files.certificate_file.read_bytes())
    except (OSError, ValueError, TypeError, InvalidSignature):
        return False
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    return left > timedelta(days=_RENEW_DAYS) and list(names) == _names()


def _builder(subject: str, public_key: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=is_ca, crl_sign=is_ca, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _ca(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    builder = _builder("medserve development CA", key.public_key(), _CA_DAYS)
    return (
        builder.issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "medserve development CA")]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(is_ca=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _server(key: ec.EllipticCurvePrivateKey, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return (
        _builder("medserve gateway", key.public_key(), _SERVER_DAYS)
        .issuer_name(ca.subject)
        .add_extension(x509.SubjectAlternativeName(_names()), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(is_ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _write(path: Path, content: bytes, mode: int) -> None:
    """Puts a file in place whole, by a rename."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two gateways that start at once make one CA."""
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
