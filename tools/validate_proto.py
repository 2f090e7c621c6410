"""Rebuild buf/validate/validate.proto from the descriptor in the protovalidate wheel, exactly.

No package ships the source, only its descriptor. The printer below knows no more of the language
than that file needs; recompiling its output and comparing the descriptors is what makes it safe.
"""

import io
import sys
import tempfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from google.protobuf import message_factory, text_format
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    EnumValueDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    OneofDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_tools import protoc
from protobuf import DescFile
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).resolve().parent.parent / "third_party"
NAME = "buf/validate/validate.proto"
HEADER = (
    "// Rebuilt by tools/validate_proto.py from the descriptor in the protovalidate wheel.",
    "// Copyright Buf Technologies, Inc. Licensed under the Apache License, Version 2.0.",
)
LABELS = {1: "optional ", 2: "required ", 3: "repeated "}
FIELD_NUMBER_MAX = 536870911
Described = (
    FileDescriptorProto
    | DescriptorProto
    | EnumDescriptorProto
    | EnumValueDescriptorProto
    | FieldDescriptorProto
    | OneofDescriptorProto
)


def shipped() -> list[FileDescriptorProto]:
    """Return the descriptors in the wheel, dependencies first, validate.proto last."""
    found: dict[str, FileDescriptorProto] = {}

    def visit(file: DescFile) -> None:
        for dependency in file.dependencies:
            visit(dependency)
        found.setdefault(file.name, FileDescriptorProto.FromString(file.proto.to_binary()))

    visit(validate_pb.desc())
    return list(found.values())


def numbers(start: int, end: int) -> str:
    """Return an inclusive range of field or enum numbers as the language writes it."""
    if start == end:
        return str(start)
    return f"{start} to {'max' if end == FIELD_NUMBER_MAX else end}"


def reserved(ranges: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    """Yield the reserved statements of a message or an enum."""
    if listed := ", ".join(ranges):
        yield f"reserved {listed};"
    if listed := ", ".join(f'"{name}"' for name in names):
        yield f"reserved {listed};"


def block(head: str, body: Iterable[str]) -> Iterator[str]:
    """Yield a braced block with its body indented."""
    yield f"{head} {{"
    yield from (f"  {line}" for line in body)
    yield "}"


class Printer:
    """Prints the last of some file descriptors as source; the others are what it imports."""

    def __init__(self, files: list[FileDescriptorProto]) -> None:
        """Load every file, so that options which are extensions have names."""
        self.file = files[-1]
        self.pool = DescriptorPool()
        for file in files:
            self.pool.AddSerializedFile(file.SerializeToString())

    def source(self) -> str:
        """Return the text of the file."""
        return "\n".join((*HEADER, *self.statements())) + "\n"

    def statements(self) -> Iterator[str]:
        """Yield the lines of the file, in the order of the descriptor."""
        yield f'syntax = "{self.file.syntax or "proto2"}";'
        yield f"package {self.file.package};"
        yield from (f'import "{name}";' for name in self.file.dependency)
        yield from self.options(self.file)
        for extendee, extensions in groupby(self.file.extension, attrgetter("extendee")):
            yield from block(f"extend {self.short(extendee)}", map(self.field, extensions))
        for message in self.file.message_type:
            yield from block(f"message {message.name}", self.message(message))
        for enum in self.file.enum_type:
            yield from block(f"enum {enum.name}", self.enum(enum))

    def message(self, message: DescriptorProto) -> Iterator[str]:
        """Yield the body of a message."""
        yield from self.options(message)
        for nested in message.nested_type:
            yield from block(f"message {nested.name}", self.message(nested))
        for enum in message.enum_type:
            yield from block(f"enum {enum.name}", self.enum(enum))
        yield from self.fields(message)
        for extension in message.extension_range:
            yield f"extensions {numbers(extension.start, extension.end - 1)};"
        ranges = (numbers(gap.start, gap.end - 1) for gap in message.reserved_range)
        yield from reserved(ranges, message.reserved_name)

    def fields(self, message: DescriptorProto) -> Iterator[str]:
        """Yield the fields of a message; those of one oneof stand together."""

        def oneof(field: FieldDescriptorProto) -> int:
            return field.oneof_index if field.HasField("oneof_index") else -1

        for index, members in groupby(message.field, oneof):
            if index < 0:
                yield from map(self.field, members)
            else:
                group = message.oneof_decl[index]
                body = (*self.options(group), *(self.field(f, label="") for f in members))
                yield from block(f"oneof {group.name}", body)

    def field(self, field: FieldDescriptorProto, label: str | None = None) -> str:
        """Return the declaration of a field, in a oneof without a label."""
        scalar = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
        kind = self.short(field.type_name) or scalar
        label = LABELS[field.label] if label is None else label
        return f"{label}{kind} {field.name} = {field.number}{self.listed(field)};"

    def enum(self, enum: EnumDescriptorProto) -> Iterator[str]:
        """Yield the body of an enum."""
        yield from self.options(enum)
        yield from (f"{value.name} = {value.number}{self.listed(value)};" for value in enum.value)
        ranges = (numbers(gap.start, gap.end) for gap in enum.reserved_range)
        yield from reserved(ranges, enum.reserved_name)

    def options(self, described: Described) -> Iterator[str]:
        """Yield the option statements of a file, a message, an enum or a oneof."""
        yield from (f"option {assignment};" for assignment in self.assignments(described))

    def listed(self, described: Described) -> str:
        """Return the options of a field or an enum value in brackets, or nothing."""
        inside = ", ".join(self.assignments(described))
        return f" [{inside}]" if inside else ""

    def assignments(self, described: Described) -> Iterator[str]:
        """Yield every option as `name = value`, a repeated one once per value."""
        kind = self.pool.FindMessageTypeByName(described.options.DESCRIPTOR.full_name)
        options = message_factory.GetMessageClass(kind)()
        options.ParseFromString(described.options.SerializeToString())
        for field, value in options.ListFields():
            name = f"({self.short(field.full_name)})" if field.is_extension else field.name
            for each in value if field.is_repeated else [value]:
                text = io.StringIO()
                text_format.PrintFieldValue(field, each, text, as_utf8=True, as_one_line=True)
                yield f"{name} = {text.getvalue().strip()}"

    def short(self, name: str) -> str:
        """Return a type's name as seen from inside the package."""
        return name.removeprefix(".").removeprefix(f"{self.file.package}.")


def recompiled(source: str) -> FileDescriptorProto:
    """Return the descriptor that protoc makes of the source, or exit with its complaint."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, NAME), Path(folder, "out.binpb")
        path.parent.mkdir(parents=True)
        path.write_text(source, encoding="utf-8")
        well_known = Path(protoc.__file__).parent / "_proto"
        paths = [f"--proto_path={folder}", f"--proto_path={well_known}"]
        if code := protoc.main(["protoc", *paths, f"--descriptor_set_out={out}", NAME]):
            sys.exit(f"{NAME}: protoc exited with {code}")
        return FileDescriptorSet.FromString(out.read_bytes()).file[0]


def main(root: Path = ROOT) -> None:
    """Write the file under `root`; exit with 1 unless it compiles to the shipped descriptor."""
    files = shipped()
    source = Printer(files).source()
    if recompiled(source).SerializeToString() != files[-1].SerializeToString():
        sys.exit(f"{NAME}: the rebuilt source does not compile to the descriptor in the wheel")
    path = root / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != source:
        path.write_text(source, encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
