"""A small Telegram bot: keeps what is said in a chat, answers `/ask …`. `winnow bot telegram` is the thorough one."""

import os
from datetime import UTC, datetime

import grpc
import httpx
from google.protobuf.timestamp_pb2 import Timestamp

from winnow.ingest.v1 import ingest_pb2, ingest_pb2_grpc
from winnow.search.v1 import search_pb2, search_pb2_grpc
from winnow.types.v1 import types_pb2

API = (
    os.environ.get("TELEGRAM_API", "https://api.telegram.org")
    + f"/bot{os.environ['TELEGRAM_TOKEN']}"
)
LETTERS_MAX = 650  # of a result: three of them fit into a message, where an emoji counts twice
KEY = (("authorization", f"Bearer {os.environ['WINNOW_API_KEY']}"),)
INGEST = grpc.insecure_channel(os.environ.get("WINNOW_INGEST_ADDRESS", "127.0.0.1:15051"))
SEARCH = grpc.insecure_channel(os.environ.get("WINNOW_SEARCH_ADDRESS", "127.0.0.1:15054"))


def keep(said: dict) -> None:
    """Store one message of a chat."""
    sent_at = Timestamp()
    sent_at.FromDatetime(datetime.fromtimestamp(said["date"], UTC))
    author = types_pb2.Author(
        external_id=f"user{said['from']['id']}", name=said["from"]["first_name"]
    )
    message = ingest_pb2.MessageInput(
        external_id=str(said["message_id"]), text=said["text"], sent_at=sent_at, author=author
    )
    source = ingest_pb2.SourceRef(
        kind=ingest_pb2.SOURCE_KIND_TELEGRAM,
        external_id=str(said["chat"]["id"]),
        title=said["chat"].get("title", ""),
    )
    request = ingest_pb2.IngestMessagesRequest(source=source, messages=[message])
    ingest_pb2_grpc.IngestServiceStub(INGEST).IngestMessages(request, metadata=KEY, timeout=10)


def answer(question: str) -> str:
    """The three results that fit best, as a text that Telegram takes; or why there are none."""
    request = search_pb2.SearchRequest(query=question, page_size=3)
    stub = search_pb2_grpc.SearchServiceStub(SEARCH)
    try:
        found = stub.Search(request, metadata=KEY, timeout=10).results
    except grpc.RpcError as refused:
        return f"No answer: {refused.details()}"[:LETTERS_MAX]
    told = "\n".join(f"• {(r.message.text or r.atom.title)[:LETTERS_MAX]}" for r in found)
    return told or "Nothing yet."


def run(updates: int | None = None) -> None:
    """Handle updates one by one, for ever or so many; one is confirmed only after it was handled."""
    offset = 0
    with httpx.Client(timeout=70) as telegram:
        while updates is None or updates > 0:
            batch = telegram.get(
                f"{API}/getUpdates", params={"offset": offset, "timeout": 50}
            ).json()["result"]
            for update in batch:
                said = update.get("message") or {}
                if said.get("text", "").startswith("/ask "):
                    reply = {"chat_id": said["chat"]["id"], "text": answer(said["text"][5:])}
                    telegram.post(f"{API}/sendMessage", json=reply).raise_for_status()
                elif said.get("text") and "from" in said:
                    keep(said)
                offset = update["update_id"] + 1
            updates = updates if updates is None else updates - len(batch)


if __name__ == "__main__":
    run()
