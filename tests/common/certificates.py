"""Authorities and certificates of the tests, made fresh."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK = "127.0.0.1"
# Python 3.13 asks an authority for it.
_USES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
_SIGNS = x509.KeyUsage(
    **dict.fromkeys(_USES, False),
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Files:
    """Where a certificate and its key lie."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates, good or bad."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, _common_name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        built = _builder(self._name, self._name, self._key.public_key(), days=1)
        for extension in (x509.BasicConstraints(ca=True, path_length=None), _SIGNS):
            built = built.add_extension(extension, critical=True)
        certificate = built.sign(self._key, hashes.SHA256())
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def sign(self, file: str, *names: str, days: float = 1) -> Files:
        """Make a certificate for DNS names, URIs and addresses; negative days: it has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        built = _builder(_common_name(file), self._name, key.public_key(), days)
        alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        for extension in (alternatives, issuer):
            built = built.add_extension(extension, critical=False)
        certificate = built.sign(self._key, hashes.SHA256())
        files = Files(self._folder / f"{file}.crt", self._folder / f"{file}.key")
        _replace(files.key, _private(key))
        _replace(files.certificate, certificate.public_bytes(serialization.Encoding.PEM))
        return files


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: float
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(name: str) -> x509.GeneralName:
    if name == LOOPBACK:
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.UniformResourceIdentifier(name) if "://" in name else x509.DNSName(name)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _replace(path: Path, content: bytes) -> None:
    """Put a file into place in one step, as whoever rotates certificates should."""
    aside = path.with_suffix(".new")
    aside.write_bytes(content)
    aside.replace(path)
