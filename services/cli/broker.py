"""`winnow broker`: the users that a NATS server of your own needs, with the rights of each service and no more."""

from pathlib import Path

import click

from services.cli.embedded.files import write_private
from services.cli.groups import Group
from services.cli.options import Session, command
from services.cli.values import Place
from services.common.bus_access import SERVICES, permissions, users
from services.common.errors import WinnowError
from services.common.seeds import new_seed, public_key


@click.group(cls=Group)
def broker() -> None:
    """Prepare a NATS server of your own."""


@broker.command("users")
@click.argument("seeds", type=Place(path_type=Path, file_okay=False))
@command
async def broker_users(session: Session, seeds: Path) -> None:
    """Make a key for each service in SEEDS/NAME.nkey, and print the users for the server's configuration.

    The folder is made if need be; a key that is there already is kept. The server is told the public halves alone; each
    service gets its own file as WINNOW_NATS_NKEY_FILE.
    """
    keys = {service: _public_key(seeds / f"{service}.nkey") for service in SERVICES}
    if session.as_json:
        rights = {service: permissions(service) for service in SERVICES}
        session.print_json(
            {
                service: {
                    "nkey": keys[service],
                    "publish": rights[service].publish,
                    "subscribe": rights[service].subscribe,
                }
                for service in SERVICES
            }
        )
        return
    lines = [
        f"    # {service}\n    {user}" for service, user in zip(SERVICES, users(keys), strict=True)
    ]
    click.echo("authorization {\n  users: [\n" + "\n".join(lines) + "\n  ]\n}")


def _public_key(path: Path) -> str:
    """The public half of the key in a file, made if it is not there."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, new_seed() + "\n")
    try:
        return public_key(path.read_text("utf-8", "replace").strip())
    except WinnowError as error:
        raise WinnowError(f"{path}: {error}") from error
