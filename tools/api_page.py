"""Writes docs/api.md: every service, method, message and enum of protos/, with the comments that describe them."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

from tools.limits import limits_of

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "api.md"
HEAD = """# API

Written by `make docs` from `protos/`. Every call but those of the health service carries `authorization: Bearer KEY` as
metadata. Errors are a `google.rpc.Status` with one `google.rpc.ErrorInfo`, whose reason is a value of
`winnow.errors.v1.ErrorReason`, and with `BadRequest` or `RetryInfo` where that helps.

## What holds for every call

* **Size.** A request has at most 1 MiB, and so has each message that a stream sends: long texts need smaller batches
  than their number alone allows. A reply has at most 4 MiB.
* **Time.** A call ends at its caller's deadline, and after a minute in any case. A stream goes on until its caller
  ends it, its deadline passes or the service stops.
* **Pages.** A `page_size` of 0 is the default. The `next_page_token` goes on with the same fields, of which
  `page_size` alone may change. A page may have fewer items than asked for: the last is the one without a token.
* **Again.** After `UNAVAILABLE`, `RESOURCE_EXHAUSTED` with `RetryInfo`, or no answer, the same request may be sent
  again. Messages are known by their keys, so storing, changing and deleting them twice is doing it once; erasing, and
  changing knowledge, is so with a `request_id`, a UUID that the caller makes.
* **Errors.** `ErrorInfo` has a `request_id` in its metadata, with which the service logs what is its own fault: that
  of the request, if it had one.
* **Keys.** A key's scopes do not contain each other: one with `admin` alone neither reads nor stores.
* **Values.** A field's limits stand beside its type; what breaks one fails with INVALID_FIELD, and `BadRequest` names
  each field. Ids are UUIDs. No text has NUL in it. Numbers and texts that are not set are 0 and empty, and mean what
  the field says of those. Fields that a service does not know are ignored. What another workspace has does not exist.
"""
# Field numbers in the descriptors of a file, a message, a service and an enum: what paths are made of.
MESSAGE, ENUM, SERVICE, FIELD, NESTED, NESTED_ENUM, METHOD, VALUE = 4, 5, 6, 2, 3, 4, 2, 2

Path_ = tuple[int, ...]


class Page:
    """The part of the page that one file makes."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._file = file
        self._comments = {
            tuple(location.path): " ".join(location.leading_comments.split())
            for location in file.source_code_info.location
        }

    def lines(self) -> Iterator[str]:
        """Return the lines: services first, then what they exchange."""
        yield f"## {self._file.package}\n"
        for index, service in enumerate(self._file.service):
            yield from self._service(service, (SERVICE, index))
        for index, message in enumerate(self._file.message_type):
            yield from self._message(message, (MESSAGE, index), message.name)
        for index, enum in enumerate(self._file.enum_type):
            yield from self._enum(enum, (ENUM, index), enum.name)

    def _comment(self, path: Path_) -> str:
        return self._comments.get(path, "").replace("|", "\\|")

    def _service(self, service: ServiceDescriptorProto, path: Path_) -> Iterator[str]:
        yield f"### service {service.name}\n\n{self._comment(path)}\n\n| method | takes | gives | |\n|---|---|---|---|"
        for index, method in enumerate(service.method):
            takes = ("stream of " if method.client_streaming else "") + _short(method.input_type)
            gives = ("stream of " if method.server_streaming else "") + _short(method.output_type)
            yield f"| `{method.name}` | {takes} | {gives} | {self._comment((*path, METHOD, index))} |"
        yield ""

    def _message(self, message: DescriptorProto, path: Path_, name: str) -> Iterator[str]:
        if message.options.map_entry:
            return
        yield f"### {name}\n\n{self._comment(path)}\n"
        if message.field:
            yield "| field | type | |\n|---|---|---|"
            maps = {
                nested.name: nested for nested in message.nested_type if nested.options.map_entry
            }
            for index, field in enumerate(message.field):
                kind = ", ".join(filter(None, (_type(field, maps), limits_of(field.options))))
                yield f"| `{field.name}` | {kind} | {self._comment((*path, FIELD, index))} |"
            yield ""
        for index, nested in enumerate(message.nested_type):
            yield from self._message(nested, (*path, NESTED, index), f"{name}.{nested.name}")
        for index, enum in enumerate(message.enum_type):
            yield from self._enum(enum, (*path, NESTED_ENUM, index), f"{name}.{enum.name}")

    def _enum(self, enum: EnumDescriptorProto, path: Path_, name: str) -> Iterator[str]:
        yield f"### enum {name}\n\n{self._comment(path)}\n\n| value | number | |\n|---|---|---|"
        for index, value in enumerate(enum.value):
            yield f"| `{value.name}` | {value.number} | {self._comment((*path, VALUE, index))} |"
        yield ""


def _short(name: str) -> str:
    return (
        f"`{name.removeprefix('.')}`"
        if name.startswith(".google")
        else f"`{name.rpartition('.')[2]}`"
    )


def _type(field: FieldDescriptorProto, maps: dict[str, DescriptorProto]) -> str:
    entry = maps.get(field.type_name.rpartition(".")[2])
    if entry is not None:
        return f"map of {_type(entry.field[0], {})} to {_type(entry.field[1], {})}"
    kind = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    named = _short(field.type_name) if field.type_name else f"`{kind}`"
    return f"list of {named}" if field.label == FieldDescriptorProto.LABEL_REPEATED else named


def page() -> str:
    """Return the page; buf must be installed."""
    buf = Path(sys.executable).with_name("buf")
    built = subprocess.run(
        [buf, "build", "protos", "-o", "-"], cwd=ROOT, capture_output=True, check=True
    )
    files: Sequence[FileDescriptorProto] = FileDescriptorSet.FromString(built.stdout).file
    ours = sorted((f for f in files if f.package.startswith("winnow.")), key=lambda f: f.package)
    return (
        "\n".join([HEAD, *(line for file in ours for line in Page(file).lines())]).rstrip() + "\n"
    )


if __name__ == "__main__":
    TARGET.write_text(page(), "utf-8")
