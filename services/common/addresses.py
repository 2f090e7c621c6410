"""Where the services listen and where clients find them."""

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
