"""`winnow bot telegram`: receives the messages of the chats that a bot is in, until Ctrl-C."""

import asyncio
import re
import signal
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click
from click.core import ParameterSource
from pydantic import Field, SecretStr

from services.cli.embedded.runtime import cancelled_by
from services.cli.groups import Group
from services.cli.options import Session, command
from services.cli.telegram_bot.api import UPDATE_KINDS, BotApi
from services.cli.telegram_bot.delivery import Delivery
from services.cli.telegram_bot.meters import BotMeters
from services.cli.telegram_bot.polling import Poller, patiently
from services.cli.telegram_bot.receiving import Receiver
from services.cli.telegram_bot.webhook import CONNECTIONS_MAX, Webhook
from services.cli.terminal import shown
from services.cli.values import TELEGRAM_ACCOUNT
from services.common.errors import InvalidSetting
from services.common.metrics import serving_metrics
from services.common.settings import Settings
from services.common.signals import stop_signals

_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_PATH = re.compile(r"/[A-Za-z0-9._~/-]{0,255}")
_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_OF_WEBHOOK = ("listen", "path", "secret_file", "public_url")


class TelegramSettings(Settings):
    """How Telegram is reached; the API may be a server of one's own."""

    telegram_token: SecretStr = SecretStr("")
    telegram_api: str = "https://api.telegram.org"
    telegram_poll_seconds: int = Field(default=50, ge=0, le=300)
    telegram_webhook_secret: SecretStr = SecretStr("")


@click.group("bot", cls=Group)
def bot_group() -> None:
    """Receive messages as they are written."""


@bot_group.command("telegram")
@click.option("--token-file", type=_FILE, help="Holds the bot's token (or WINNOW_TELEGRAM_TOKEN).")
@click.option(
    "--webhook", is_flag=True, help="Let Telegram push updates, rather than poll for them."
)
@click.option(
    "--listen",
    default="127.0.0.1:8080",
    metavar="HOST:PORT",
    show_default=True,
    help="Where the webhook listens.",
)
@click.option(
    "--path",
    default="/telegram",
    metavar="/PATH",
    show_default=True,
    help="The path of the webhook there.",
)
@click.option(
    "--secret-file",
    type=_FILE,
    help="Holds the secret that Telegram shows at the webhook (or WINNOW_TELEGRAM_WEBHOOK_SECRET).",
)
@click.option(
    "--account",
    type=TELEGRAM_ACCOUNT,
    default="",
    help="A name of your choice that tells this bot's private chats and basic groups from another's.",
)
@click.option(
    "--chat",
    "chats",
    type=int,
    multiple=True,
    metavar="ID",
    help="Only of this chat, such as -1001234567890; repeatable. Others are named once, with their ids.",
)
@click.option(
    "--drop-webhook",
    is_flag=True,
    help="Poll although a webhook is set, such as by an earlier --public-url: it is taken off.",
)
@click.option(
    "--metrics",
    default="",
    metavar="HOST:PORT",
    help="Let Prometheus read there what was received, and when.",
)
@click.option("--public-url", help="Tell Telegram to push here: the https address of the webhook.")
@command
async def telegram(
    session: Session,
    token_file: Path | None,
    webhook: bool,
    listen: str,
    path: str,
    secret_file: Path | None,
    account: str,
    chats: tuple[int, ...],
    drop_webhook: bool,
    metrics: str,
    public_url: str | None,
) -> None:
    """Receive what is written in the chats that a bot is in: messages, edits and channel posts.

    Anybody may write to a bot or add it to a group, and is read like the team: --chat takes only what is written in
    the chats that it names.

    Without --webhook it polls, which needs no public address. A webhook listens for plain HTTP behind a proxy that
    ends TLS. To see every message of a group, switch off the bot's privacy mode or make it an administrator.

    Telegram numbers the messages of private chats and basic groups for each bot anew: beside another bot, or an
    export of such a chat, give --account. A group that becomes a supergroup goes on under its new id, with all that
    is known of it.
    """
    if webhook and drop_webhook:
        raise click.BadParameter("is for polling", param_hint="'--drop-webhook'")
    if not webhook:
        _refuse_webhook_options()
    if metrics:
        _address(metrics, "--metrics")
    settings = TelegramSettings.read()
    token = _secret(token_file, settings.telegram_token)
    with cancelled_by(signal.SIGINT, *stop_signals()):
        target = session.target
        async with target.channel("ingest") as channel:
            receiver = Receiver(Delivery(channel, target), _tell, account, list(map(str, chats)))
            try:
                with serving_metrics(metrics, BotMeters.of(receiver), "--metrics"):
                    if webhook:
                        api = BotApi(settings.telegram_api, token) if public_url else None
                        secret = _secret(secret_file, settings.telegram_webhook_secret)
                        await _serve(receiver, listen, path, secret, api, public_url)
                    else:
                        await _poll(receiver, settings, token, drop_webhook)
            except asyncio.CancelledError:
                _report(session, receiver)


def _refuse_webhook_options() -> None:
    """Raise BadParameter for an option that polling has no use for: who gives it waits for what will not come."""
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if given and parameter.name in _OF_WEBHOOK:
            raise click.BadParameter("needs --webhook", context, parameter)


async def _poll(
    receiver: Receiver, settings: TelegramSettings, token: str, drop_webhook: bool
) -> None:
    if not token:
        raise InvalidSetting("WINNOW_TELEGRAM_TOKEN: set it, or give --token-file")
    api = BotApi(settings.telegram_api, token)
    if drop_webhook:
        await patiently(partial(api.call, "deleteWebhook"), _tell)
    await Poller(api, receiver, settings.telegram_poll_seconds, _tell).run()


async def _serve(
    receiver: Receiver,
    listen: str,
    path: str,
    secret: str,
    api: BotApi | None,
    public_url: str | None,
) -> None:
    host, port = _address(listen)
    if not _PATH.fullmatch(path):
        raise click.BadParameter(f"{path!r} is no path", param_hint="--path")
    if not _SECRET.fullmatch(secret):
        raise InvalidSetting(
            "WINNOW_TELEGRAM_WEBHOOK_SECRET: must be 1 to 256 letters, digits, _ or -, as Telegram allows"
        )
    async with Webhook(receiver, path, secret, _tell).listening(host, port) as chosen:
        _tell(f"listening on http://{host}:{chosen}{path}")
        if api is not None:
            announce = partial(
                api.call,
                "setWebhook",
                url=public_url,
                secret_token=secret,
                allowed_updates=UPDATE_KINDS,
                max_connections=min(CONNECTIONS_MAX, 40),
            )
            await patiently(announce, _tell)
        await asyncio.get_running_loop().create_future()


def _address(listen: str, option: str = "--listen") -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter(f"{listen!r} is not HOST:PORT", param_hint=option)
    return host.strip("[]"), int(port)


def _secret(file: Path | None, setting: SecretStr) -> str:
    """A secret from its file, else from the environment; never from the command line, which others can see."""
    if file is None:
        return setting.get_secret_value()
    try:
        return file.read_text("utf-8").strip()
    except UnicodeDecodeError:
        raise InvalidSetting(f"{file}: holds no secret: it is not text in UTF-8") from None


def _tell(line: str) -> None:
    click.echo(f"winnow: {shown(line)}", err=True)


def _report(session: Session, receiver: Receiver) -> None:
    if session.as_json:
        session.print_json(asdict(receiver.tally))
    else:
        _tell(f"stopped after {receiver.tally}")
