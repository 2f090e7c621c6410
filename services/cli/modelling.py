"""`winnow models`: which models there are, and bringing them here."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from services.cli.groups import Group
from services.cli.options import Session, command
from services.cli.paging import listing
from services.common.models import ModelStore, ResolvedModel
from services.common.settings import Settings

Role = Literal["embedding", "generation"]


class ModelChoice(Settings):
    """Which models the services use: a name of the registry or the path of a GGUF file."""

    embedding_model: str = "multilingual-e5-small"
    generation_model: str = "smollm2-135m-instruct"
    generation_url: str = ""

    def wanted(self) -> list[tuple[str, Role]]:
        """The models of this machine with their roles; what is behind a URL is none of them."""
        wanted: list[tuple[str, Role]] = []
        if not self.embedding_model.startswith("openai:"):
            wanted.append((self.embedding_model, "embedding"))
        if not self.generation_url:
            wanted.append((self.generation_model, "generation"))
        return wanted


@contextmanager
def shown(console: Console, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show the stages of fetching a model as progress bars."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(
        *columns, console=console, disable=quiet or not console.is_terminal, transient=True
    ) as bar:
        stages: dict[str, object] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = bar.add_task(stage, total=total or None)
            bar.update(stages[stage], completed=done, total=total or None)  # type: ignore[arg-type]

        yield report


def fetch_wanted(console: Console, quiet: bool) -> list[ResolvedModel]:
    """Bring the models that the services use here, if they are missing."""
    store = ModelStore.open()
    found = []
    for name, role in ModelChoice.read().wanted():
        with shown(console, quiet) as report:
            found.append(store.fetch(name, role, report))
    return found


@click.group(cls=Group)
def models() -> None:
    """List models, fetch them, check them."""


@models.command("list")
@command
async def models_list(session: Session) -> None:
    """List the models of the registry and whether they are here."""
    store = ModelStore.open()
    rows = [
        {
            "name": entry.name,
            "role": entry.role,
            "fetched": store.has(entry.name),
            "dimensions": entry.dimensions,
            "licence": entry.licence,
        }
        for entry in store.registry.entries
    ]
    if session.as_json:
        session.print_json(rows)
        return
    table = listing("model", "role", "here", "dimensions", "licence")
    for row in rows:
        here = "yes" if row["fetched"] else "no"
        table.add_row(
            str(row["name"]),
            str(row["role"]),
            here,
            str(row["dimensions"] or ""),
            str(row["licence"]),
        )
    session.console.print(table)
    session.console.print(escape(f"kept in {store.directory}"))


@models.command("fetch")
@click.argument("names", nargs=-1)
@command
async def models_fetch(session: Session, names: tuple[str, ...]) -> None:
    """Fetch models by name, or those that the services use."""
    store = ModelStore.open()
    wanted = [(n, store.registry.entry(n).role) for n in names] or ModelChoice.read().wanted()
    found = []
    for name, role in wanted:
        with shown(session.progress, session.as_json) as report:
            found.append(store.fetch(name, role, report))
    _report(session, found)


@models.command("verify")
@command
async def models_verify(session: Session) -> None:
    """Read the models that the services use and compare their hashes."""
    store = ModelStore.open()
    choice = ModelChoice.read().wanted()
    _report(session, [store.resolve(name, role, verify=True) for name, role in choice])


def _report(session: Session, found: list[ResolvedModel]) -> None:
    if session.as_json:
        session.print_json(
            [{"name": m.name, "path": str(m.path), "sha256": m.digest} for m in found]
        )
        return
    for model in found:
        session.console.print(escape(f"{model.name}: {model.path} (sha256 {model.digest[:16]}…)"))
