"""TLS: what a process shows, whom it believes, and whom a method takes; changed files count without a restart."""

import importlib
import logging
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import grpc
from pydantic import Field

from services.common.errors import CallerNotAllowed, InvalidSetting
from services.common.settings import OptionalPath, Settings
from services.common.signs import Repeats

log = logging.getLogger(__name__)

_NAMES = ("x509_subject_alternative_name", "peer_spiffe_id")
_ANY = "*"


class TlsSettings(Settings):
    """The certificate that a process shows, and the authorities that it believes."""

    tls_cert_file: OptionalPath = Field(
        default=None, description="PEM chain shown to callers, and to the services that are called"
    )
    tls_key_file: OptionalPath = Field(default=None, description="PEM key of the certificate")
    tls_ca_file: OptionalPath = Field(
        default=None, description="signs the services that are called: set, they are called by TLS"
    )
    tls_client_ca_file: OptionalPath = Field(
        default=None, description="signs callers: set, each of them must show a certificate"
    )
    tls_callers: str = Field(
        default="", description="which certificates may call what: METHOD=NAME,NAME …"
    )

    @classmethod
    def read(cls) -> Self:
        """Return the settings, or raise InvalidSetting if one of them lacks its other half."""
        settings = super().read()
        if bool(settings.tls_cert_file) != bool(settings.tls_key_file):
            raise InvalidSetting("WINNOW_TLS_CERT_FILE and WINNOW_TLS_KEY_FILE go together")
        if settings.tls_client_ca_file and not settings.tls_cert_file:
            raise InvalidSetting("WINNOW_TLS_CLIENT_CA_FILE needs WINNOW_TLS_CERT_FILE")
        if settings.tls_callers and not settings.tls_client_ca_file:
            raise InvalidSetting("WINNOW_TLS_CALLERS needs WINNOW_TLS_CLIENT_CA_FILE")
        return settings


@dataclass(frozen=True)
class Pem:
    """The contents of the files: a certificate with its key, and an authority; None for what is not set."""

    certificate: bytes | None
    key: bytes | None
    authority: bytes | None


class PemFiles:
    """Three files that may be replaced while they are in use; what is not whole is never taken."""

    def __init__(
        self, certificate: Path | None, key: Path | None, authority: Path | None, setting: str
    ) -> None:
        self._paths = (certificate, key, authority)
        self._authority_setting, self._told = setting, Repeats()
        self._stamp = self._stamps()
        self._pem = self._read()

    @property
    def pem(self) -> Pem:
        """What was last read."""
        return self._pem

    def refresh(self) -> bool:
        """Read the files again if they changed and are whole; tell whether there is something new."""
        try:
            stamp = self._stamps()
            if stamp == self._stamp:
                return False
            pem = self._read()
        except InvalidSetting as error:
            # Each call of another service looks.
            if self._told.is_news(str(error)):
                log.warning("certificates: kept the earlier ones: %s", error)
            return False
        self._stamp, changed = stamp, pem != self._pem
        self._pem = pem
        return changed

    def _stamps(self) -> tuple[object, ...]:
        try:
            found = [path.stat() if path else None for path in self._paths]
        except OSError as error:
            raise InvalidSetting(f"TLS: {error.filename}: {error.strerror}") from error
        return tuple((s.st_mtime_ns, s.st_size, s.st_ino) if s else None for s in found)

    def _read(self) -> Pem:
        certificate, key, authority = self._paths
        _check(certificate, key, authority, self._authority_setting)
        return Pem(*(path.read_bytes() if path else None for path in self._paths))


def _check(
    certificate: Path | None, key: Path | None, authority: Path | None, setting: str
) -> None:
    """Raise InvalidSetting unless the key is the certificate's and the authority is one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    names = "WINNOW_TLS_CERT_FILE, WINNOW_TLS_KEY_FILE"
    _load(context, certificate, key, authority, names, setting)


def client_context(
    authority: Path, certificate: Path | None, key: Path | None, *, setting: str
) -> ssl.SSLContext:
    """A context for a client of something else than gRPC; raises InvalidSetting that names the setting."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    own = setting.replace("_CA_", "_CERT_")
    _load(context, certificate, key, authority, own, setting)
    return context


def _load(
    context: ssl.SSLContext,
    certificate: Path | None,
    key: Path | None,
    authority: Path | None,
    own_setting: str,
    setting: str,
) -> None:
    if certificate and key:
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
        except (OSError, ValueError) as error:
            text = f"{own_setting}: {certificate}, {key}: {_why(error)}"
            raise InvalidSetting(text) from error
    if authority:
        try:
            context.load_verify_locations(authority)
        except OSError as error:
            raise InvalidSetting(f"{setting}: {authority}: {_why(error)}") from error


def _no_password() -> str:
    raise ValueError("the key asks for a password: keep it without one, readable by us alone")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return str(error.reason or "not PEM").lower().replace("_", " ")
    return str(getattr(error, "strerror", None) or error)


def server_credentials(settings: TlsSettings) -> grpc.ServerCredentials | None:
    """Credentials that follow the files at every handshake; None if no certificate is set."""
    if settings.tls_cert_file is None:
        return None
    authority = settings.tls_client_ca_file
    files = PemFiles(
        settings.tls_cert_file, settings.tls_key_file, authority, "WINNOW_TLS_CLIENT_CA_FILE"
    )
    return grpc.dynamic_ssl_server_credentials(
        _configuration(files.pem),
        lambda: _configuration(files.pem) if files.refresh() else None,  # type: ignore[arg-type, return-value]
        # The default takes callers without a certificate, and with any certificate at all.
        require_client_authentication=authority is not None,
    )


def _configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(pem.key or b"", pem.certificate or b"")], root_certificates=pem.authority
    )


def client_files(settings: TlsSettings) -> PemFiles | None:
    """The files for calling other services; None to call in plain text."""
    if settings.tls_ca_file is None:
        return None
    own = (settings.tls_cert_file, settings.tls_key_file)
    return PemFiles(*own, settings.tls_ca_file, "WINNOW_TLS_CA_FILE")


class Callers:
    """Which certificates may call which methods, by the names (DNS or URI) that they carry."""

    def __init__(self, rules: Mapping[str, frozenset[str]]) -> None:
        self._rules = rules

    @classmethod
    def parse(cls, text: str) -> "Callers":
        """Read `METHOD=NAME,NAME …`; METHOD is `package.Service/Method`, `package.Service` or `*`."""
        rules: dict[str, frozenset[str]] = {}
        for rule in text.split():
            what, _, names = rule.partition("=")
            if not names or not all(names.split(",")):
                raise InvalidSetting(f"WINNOW_TLS_CALLERS: {rule!r} is not METHOD=NAME,NAME")
            _check_exists(what)
            rules[what] = rules.get(what, frozenset()) | frozenset(names.split(","))
        return cls(rules)

    def check(self, method: str, identity: Mapping[str, Iterable[bytes]]) -> None:
        """Raise CallerNotAllowed unless the most specific rule for `/package.Service/Method` names the caller."""
        if self._rules and not self._allowed(method.lstrip("/")) & names_of(identity):
            raise CallerNotAllowed

    def _allowed(self, method: str) -> frozenset[str]:
        for key in (method, method.partition("/")[0], _ANY):
            if key in self._rules:
                return self._rules[key]
        return frozenset()


def names_of(identity: Mapping[str, Iterable[bytes]]) -> set[str]:
    """The names in a caller's certificate, as gRPC's auth context has them."""
    return {value.decode("utf-8", "replace") for name in _NAMES for value in identity.get(name, ())}


def _check_exists(what: str) -> None:
    """Raise InvalidSetting for a method that is not in the contract: a misspelt rule would close nothing."""
    if what == _ANY:
        return
    service, _, method = what.partition("/")
    try:
        package = service.rpartition(".")[0]
        module: Any = importlib.import_module(f"{package}.{package.split('.')[1]}_pb2")
        methods = module.DESCRIPTOR.services_by_name[service.rpartition(".")[2]].methods_by_name
    except (ImportError, IndexError, KeyError, ValueError) as error:
        raise InvalidSetting(f"WINNOW_TLS_CALLERS: there is no service {service}") from error
    if method and method not in methods:
        raise InvalidSetting(f"WINNOW_TLS_CALLERS: {service} has no method {method}")
