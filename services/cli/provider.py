"""`winnow provider`: what reads conversations, and how it does."""

import click

from services.cli.options import Session, command
from services.cli.values import counted, moment, word
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub


@click.command()
@command
async def provider(session: Session) -> None:
    """Show which engine and model read conversations, whether the model answers, and what was spent today."""
    response = await session.call("extractor", ExtractorServiceStub, pb.GetProviderStatusRequest())
    if session.as_json:
        session.print_message(response)
        return
    for line in lines(response):
        session.console.print(line, highlight=False, markup=False, soft_wrap=True)


def lines(status: pb.GetProviderStatusResponse) -> list[str]:
    """What a person wants to know, a line each."""
    return [
        f"engine    {status.engine} ({status.engine_version})",
        f"model     {_model(status)}",
        f"measured  {_measured(status)}",
        f"breaker   {_breaker(status)}",
        f"today     {_spent(status)}",
    ]


def _model(status: pb.GetProviderStatusResponse) -> str:
    trusted = word(pb.Capability, status.capability)
    if status.model:
        return f"{status.model} by {status.provider}, trusted with {trusted}"
    is_distrusted = status.engine == "combined" and status.HasField("aptitude")
    return "none is called" + (
        f": the one that is set is trusted with {trusted}" if is_distrusted else ""
    )


def _measured(status: pb.GetProviderStatusResponse) -> str:
    if not status.HasField("aptitude"):
        return "not yet: run `winnow doctor`"
    found = status.aptitude
    return (
        f"tells chatter from knowledge {found.tells:.2f} (a coin: 0.50), {found.headlines:.0%} of headlines usable, "
        f"{found.invalid:.0%} invalid, {found.tokens_per_second:g} tokens/s"
    )


def _breaker(status: pb.GetProviderStatusResponse) -> str:
    is_open = status.breaker_state == pb.BREAKER_STATE_OPEN
    state = f"open, tried again in {status.retry_seconds:.0f} s" if is_open else "closed"
    if not status.HasField("last_error_at"):
        return f"{state}, no error since the start"
    failures = counted(status.failures, "failure")
    return f"{state}, {failures} in a row; last {moment(status.last_error_at)}: {status.last_error}"


def _spent(status: pb.GetProviderStatusResponse) -> str:
    bound = f" of {status.tokens_per_day:,}" if status.tokens_per_day else ""
    total = status.tokens_in_today + status.tokens_out_today
    return (
        f"{total:,}{bound} tokens ({status.tokens_in_today:,} in, {status.tokens_out_today:,} out) in "
        f"{counted(status.model_calls_today, 'call')}; "
        f"{counted(status.runs_failed_today, 'reading')} had no usable answer"
    )
