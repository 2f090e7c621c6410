"""`winnow keys`: the API keys of a deployment, managed with the owner's login to its database."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import click

from services.cli.embedded.paths import DataDirectory
from services.cli.embedded.postgres import owner_url
from services.cli.failures import UNREACHABLE, Failure
from services.cli.groups import Group
from services.cli.options import Session, command, owner_database, owner_setting
from services.cli.paging import listing
from services.cli.target import data_option
from services.cli.terminal import shown
from services.common.auth import SCOPES, WORKSPACE_SCOPES
from services.common.keys import WORKSPACE, create_key, list_keys, public_part, revoke_key

DAYS_MAX = 36_500
NAME_CHARACTERS_MAX = 200
_DATABASE = owner_database("by default that of `winnow up`")


@click.group(cls=Group)
def keys() -> None:
    """Make, list and revoke API keys."""


@keys.command("create")
@click.argument("name")
@click.option("--workspace", default=WORKSPACE, show_default=True, help="Made if it is new.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    help="Repeatable; all but `operate`, which changes what all workspaces share, by default.",
)
@click.option("--days", type=click.IntRange(1, DAYS_MAX), help="Expires after so many days.")
@_DATABASE
@command
async def keys_create(
    session: Session,
    name: str,
    workspace: str,
    scopes: tuple[str, ...],
    days: int | None,
    database_url: str | None,
) -> None:
    """Make a key called NAME and print it; it cannot be shown again."""
    for what, text in (("NAME", name), ("--workspace", workspace)):
        is_line = text.strip() and len(text.splitlines()) == 1 and shown(text) == text
        if not is_line or len(text) > NAME_CHARACTERS_MAX:
            raise click.UsageError(
                f"{what} must be one line of 1 to {NAME_CHARACTERS_MAX} characters, by which people know it"
            )
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    url = database_url or _embedded(session.data)
    key = await create_key(
        url, name, workspace, scopes or WORKSPACE_SCOPES, expires_at, owner_setting()
    )
    if session.as_json:
        session.print_json({"key": key.text, "prefix": key.prefix, "workspace": workspace})
    else:
        session.console.print(key.text)


@keys.command("list")
@_DATABASE
@command
async def keys_list(session: Session, database_url: str | None) -> None:
    """List keys without their secrets."""
    found = await list_keys(database_url or _embedded(session.data), owner_setting())
    if session.as_json:
        session.print_json([{n: _plain(v) for n, v in asdict(key).items()} for key in found])
        return
    columns = ("prefix", "workspace", "name", "scopes", "created", "expires", "revoked")
    table = listing(*columns, texts=("scopes",))
    for key in found:
        dates = (key.created_at, key.expires_at, key.revoked_at)
        dates_shown = [moment.strftime("%Y-%m-%d %H:%M") if moment else "" for moment in dates]
        table.add_entry(key.prefix, key.workspace, key.name, " ".join(key.scopes), *dates_shown)
    session.console.print(table)


@keys.command("revoke")
@click.argument("prefix")
@_DATABASE
@command
async def keys_revoke(session: Session, prefix: str, database_url: str | None) -> None:
    """Revoke the key that starts with wk_PREFIX; services refuse it within ten seconds."""
    public = public_part(prefix)
    await revoke_key(database_url or _embedded(session.data), public, owner_setting())
    if session.as_json:
        session.print_json({"revoked": public})
    else:
        session.console.print(f"revoked {public}")


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def _embedded(data: DataDirectory) -> str:
    """The owner's login to the database of a running `winnow up`."""
    state = data.runtime_state()
    if state is None:
        raise Failure(
            f"nothing runs on {data.path}: start it with `winnow up{data_option(data)}`, or pass --database-url",
            UNREACHABLE,
        )
    return owner_url(data, state.ports)
