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

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "api.md"
HEAD = """# API

Written by `make docs` from `protos/`. Every call but those of the health service carries `authorization: Bearer KEY` as
metadata. Errors are a `google.rpc.Status` with one `google.rpc.ErrorInfo`, whose reason is a value of
`winnow.errors.v1.ErrorReason`, and with `BadRequest` or `RetryInfo` where that helps.
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
                yield f"| `{field.name}` | {_type(field, maps)} | {self._comment((*path, FIELD, index))} |"
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
