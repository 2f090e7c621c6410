"""What a cluster calls: `winnow run` and `winnow migrate`."""

import importlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import uvloop

from services.cli.failures import FAILED, Failure, explained
from services.cli.options import owner_database, owner_setting
from services.common.addresses import NAMES, AddressSettings
from services.common.bootstrap import SHARED_LOGIN, login_of, open_logins
from services.common.errors import InvalidSetting
from services.common.failpoints import FailpointSettings, arm
from services.common.metrics import MetricsSettings, serving_metrics
from services.common.migrations import migrate as apply_migrations
from services.common.service import run as run_services
from services.common.settings import read_all, refuse_unknown
from services.common.telemetry import LogSettings, start_logging
from services.common.tracing import TraceSettings, tracing
from services.ingest import compiled

log = logging.getLogger(__name__)


@contextmanager
def _logged() -> Iterator[None]:
    """Log what ends the process as everything else, for the program that reads the log; the exit code is the same."""
    try:
        with explained():
            yield
    except Failure as failure:
        log.error("%s", failure.message)  # noqa: TRY400 - it is explained
        raise SystemExit(failure.exit_code) from None
    except Exception:
        log.exception("ended by a defect")
        raise SystemExit(FAILED) from None


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--check", is_flag=True, help="Only read the settings, and say if one is wrong.")
def run(names: tuple[str, ...], check: bool) -> None:
    """Run services by name in the foreground, or all of them; settings come from WINNOW_* variables."""
    names = names or NAMES
    if check:
        with explained():
            _check(names)
        return
    with explained():
        settings = LogSettings.read()
        start_logging(settings)
    with _logged() if settings.log_format == "json" else explained():
        refuse_unknown()
        arm(FailpointSettings.read(), AddressSettings.read())
        if "ingest" in names:
            compiled.use()
        openers = {name: module.open_service for name, module in _modules(names).items()}
        with (
            serving_metrics(MetricsSettings.read().metrics_address),
            tracing(TraceSettings.read(), "-".join(openers)),
        ):
            uvloop.run(run_services(openers))


def _modules(names: Sequence[str]) -> dict[str, Any]:
    return {name: importlib.import_module(f"services.{name}.service") for name in names}


def _check(names: Sequence[str]) -> None:
    """Read every setting of the services. Raises InvalidSetting for the first that is wrong."""
    refuse_unknown()
    _modules(names)
    read_all()
    arm(FailpointSettings.read(), AddressSettings.read())


@click.command()
@owner_database("it must be allowed to create roles and extensions", required=True)
@click.option(
    "--app-password-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Let the services log in as winnow_app, with the password in this file.",
)
@click.option(
    "--passwords-dir",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Let each service log in as winnow_NAME_app, with the password in DIRECTORY/NAME.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def migrate(
    database_url: str, app_password_file: Path | None, passwords_dir: Path | None, as_json: bool
) -> None:
    """Bring a database to the schema of this release."""
    with explained():
        refuse_unknown()
        applied = uvloop.run(
            apply_migrations(database_url, setting=owner_setting(), tell=_tell_schema)
        )
        files = {SHARED_LOGIN: app_password_file} if app_password_file else {}
        if passwords_dir:
            files |= {login_of(name): passwords_dir / name for name in NAMES}
        if files:
            uvloop.run(open_logins(database_url, _read_passwords(files), owner_setting()))
    if as_json:
        click.echo(
            json.dumps({"applied": [{"version": m.version, "name": m.name} for m in applied]})
        )
        return
    for migration in applied:
        click.echo(f"applied {migration.version:04} {migration.name}")
    if not applied:
        click.echo("nothing to apply")


def _tell_schema(known: int, wanted: int) -> None:
    if known < wanted:
        click.echo(f"migrating from {known:04} to {wanted:04}", err=True)
    else:
        newer = f"a newer release migrated the database ({known:04}; this one has {wanted:04})"
        click.echo(newer, err=True)


def _read_passwords(files: Mapping[str, Path]) -> dict[str, str]:
    """The first line of each file."""
    passwords = {}
    for login, path in files.items():
        try:
            passwords[login] = path.read_text("utf-8").strip()
        except OSError as error:
            raise InvalidSetting(f"{path}: {error.strerror}") from None
        if not passwords[login]:
            raise InvalidSetting(f"{path}: holds no password")
    return passwords
