"""Reads the namespaces and secrets that kubectl sends as Kubernetes' protobuf, as far as it fills them in."""

import base64
from collections.abc import Iterator

from tests.deploy.manifests import Manifest

MAGIC = b"k8s\x00"


def read(body: bytes) -> Manifest:
    """A Namespace or a Secret from its envelope `runtime.Unknown`, as JSON would have it."""
    envelope = dict(fields(body.removeprefix(MAGIC)))
    kind = {number: value.decode() for number, value in fields(envelope[1])}
    manifest: Manifest = {"apiVersion": kind[1], "kind": kind[2]}
    if manifest["kind"] not in ("Namespace", "Secret"):
        raise ValueError(f"{manifest['kind']} is not read from protobuf here")
    for number, value in fields(envelope[2]):
        if number == 1:
            known = {1: "name", 3: "namespace"}
            given = [(known.get(each), text) for each, text in fields(value) if text]
            manifest["metadata"] = {name: text.decode() for name, text in given if name}
        elif manifest["kind"] == "Secret" and number == 2:
            entry = dict(fields(value))
            data = manifest.setdefault("data", {})
            data[entry[1].decode()] = base64.b64encode(entry[2]).decode()
        elif manifest["kind"] == "Secret" and number == 3:
            manifest["type"] = value.decode()
    return manifest


def fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a message that have a length, by number; numbers among them are passed over."""
    at = 0
    while at < len(data):
        tag, at = _number(data, at)
        length, at = _number(data, at)
        if tag & 7 == 2:
            yield tag >> 3, data[at : at + length]
            at += length
        elif tag & 7:
            raise ValueError(f"a field of type {tag & 7}")


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] & 0x80:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | data[at] << shift, at + 1
