"""A double of Kubernetes' API server, for the real kubectl: it keeps objects, and that is all it is like.

No API server has seen the manifests. This one answers discovery for the kinds that they use, keeps what is posted,
refuses what names a kind, a namespace or an object that it does not know, and calls a Job complete once every secret
and config map that its pod names is there, with the keys that it takes. Patches are merged as JSON; where kubectl asks
for a strategic merge, the object that it applies, which it sends along, takes the place of the earlier one. Nothing is
admitted, defaulted, scheduled or run, and fields are not checked (`make check-deploy` does that against the schemas).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from tests.deploy import protobuf
from tests.deploy.cluster import PLURALS, Cluster, Place, Refused
from tests.deploy.manifests import Manifest
from tests.servers import answering

RELEASE = {"major": "1", "minor": "32", "gitVersion": "v1.32.0"}
VERBS = ["create", "delete", "get", "list", "patch", "watch"]


@contextmanager
def api_server(cluster: Cluster, folder: Path) -> Iterator[dict[str, str]]:
    """Serve a cluster, and yield the environment that makes kubectl talk to it and remember nothing elsewhere."""
    handler = type("Handler", (Handler,), {"cluster": cluster})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    configuration = {
        "apiVersion": "v1", "kind": "Config", "current-context": "double",
        "clusters": [
            {"name": "double", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        ],
        "contexts": [{"name": "double", "context": {"cluster": "double", "user": ""}}],
    }  # fmt: skip
    (folder / "kubeconfig").write_text(json.dumps(configuration))
    with answering(server):
        yield {
            "KUBECONFIG": str(folder / "kubeconfig"),
            "KUBECACHEDIR": str(folder / "kube-cache"),
        }


class Handler(BaseHTTPRequestHandler):
    """One request of kubectl."""

    cluster: ClassVar[Cluster]
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # a reply in one piece, or each waits for an acknowledgement

    def do_GET(self) -> None:
        """Answer discovery, one object, or a list."""
        url = urlsplit(self.path)
        described = discovery(url.path)
        if described is not None:
            self._reply(200, described)
        else:
            self._answer(self._get)

    def do_HEAD(self) -> None:
        """Say that the server shares its time out by itself, so that kubectl need not hold back."""
        self.send_response(200)
        self.send_header("X-Kubernetes-Pf-Flowschema-Uid", "double")
        self.end_headers()

    def do_POST(self) -> None:
        """Create."""
        self._answer(lambda place: self.cluster.create(place, self._body()), 201)

    def do_PATCH(self) -> None:
        """Merge into what is there."""
        strategic = "strategic" in self.headers["Content-Type"]
        self._answer(lambda place: self.cluster.patch(place, self._body(), strategic))

    def do_DELETE(self) -> None:
        """Delete."""
        self._body()
        self._answer(self.cluster.delete)

    def _get(self, place: Place) -> Manifest | None:
        query = parse_qs(urlsplit(self.path).query)
        if place.name:
            return self.cluster.get(place)
        field, _, name = query.get("fieldSelector", [""])[0].partition("=")
        if "watch" in query:
            return None  # nothing happens to what is here
        if "labelSelector" in query or field not in ("", "metadata.name"):
            raise Refused(501, "NotImplemented", f"not in this double: {self.path}")
        return self.cluster.all_of(place, name)

    def _answer(self, act: Any, code: int = 200) -> None:
        try:
            with self.cluster.lock:
                self._reply(code, act(place_of(urlsplit(self.path).path)))
        except Refused as refused:
            self._reply(refused.code, refused.status)

    def _body(self) -> Manifest:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if body.startswith(protobuf.MAGIC):
            return protobuf.read(body)
        manifest: Manifest = json.loads(body or b"{}")
        return manifest

    def _reply(self, code: int, value: Manifest | None) -> None:
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


def place_of(path: str) -> Place:
    """Where a path leads: /api/v1/… or /apis/GROUP/VERSION/…, with or without a namespace and a name."""
    root, *parts = path.strip("/").split("/")
    length = {"api": 1, "apis": 2}.get(root, len(parts))
    version, parts, namespace = "/".join(parts[:length]), parts[length:], ""
    if len(parts) > 2 and parts[0] == "namespaces":
        namespace, parts = parts[1], parts[2:]
    if parts and parts[0] in PLURALS.get(version, {}).values() and len(parts) <= 2:
        return Place(version, parts[0], namespace, *parts[1:])
    raise Refused(404, "NotFound", f"the server could not find the requested resource {path}")


def discovery(path: str) -> Manifest | None:
    """What the server says of itself, if a path asks for that."""
    groups = [version for version in PLURALS if "/" in version]
    described: dict[str, Manifest] = {
        "/version": RELEASE,
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(g) for g in groups]},
        "/openapi/v3": {"paths": {_root(v)[1:]: {"serverRelativeURL": f"/openapi/v3{_root(v)}"} for v in PLURALS}},
    }  # fmt: skip
    for version in PLURALS:
        described[_root(version)] = _resources(version)
        described[f"/openapi/v3{_root(version)}"] = _schema(version)
    return described.get(path)


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _group(version: str) -> Manifest:
    one = {"groupVersion": version, "version": version.partition("/")[2]}
    return {"name": version.partition("/")[0], "versions": [one], "preferredVersion": one}


def _resources(version: str) -> Manifest:
    listed = [
        {
            "name": plural, "singularName": kind.lower(), "kind": kind, "verbs": VERBS,
            "namespaced": kind != "Namespace",
        }
        for kind, plural in PLURALS[version].items()
    ]  # fmt: skip
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": version,
        "resources": listed,
    }


def _schema(version: str) -> Manifest:
    """Only what kubectl looks for before it leaves the checking of fields to the server."""
    group, _, number = version.rpartition("/")
    parameter = {"name": "fieldValidation", "in": "query"}
    paths = {
        f"{_root(version)}/{plural}/{{name}}": {
            "patch": {
                "parameters": [parameter],
                "x-kubernetes-group-version-kind": {
                    "group": group,
                    "version": number,
                    "kind": kind,
                },
            }
        }
        for kind, plural in PLURALS[version].items()
    }
    return {"openapi": "3.0.0", "info": {"title": "double", "version": "1"}, "paths": paths}
