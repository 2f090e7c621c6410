"""`winnow ask`: an answer from cited messages alone, or that nothing is known."""

from contextlib import ExitStack
from typing import Final

import click
from rich.text import Text

from services.cli.answering import AskedAnswer, Passage, Writer, answer
from services.cli.modelling import ModelChoice
from services.cli.options import Session, as_dict, command
from services.cli.queries import QueryCommand
from services.cli.searching import Narrowing, is_near, narrowed, narrowing, print_result
from services.cli.values import counted
from services.common.llama import GenerationModel
from services.common.models import ModelStore
from services.common.openai import OpenAIModel, ProviderSettings
from winnow.search.v1 import search_pb2 as pb
from winnow.search.v1.search_pb2_grpc import SearchServiceStub

# Smaller ones were measured to invent: they are not asked to word an answer, and the messages are quoted instead.
WRITES_FROM_BYTES: Final = 800 << 20
_LOCAL_CONTEXT_TOKENS: Final = 8192
_HEADINGS: Final = {
    "generated": "",
    "quoted": "These messages speak of it:",
    "unknown": "I do not know: nothing that was found answers this.",
}


@click.command("ask", cls=QueryCommand)
@click.argument("question")
@click.option(
    "--tokens",
    default=2000,
    show_default=True,
    type=click.IntRange(64, 32768),
    help="How much may be read before answering.",
)
@click.option(
    "--quote", is_flag=True, help="Ask no language model: show the messages that speak of it."
)
@narrowing
@command
async def ask(
    session: Session, question: str, tokens: int, quote: bool, narrowing: Narrowing
) -> None:
    """Answer a question from the messages that are found for it, each sentence with the one that it comes from.

    \b
    winnow ask "Why did the nightly backup fail?"
    winnow ask "What did Ann promise?" --author ann --after 2026-03-01

    A model behind WINNOW_GENERATION_URL, or a large local one (WINNOW_GENERATION_MODEL), words the answer; what it
    says is shown only if the words it quotes stand in the message it cites. Without one the messages are shown.
    """
    request = pb.PackContextRequest(query=question, tokens_max=tokens)
    narrowed(request, narrowing)
    packed: pb.PackContextResponse = await session.call("search", SearchServiceStub, request, 60)
    with ExitStack() as models:
        writer = None if quote or not packed.items else open_writer(models)
        passages = [_passage(item, packed.near_score) for item in packed.items]
        if writer is None or session.as_json:
            found = await answer(question, passages, packed.coverage, writer)
        else:
            with session.progress.status("reading"):
                found = await answer(question, passages, packed.coverage, writer)
    if session.as_json:
        session.print_json(_as_json(question, found, packed))
        return
    _show(session, found, packed)


def open_writer(models: ExitStack) -> Writer | None:
    """The language model that is configured, if it can be trusted to word an answer."""
    choice, provider = ModelChoice.read(), ProviderSettings.read()
    if provider.generation_url:
        return OpenAIModel.open(provider, choice.generation_model)
    store = ModelStore.open()
    if not store.has(choice.generation_model) and "/" not in choice.generation_model:
        return None
    resolved = store.resolve(choice.generation_model, "generation")
    if resolved.file_bytes < WRITES_FROM_BYTES:
        return None
    model = GenerationModel.open(resolved.path, context_tokens=_LOCAL_CONTEXT_TOKENS, threads=2)
    models.callback(model.close)
    return LocalWriter(model)


class LocalWriter:
    """A model in this process, asked as one behind a URL is."""

    def __init__(self, model: GenerationModel) -> None:
        self._model = model

    async def complete(
        self, messages: list[dict[str, str]], schema: dict[str, object] | None, max_tokens: int
    ) -> object:
        """Answer a chat under a JSON schema."""
        chat = [{"role": each["role"], "content": each["content"]} for each in messages]
        return await self._model.complete(chat, schema, max_tokens)


def _passage(item: pb.ContextItem, near_score: float) -> Passage:
    result = item.result
    near = is_near(result, near_score)
    return Passage(item.citation, item.text, near, result.keyword.score > 0)


def _show(session: Session, found: AskedAnswer, packed: pb.PackContextResponse) -> None:
    for warning in packed.warnings:
        session.note(warning)
    if packed.over_budget and not packed.items:
        session.note("nothing that was found fits into what may be read: ask with more --tokens")
    if found.note:
        session.note(found.note)
    if found.ungrounded:
        session.note(f"{found.ungrounded} sentences were left out: not in the messages they cite")
    if _HEADINGS[found.kind]:
        session.console.print(_HEADINGS[found.kind])
    if found.kind == "generated":
        for sentence in found.sentences:
            session.console.print(Text.assemble(sentence.text, (f" [{sentence.citation}]", "bold")))
        session.console.print()
    cited = dict.fromkeys(sentence.citation for sentence in found.sentences)
    items = [item for item in packed.items if item.citation in cited]
    for number, item in enumerate(items, start=1):
        if found.kind == "generated":
            session.console.print(Text(item.text, "dim"))
        else:
            print_result(session, number, item.result)
    if pending := packed.freshness.pending_embeddings:
        session.console.print(
            f"[dim]{counted(pending, 'text is', 'texts are')} not embedded yet and can only be found by words[/dim]"
        )


def _as_json(
    question: str, found: AskedAnswer, packed: pb.PackContextResponse
) -> dict[str, object]:
    return {
        "question": question,
        "kind": found.kind,
        "sentences": [
            {"text": each.text, "citation": each.citation, "quote": each.quote}
            for each in found.sentences
        ],
        "ungrounded": found.ungrounded,
        "note": found.note,
        "context": as_dict(packed),
    }
