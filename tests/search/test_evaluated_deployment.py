"""Judged messages through the services as they are, with a model without meaning."""

from pathlib import Path

from services.common.service import serving
from services.common.testing import FakeEncoder
from services.embedder.service import open_service
from services.search import evaluation
from services.search.evaluated_deployment import EvaluatedDeployment
from tests.conftest import Deployment
from tests.embedder.conftest import fake_models
from tests.search.test_evaluation import MESSAGES, QUERIES, write


async def test_judged_messages_go_through_the_whole_product(
    deployment: Deployment, tmp_path: Path
) -> None:
    """Messages must be ingested, embedded and found in their own chat alone, by every mode."""
    write(tmp_path, "x.messages.jsonl", MESSAGES)
    write(tmp_path, "x.queries.jsonl", QUERIES)
    async with (
        open_service(fake_models(FakeEncoder(8))) as embedder,
        serving(embedder),
        deployment.serving("ingest") as ingest,
        deployment.serving("search") as search,
    ):
        evaluated = EvaluatedDeployment(ingest, search, deployment.metadata)
        figures = await evaluation.evaluate(evaluation.read_collections(tmp_path), evaluated.load)
    english = figures["by_language"]["en"]
    assert english["keyword_mrr"] == 1
    assert english["hybrid_recall_at_10"] == english["hybrid_by_rank_recall_at_10"] == 1
    assert figures["semantic_recall_at_10"] == 1
