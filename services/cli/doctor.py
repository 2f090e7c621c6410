"""`winnow doctor`: checks what Winnow needs, one line each, and says how to mend what is wrong."""

import asyncio
import json
import platform
import shutil
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import grpc
from rich.markup import escape

from services.cli.failures import Failure
from services.cli.health import is_serving
from services.cli.modelling import ModelChoice
from services.cli.options import Session, command
from services.cli.status import read_status
from services.cli.target import find
from services.cli.values import counted
from services.common.addresses import NAMES
from services.common.channels import dial
from services.common.errors import WinnowError
from services.common.llama import EmbeddingModel, SelfTest
from services.common.models import ModelStore
from services.common.openai import OpenAIModel, ProviderSettings

DISK_BYTES_MIN = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One check: its name, whether it is well, and what was found."""

    check: str
    ok: bool
    detail: str


Check = Callable[[Session], Awaitable[list[Finding]]]


def doctor_with(*further: Check) -> click.Command:
    """`winnow doctor` with the checks that the services know of besides its own."""

    @click.command("doctor")
    @command
    async def doctor(session: Session) -> None:
        """Check this machine, the models and the running services."""
        await _examine(session, [_machine, _models, *further, _services])

    return doctor


async def _examine(session: Session, checks: Sequence[Check]) -> None:
    findings = [finding for check in checks for finding in await check(session)]
    if session.as_json:
        session.print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = "[green]ok[/green]  " if finding.ok else "[red]bad[/red] "
            session.console.print(f"{mark} {finding.check}: {escape(finding.detail)}")
    bad = [finding.check for finding in findings if not finding.ok]
    if bad:
        raise Failure(f"not well: {', '.join(bad)}")


async def _machine(session: Session) -> list[Finding]:
    version = platform.python_version()
    folder = session.data.path
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    return [
        Finding("python", sys.version_info >= (3, 11), version),
        Finding("disk", free >= DISK_BYTES_MIN, f"{free >> 20} MiB free for {session.data.path}"),
    ]


async def _models(session: Session) -> list[Finding]:
    store, findings = ModelStore.open(), []
    for name, role in ModelChoice.read().wanted():
        try:
            model = await asyncio.to_thread(store.resolve, name, role, verify=True)
            findings.append(
                Finding(f"model for {role}", True, f"{model.name}, sha256 {model.digest[:16]}…")
            )
        except WinnowError as error:
            findings.append(
                Finding(f"model for {role}", False, f"{error}: run `winnow models fetch`")
            )
            continue
        if role == "embedding":
            findings.append(await _self_test(model.path))
    return findings + await provider_findings()


async def provider_findings() -> list[Finding]:
    """Ask the model behind a URL, if one is set, for a constrained answer."""
    settings = ProviderSettings.read()
    if not settings.generation_url:
        return []
    name = ModelChoice.read().generation_model
    try:
        model = OpenAIModel.open(settings, name)
        schema = {
            "type": "object",
            "properties": {"answer": {"type": "string", "enum": ["yes", "no"]}},
            "required": ["answer"],
            "additionalProperties": False,
        }
        chat = [{"role": "user", "content": "Is water wet? Answer in JSON."}]
        completion = await model.complete(chat, schema, 32)
        said = json.loads(completion.text)
    except WinnowError as error:
        return [Finding("provider", False, str(error))]
    except ValueError:
        return [Finding("provider", False, f"{name} does not hold to a JSON schema")]
    ok = isinstance(said, dict) and said.get("answer") in ("yes", "no")
    detail = f"{name} answers, {counted(completion.tokens_in, 'token')} read"
    return [Finding("provider", ok, detail if ok else f"{name} does not hold to a JSON schema")]


def said(measured: SelfTest) -> str:
    """What the self-test of an embedding model measured, for a person."""
    return f"{measured.dimensions} dimensions, batched equals single to {measured.cosine:.5f}"


async def _self_test(path: Path) -> Finding:
    try:
        model = EmbeddingModel.open(path)
    except WinnowError as error:
        return Finding("embedding", False, str(error))
    try:
        result = await model.self_test()
        return Finding("embedding", True, said(result))
    except WinnowError as error:
        return Finding("embedding", False, str(error))
    finally:
        model.close()


async def _services(session: Session) -> list[Finding]:
    try:
        target = find(session.data)
    except Failure:
        return [Finding("services", True, f"none run on {session.data.path}")]
    findings = [await _health(name, target.addresses[name]) for name in NAMES]
    if all(finding.ok for finding in findings):
        status = await read_status(session)
        text = f"{counted(status.vectors_missing, 'vector')} missing, {counted(status.tasks_dead, 'dead task')}"
        findings.append(Finding("pipeline", status.tasks_dead == 0, text))
    return findings


async def _health(name: str, address: str) -> Finding:
    async with dial(address) as channel:
        try:
            serving = await is_serving(channel)
        except grpc.aio.AioRpcError as error:
            return Finding(name, False, f"{address}: {error.code().name.lower()}")
    return Finding(name, serving, f"{address}: {'serving' if serving else 'not serving'}")
