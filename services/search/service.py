"""Opens search: pools that only read, and a channel to the embedder."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import protovalidate
from pydantic import Field

from services.common.addresses import AddressSettings
from services.common.database import Database, DatabaseSettings
from services.common.errors import InvalidSetting
from services.common.openai import OpenAIModel, ProviderSettings
from services.common.pipeline import pipeline_servicer
from services.common.service import Service, Servicer
from services.common.settings import Settings
from services.common.vectors import INDEX_SETTINGS
from services.search.copies import Copies
from services.search.query_vectors import QueryVectors
from services.search.reads import Reads, open_replica
from services.search.recall import RecallProbe
from services.search.reranking import GradingReranker, Reranker
from services.search.rpc import SCOPES, SearchRpc
from services.search.searcher import Searcher
from winnow.search.v1.search_pb2_grpc import add_SearchServiceServicer_to_server


class SearchSettings(Settings):
    """How long search waits for others, how often it checks its index, and what orders results anew."""

    search_embed_deadline_seconds: float = Field(default=5, gt=0, le=60)
    search_recall_sample_seconds: float = Field(
        default=60, ge=0, description="repeat one search in so many exactly; 0 never"
    )
    search_memory_mb: int = Field(
        default=256,
        ge=0,
        description="for vectors in search's memory, 0.5 kB each; what does not fit is found by the index",
    )
    search_rerank: Literal["off", "provider"] = "off"
    generation_model: str = ""


@asynccontextmanager
async def open_service() -> AsyncIterator[Service]:
    """Open the database, its replica if one is set, and the channel; neither replica nor embedder need be up."""
    settings, address = SearchSettings.read(), AddressSettings.read().embedder_address
    deadline, reranker = settings.search_embed_deadline_seconds, open_reranker(settings)
    where = DatabaseSettings.read()
    async with (
        Database.open(
            where, "winnow_search", server_settings=INDEX_SETTINGS, leaves_nothing=True
        ) as database,
        open_replica(database, where, INDEX_SETTINGS) as replica,
        QueryVectors.open(address, deadline) as vectors,
    ):
        probe = RecallProbe(database, settings.search_recall_sample_seconds)
        reads = Reads(database, replica)
        copies = Copies(database, settings.search_memory_mb * 2**20)
        searcher = Searcher(reads, vectors, reranker=reranker, probe=probe, copies=copies)
        loops = [
            searcher.freshness.run,
            searcher.roster.run,
            searcher.common_words.run,
            probe.run,
            copies.run,
            *((replica.watch,) if replica else ()),
        ]
        # What it has learnt of a type of message once serves the edge and the requests of a batch.
        validator = protovalidate.Validator()
        servicer = Servicer(
            "winnow.search.v1.SearchService",
            add_SearchServiceServicer_to_server,
            SearchRpc(searcher, validator),
            SCOPES,
        )
        servicers = [servicer, pipeline_servicer(database)]
        yield Service("search", database, servicers, (), loops, validator)


def open_reranker(settings: SearchSettings) -> Reranker | None:
    """Reach for the model that orders results anew, if one is set."""
    if settings.search_rerank == "off":
        return None
    provider = ProviderSettings.read()
    if not provider.generation_url:
        raise InvalidSetting("WINNOW_GENERATION_URL: WINNOW_SEARCH_RERANK=provider needs one")
    if not settings.generation_model:
        raise InvalidSetting("WINNOW_GENERATION_MODEL: name the model behind the URL")
    return GradingReranker(OpenAIModel.open(provider, settings.generation_model))
