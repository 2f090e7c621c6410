"""`winnow doctor`: checks what Winnow needs, one line each, and says how to mend what is wrong."""

import json
import os
import platform
import shutil
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click
import grpc
from rich.markup import escape

from services.cli.failures import UNREACHABLE, Failure, explained
from services.cli.health import is_serving
from services.cli.modelling import ModelChoice
from services.cli.options import Session, command
from services.cli.status import read_status
from services.cli.target import data_option, find
from services.cli.threads import in_thread
from services.cli.top import MUST_BE_ZERO
from services.cli.values import counted
from services.common.addresses import NAMES
from services.common.channels import dial
from services.common.errors import WinnowError
from services.common.llama import EmbeddingModel, SelfTest
from services.common.migrations import release
from services.common.models import ModelStore
from services.common.models.errors import ModelMissing, WrongHash
from services.common.openai import OpenAIModel, ProviderSettings
from services.common.stages import READERS
from winnow.pipeline.v1 import pipeline_pb2 as pb

DISK_BYTES_MIN = 1 << 30
LATE_SECONDS = 300  # as the alert WinnowWorkIsLate has it


@dataclass(frozen=True)
class Finding:
    """One check: its name, whether it passes, and what was found; `warning` tells that all is not well for all that."""

    check: str
    ok: bool
    detail: str
    warning: bool = False


Check = Callable[[Session], Awaitable[list[Finding]]]


def doctor_with(*further: Check) -> click.Command:
    """`winnow doctor` with the checks that the services know of besides its own."""

    @click.command("doctor")
    @command
    async def doctor(session: Session) -> None:
        """Check this machine, the models and the running services.

        What is bad ends it with 1. A warning is what is not as one would wish and yet no fault: vectors that are still
        being made, a language model that is not good enough to be asked.
        """
        await _examine(session, [_machine, _models, *further, _services])

    return doctor


async def _examine(session: Session, checks: Sequence[Check]) -> None:
    findings = [finding for check in checks for finding in await check(session)]
    if session.as_json:
        session.print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            session.console.print(f"{_mark(finding)} {finding.check}: {escape(finding.detail)}")
    bad = [finding.check for finding in findings if not finding.ok]
    if bad:
        raise Failure(f"not well: {', '.join(bad)}")


def _mark(finding: Finding) -> str:
    if not finding.ok:
        return "[red]bad[/red] "
    return "[yellow]warn[/yellow]" if finding.warning else "[green]ok[/green]  "


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
            model = await in_thread(partial(store.resolve, name, role, verify=True))
            findings.append(
                Finding(f"model for {role}", True, f"{model.name}, sha256 {model.digest[:16]}…")
            )
        except WinnowError as error:
            is_to_fetch = isinstance(error, ModelMissing | WrongHash)
            advice = ": run `winnow models fetch`" if is_to_fetch else ""
            findings.append(lacking(f"model for {role}", error, advice))
            continue
        if role == "embedding":
            findings.append(await _self_test(model.path))
    return findings + await provider_findings()


def lacking(check: str, error: WinnowError, advice: str = "") -> Finding:
    """A model that cannot be used: bad, but for one that is not here while the services are said to run elsewhere."""
    places = {f"WINNOW_{name.upper()}_ADDRESS" for name in NAMES}
    if isinstance(error, ModelMissing) and places <= os.environ.keys():
        told = f"{error}: only where the services run it is needed"
        return Finding(check, True, told, warning=True)
    return Finding(check, False, f"{error}{advice}")


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
        with explained():
            target = find(session.data)
    except Failure as failure:
        if failure.exit_code != UNREACHABLE:
            return [Finding("services", False, failure.message)]
        told = (
            f"none run on {session.data.path}: `winnow up{data_option(session.data)}` starts them"
        )
        return [Finding("services", True, told, warning=True)]
    findings = [
        Finding(name, False, f"where it runs is not said: set WINNOW_{name.upper()}_ADDRESS")
        if name in target.unplaced
        else await _health(name, target.addresses[name])
        for name in NAMES
    ]
    if all(finding.ok for finding in findings):
        findings.append(await _pipeline(session))
    return findings + _outdated(session)


def _outdated(session: Session) -> list[Finding]:
    """That a release was installed since `winnow up` was started, which runs as it was until then."""
    state = session.data.runtime_state()
    if state is None or state.release in ("", release()):
        return []
    told = f"`winnow up` runs {state.release}, and {release()} is installed: stop it and start it again"
    return [Finding("release", True, told, warning=True)]


async def _pipeline(session: Session) -> Finding:
    """What the services say of their work, or why they do not: what else was found must be told all the same."""
    try:
        with explained():
            return pipeline_finding(await read_status(session))
    except Failure as failure:
        return Finding("pipeline", False, failure.message)


def pipeline_finding(status: pb.GetStatusResponse) -> Finding:
    """Whether the figures that are 0 at rest are 0, and what to do where they are not."""
    told = f"{counted(status.vectors_missing, 'vector')} missing, {counted(status.tasks_dead, 'dead task')}"
    wrong = [name for name in MUST_BE_ZERO if getattr(status, name)]
    if status.tasks_dead:
        told += "; `winnow dead list` says why, `winnow dead replay` tries them again"
    if status.vectors_missing:
        waiting = sum(each.ready + each.leased for each in status.stages if each.stage == "embed")
        told += (
            f"; {counted(waiting, 'task')} of the embedder to do, `winnow top` shows how it gets on"
            if waiting
            else "; nothing is under way, `winnow backfill` makes them"
        )
    late = [each for each in status.stages if each.oldest_task_age_seconds > LATE_SECONDS]
    for each in late:
        told += (
            f"; the oldest task of the stage {each.stage} waits for {each.oldest_task_age_seconds:,.0f} s: "
            f"there is much to do, or the log of {READERS.get(each.stage, 'its service')} says what is away"
        )
    for name in wrong:
        if name not in ("tasks_dead", "vectors_missing"):
            told += f"; {name.replace('_', ' ')}: {getattr(status, name):,}, which should pass by itself"
    return Finding("pipeline", status.tasks_dead == 0, told, warning=bool(wrong or late))


async def _health(name: str, address: str) -> Finding:
    async with dial(address) as channel:
        try:
            serving = await is_serving(channel)
        except grpc.aio.AioRpcError as error:
            return Finding(name, False, f"{address}: {error.code().name.lower()}")
    return Finding(name, serving, f"{address}: {'serving' if serving else 'not serving'}")
