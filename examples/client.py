"""Stores two messages, waits until they can be found, and asks a question about them."""

import os
import sys
from datetime import UTC, datetime

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from winnow.ingest.v1 import ingest_pb2, ingest_pb2_grpc
from winnow.search.v1 import search_pb2, search_pb2_grpc

INGEST = os.environ.get("WINNOW_INGEST_ADDRESS", "127.0.0.1:15051")
SEARCH = os.environ.get("WINNOW_SEARCH_ADDRESS", "127.0.0.1:15054")
KEY = (("authorization", f"Bearer {os.environ['WINNOW_API_KEY']}"),)


def store(texts: list[str]) -> None:
    """Send messages; the reply means that they are committed, and sending them again changes nothing."""
    sent_at = Timestamp()
    sent_at.FromDatetime(datetime(2026, 3, 2, 9, 30, tzinfo=UTC))
    messages = [
        ingest_pb2.MessageInput(external_id=str(number), text=text, sent_at=sent_at)
        for number, text in enumerate(texts)
    ]
    source = ingest_pb2.SourceRef(kind=ingest_pb2.SOURCE_KIND_API, external_id="example")
    request = ingest_pb2.IngestMessagesRequest(source=source, messages=messages)
    with grpc.insecure_channel(INGEST) as channel:
        stub = ingest_pb2_grpc.IngestServiceStub(channel)
        for result in stub.IngestMessages(request, metadata=KEY, timeout=10).results:
            print(ingest_pb2.IngestOutcome.Name(result.outcome))


def ask(question: str) -> None:
    """Search, but not before everything that was accepted until now can be found."""
    until = Timestamp()
    until.FromDatetime(datetime.now(UTC))
    wait = search_pb2.WaitFor(accepted_until=until)
    wait.timeout.FromSeconds(30)
    request = search_pb2.SearchRequest(query=question, page_size=3, wait_for=wait)
    with grpc.insecure_channel(SEARCH) as channel:
        stub = search_pb2_grpc.SearchServiceStub(channel)
        for result in stub.Search(request, metadata=KEY, timeout=40).results:
            print(f"{result.score:.4f}  {result.message.text or result.atom.title}")


if __name__ == "__main__":
    store(
        [
            "The staging database ran out of connections.",
            "We raised the limit of connections to 200.",
        ]
    )
    ask(sys.argv[1] if len(sys.argv) > 1 else "what was wrong with staging?")
