"""`winnow models`: which models there are, and bringing them here."""

from functools import partial

import click
from rich.markup import escape

from services.cli.fetching import fetch
from services.cli.groups import Group
from services.cli.options import Session, command
from services.cli.paging import listing
from services.cli.threads import in_thread
from services.common.models import ModelStore, ResolvedModel, Role
from services.common.settings import Settings


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


async def fetch_wanted(session: Session) -> list[ResolvedModel]:
    """Bring the models that the services use here, if they are missing."""
    return await fetch(session, ModelStore.open(), ModelChoice.read().wanted())


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
    _report(session, await fetch(session, store, wanted))


@models.command("verify")
@command
async def models_verify(session: Session) -> None:
    """Read the models that the services use and compare their hashes."""
    store = ModelStore.open()
    found = []
    for name, role in ModelChoice.read().wanted():
        found.append(await in_thread(partial(store.resolve, name, role, verify=True)))
    _report(session, found)


def _report(session: Session, found: list[ResolvedModel]) -> None:
    if session.as_json:
        session.print_json(
            [{"name": m.name, "path": str(m.path), "sha256": m.digest} for m in found]
        )
        return
    for model in found:
        session.console.print(escape(f"{model.name}: {model.path} (sha256 {model.digest[:16]}…)"))
