"""Opens search: a pool that only reads, and a channel to the embedder."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import Field

from services.common.addresses import AddressSettings
from services.common.database import Database, DatabaseSettings
from services.common.pipeline import pipeline_servicer
from services.common.service import Service, Servicer
from services.common.settings import Settings
from services.common.vectors import INDEX_SETTINGS
from services.search.query_vectors import QueryVectors
from services.search.rpc import SCOPES, SearchRpc
from services.search.searcher import Searcher
from winnow.search.v1.search_pb2_grpc import add_SearchServiceServicer_to_server


class SearchSettings(Settings):
    """How long search waits for others."""

    search_embed_deadline_seconds: float = Field(default=5, gt=0, le=60)


@asynccontextmanager
async def open_service() -> AsyncIterator[Service]:
    """Open the database and the channel; the embedder need not be up."""
    settings, address = SearchSettings.read(), AddressSettings.read().embedder_address
    deadline = settings.search_embed_deadline_seconds
    async with (
        Database.open(
            DatabaseSettings.read(), "winnow_search", server_settings=INDEX_SETTINGS
        ) as database,
        QueryVectors.open(address, deadline) as vectors,
    ):
        servicer = Servicer(
            "winnow.search.v1.SearchService",
            add_SearchServiceServicer_to_server,
            SearchRpc(Searcher(database, vectors)),
            SCOPES,
        )
        yield Service("search", database, [servicer, pipeline_servicer(database)])
