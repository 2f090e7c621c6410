"""`winnow ask`: an answer from cited messages alone, or that nothing is known."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Final

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from services.cli.answering import ANSWER_TOKENS_MAX, AskedAnswer, Passage, Writer, answer, chat
from services.cli.modelling import ModelChoice
from services.cli.options import TOLD_AFTER_SECONDS, Session, as_dict, command
from services.cli.queries import QueryCommand
from services.cli.searching import Narrowing, narrowed, narrowing, print_result, says_nothing
from services.cli.values import counted
from services.common.llama import GenerationModel
from services.common.llama.generation import OnProgress, unwatched
from services.common.models import ModelStore
from services.common.models.errors import ModelMissing
from services.common.openai import OpenAIModel, ProviderSettings
from winnow.search.v1 import search_pb2 as pb
from winnow.search.v1.search_pb2_grpc import SearchServiceStub
from winnow.types.v1 import types_pb2 as types

# Smaller ones were measured to invent: they are not asked to word an answer, and the messages are quoted instead.
WRITES_FROM_BYTES: Final = 800 << 20
# As many words a short question has at most, as search takes it.
ASKING_WORDS_MAX: Final = 12
# What is told so soon after a question, and is among so many of the best, may be its answer.
ANSWERED_WITHIN: Final = timedelta(minutes=30)
ANSWERS_AMONG: Final = 5
PACKED_TOKENS_MIN: Final = 64
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
    type=click.IntRange(PACKED_TOKENS_MIN, 32768),
    help="How many tokens of messages may be read; a local model reads no more than its context holds.",
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
    if not any(map(str.isalnum, question)):
        raise click.UsageError(
            f"{question!r} has no word that could be answered; `winnow search` finds what is like it"
        )
    with ExitStack() as models:
        writer = None if quote else open_writer(models)
        if isinstance(writer, LocalWriter) and tokens > (room := writer.room_tokens(question)):
            session.progress.print(f"--tokens: the model can read no more than {room:,}")
            tokens = room
        request = pb.PackContextRequest(query=question, tokens_max=tokens)
        narrowed(request, narrowing)
        packed: pb.PackContextResponse = await session.call(
            "search", SearchServiceStub, request, 60
        )
        with _telling(session, writer, packed.tokens):
            found = await answer(
                question, read_passages(packed), writer, packed.missing_words, packed.named_words
            )
    if session.as_json:
        session.print_json(_as_json(question, found, packed))
        return
    _show(session, found, packed)


@contextmanager
def _telling(session: Session, writer: Writer | None, tokens: int) -> Iterator[None]:
    """Show that a model works, and if that can be known how far it is: it reads thousands of tokens for minutes."""
    if writer is None or not tokens:
        yield
        return
    told = f"the model reads about {tokens:,} tokens, fewer with --tokens"
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    line = asyncio.get_running_loop().call_later(TOLD_AFTER_SECONDS, session.progress.print, told)
    with ExitStack() as ended:
        ended.callback(line.cancel)
        if session.shows_progress:
            line.cancel()
            bar = ended.enter_context(Progress(*columns, console=session.progress, transient=True))
            shown = bar.add_task(told, total=None)
            if isinstance(writer, LocalWriter):
                writer.on_progress = lambda done, prompt: bar.update(
                    shown, completed=done, total=prompt + ANSWER_TOKENS_MAX
                )
        yield


def open_writer(models: ExitStack) -> Writer | None:
    """The language model that is configured, if it can be trusted to word an answer."""
    choice, provider = ModelChoice.read(), ProviderSettings.read()
    if provider.generation_url:
        return OpenAIModel.open(provider, choice.generation_model)
    try:
        resolved = ModelStore.open().resolve(choice.generation_model, "generation")
    except ModelMissing:
        return None
    if resolved.file_bytes < WRITES_FROM_BYTES:
        return None
    model = GenerationModel.open(resolved.path, context_tokens=_LOCAL_CONTEXT_TOKENS, threads=2)
    models.callback(model.close)
    return LocalWriter(model)


class LocalWriter:
    """A model in this process, asked as one behind a URL is."""

    def __init__(self, model: GenerationModel) -> None:
        self._model = model
        self.on_progress: OnProgress = unwatched

    def room_tokens(self, question: str) -> int:
        """How many tokens of passages it can read beside the question, and answer then."""
        beside = self._model.count_tokens(chat(question, [])) + ANSWER_TOKENS_MAX
        return max(self._model.context_tokens - beside, PACKED_TOKENS_MIN)

    async def complete(
        self, messages: list[dict[str, str]], schema: dict[str, object] | None, max_tokens: int
    ) -> object:
        """Answer a chat under a JSON schema."""
        turns = [{"role": each["role"], "content": each["content"]} for each in messages]
        return await self._model.complete(turns, schema, max_tokens, self.on_progress)


def read_passages(packed: pb.PackContextResponse) -> list[Passage]:
    """What was packed, as it is judged."""
    asking = [item for item in packed.items if _asks(item.result)]
    return [_passage(item, asking, packed.near_score) for item in packed.items]


def _passage(item: pb.ContextItem, asking: Sequence[pb.ContextItem], near_score: float) -> Passage:
    result, bears = item.result, item.bearing >= 1
    messages = frozenset(item.message_ids)
    has_words = result.keyword.score > 0
    asks = _asks(result)
    answered = [] if asks else [each.citation for each in asking if _may_answer(item, each)]
    return Passage(
        item.citation,
        item.text,
        bears,
        has_words,
        messages,
        says_nothing(result),
        asks,
        frozenset(answered),
        item.words,
        item.concerns_named,
        item.own_words,
        is_near=0 < near_score <= result.semantic.score,
    )


def _asks(result: pb.SearchResult) -> bool:
    """Whether it is but a question: an atom that is one, or a short message with a question mark."""
    if result.HasField("atom"):
        return result.atom.type == types.ATOM_TYPE_QUESTION
    return "?" in result.message.text and len(result.message.text.split()) <= ASKING_WORDS_MAX


def _may_answer(item: pb.ContextItem, asking: pb.ContextItem) -> bool:
    """Whether somebody else told it as a reply to a question, or, of the best, soon after it and as no other reply."""
    told, asked = _first(item.result), _first(asking.result)
    if told is None or asked is None or told.source_id != asked.source_id:
        return False
    if told.author.external_id == asked.author.external_id:
        return False
    if told.reply_to_external_id:
        return told.reply_to_external_id == asked.external_id
    later = told.sent_at.ToDatetime() - asked.sent_at.ToDatetime()
    is_soon = told.thread_id == asked.thread_id and timedelta(0) < later <= ANSWERED_WITHIN
    return is_soon and item.citation <= ANSWERS_AMONG


def _first(result: pb.SearchResult) -> types.Message | None:
    """The message that it is, or the first that it rests on, as far as the reply had room for that."""
    if result.HasField("message"):
        return result.message
    return next((each.message for each in result.atom.evidence if each.HasField("message")), None)


def _show(session: Session, found: AskedAnswer, packed: pb.PackContextResponse) -> None:
    for warning in packed.warnings:
        session.note(warning)
    if packed.over_budget and not packed.items:
        session.note("nothing that was found fits into what may be read: ask with more --tokens")
    if found.note:
        session.note(found.note)
    if found.missing and found.kind != "unknown":
        session.note(f"nothing that was found mentions {_listed(found.missing)}")
    if found.ungrounded:
        session.note(f"{found.ungrounded} sentences were left out: not in the messages they cite")
    if _HEADINGS[found.kind]:
        session.console.print(_heading(found))
    if found.kind == "generated":
        for sentence in found.sentences:
            session.console.print(Text.assemble(sentence.text, (f" [{sentence.citation}]", "bold")))
        session.console.print()
    if found.nearest:
        session.console.print("These come nearest:")
    cited = [*(sentence.citation for sentence in found.sentences), *found.nearest]
    by_number = {item.citation: item for item in packed.items}
    items = [by_number[each] for each in dict.fromkeys(cited)]
    for number, item in enumerate(items, start=1):
        if found.kind == "generated":
            session.console.print(Text(item.text, "dim"))
        else:
            print_result(session, number, item.result)
    if pending := packed.freshness.pending_embeddings:
        session.console.print(
            f"[dim]{counted(pending, 'text is', 'texts are')} not embedded yet and can only be found by words[/dim]"
        )


def _heading(found: AskedAnswer) -> str:
    if found.kind == "unknown" and found.missing:
        return f"I do not know: nothing that was found mentions {_listed(found.missing)}."
    if found.silent:
        whom = _listed(found.silent)
        return f"I do not know: nothing that was found of this is by {whom}, or about {whom}."
    return _HEADINGS[found.kind]


def _listed(names: Sequence[str]) -> str:
    return " or ".join(names)


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
        "missing": list(found.missing),
        "nearest": list(found.nearest),
        "silent": list(found.silent),
        "context": as_dict(packed),
    }
