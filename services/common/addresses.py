"""Where the services listen and where clients find them."""

import ipaddress
from urllib.parse import urlsplit

from services.common.settings import Address, Settings

NAMES = ("ingest", "extractor", "embedder", "search")


class AddressSettings(Settings):
    """One address a service, `host:port`."""

    ingest_address: Address = "127.0.0.1:15051"
    extractor_address: Address = "127.0.0.1:15052"
    embedder_address: Address = "127.0.0.1:15053"
    search_address: Address = "127.0.0.1:15054"

    def of(self, name: str) -> str:
        """The address of a service by its name."""
        return str(getattr(self, f"{name}_address"))


def is_on_this_machine(host: str) -> bool:
    """Whether a host, by its name or its number, is the machine itself, to which no proxy is a way."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().removesuffix(".") == "localhost"


def is_web_address(text: str) -> bool:
    """Whether a text is an http:// or https:// address."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def host_of(address: str) -> str:
    """The host of `host:port`, or of a target of gRPC such as `dns:///host:port`."""
    return (
        address.rpartition("/")[2]
        .rpartition(":")[0]
        .removeprefix("ipv4:")
        .removeprefix("ipv6:")
        .strip("[]")
    )
