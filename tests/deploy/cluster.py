"""What the double of Kubernetes' API server keeps; see api_server.py."""

import json
import threading
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.deploy.manifests import Manifest, references

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
PLURALS = {
    "v1": {
        "Namespace": "namespaces",
        "Secret": "secrets",
        "ConfigMap": "configmaps",
        "Service": "services",
        "ServiceAccount": "serviceaccounts",
    },
    "apps/v1": {"Deployment": "deployments", "StatefulSet": "statefulsets"},
    "batch/v1": {"Job": "jobs"},
    "policy/v1": {"PodDisruptionBudget": "poddisruptionbudgets"},
    "networking.k8s.io/v1": {"NetworkPolicy": "networkpolicies"},
    "cert-manager.io/v1": {"Certificate": "certificates", "Issuer": "issuers"},
    "keda.sh/v1alpha1": {"ScaledObject": "scaledobjects"},
    "monitoring.coreos.com/v1": {
        "PrometheusRule": "prometheusrules",
        "ServiceMonitor": "servicemonitors",
    },
    "postgresql.cnpg.io/v1": {"Cluster": "clusters"},
}


@dataclass(frozen=True)
class Place:
    """Where an object stands, or all of its kind if it has no name; a namespace itself stands in none."""

    version: str
    plural: str
    namespace: str = ""
    name: str = ""

    @property
    def kind(self) -> str:
        """The kind of what stands here."""
        return next(kind for kind, each in PLURALS[self.version].items() if each == self.plural)

    def named(self, name: str) -> "Place":
        """The place of one of this kind."""
        return Place(self.version, self.plural, self.namespace, name)


class Refused(Exception):
    """What the server says no to, as Kubernetes words it."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = {
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "reason": reason, "message": message,
        }  # fmt: skip


@dataclass
class Cluster:
    """What has been posted, by where it stands, and what was deleted since."""

    held: dict[Place, Manifest] = field(default_factory=dict)
    deleted: list[Place] = field(default_factory=list)
    made_elsewhere: set[str] = field(default_factory=set)  # secrets that operators would make
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of_kind(self, kind: str) -> dict[str, Manifest]:
        """The objects of a kind by name."""
        return {place.name: each for place, each in self.held.items() if place.kind == kind}

    def create(self, place: Place, manifest: Manifest) -> Manifest:
        """Keep an object, in a namespace that is here."""
        if place.namespace and place.namespace not in self.of_kind("Namespace"):
            raise Refused(404, "NotFound", f'namespaces "{place.namespace}" not found')
        if (manifest["apiVersion"], manifest["kind"]) != (place.version, place.kind):
            raise Refused(400, "BadRequest", f"{manifest['kind']} posted to {place.plural}")
        at = place.named(manifest["metadata"]["name"])
        if at in self.held:
            raise Refused(409, "AlreadyExists", f'{at.plural} "{at.name}" already exists')
        manifest["metadata"]["uid"] = str(uuid4())
        return self._keep(at, manifest)

    def patch(self, place: Place, patch: Manifest, strategic: bool) -> Manifest:
        """Merge as JSON; in the place of a strategic merge put what was applied, which kubectl sends along."""
        merged: Manifest = _merged(self.get(place), patch)
        if strategic:
            applied = json.loads(merged["metadata"]["annotations"][APPLIED])
            merged = applied | {"metadata": merged["metadata"]}
        return self._keep(place, merged)

    def get(self, place: Place) -> Manifest:
        """One object; a Job has done its work as soon as its pod could start."""
        found = self.held.get(place)
        if found is None:
            raise Refused(404, "NotFound", f'{place.plural} "{place.name}" not found')
        if place.kind == "Job" and not self.missing(found):
            found["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
        return found

    def all_of(self, place: Place, name: str) -> Manifest:
        """The objects of a kind in a namespace, or the one of them that has this name."""
        found = [at for at in self.held if at == place.named(at.name) and name in ("", at.name)]
        return {
            "kind": f"{place.kind}List", "apiVersion": place.version,
            "metadata": {"resourceVersion": "1"}, "items": [self.get(at) for at in found],
        }  # fmt: skip

    def delete(self, place: Place) -> Manifest:
        """Forget an object at once."""
        uid = self.get(place)["metadata"]["uid"]
        del self.held[place]
        self.deleted.append(place)
        details = {"name": place.name, "kind": place.plural, "uid": uid}
        return {"kind": "Status", "apiVersion": "v1", "status": "Success", "details": details}

    def missing(self, manifest: Manifest) -> list[str]:
        """The secrets and config maps that an object names and nobody has made, and keys that they lack."""
        lacking = []
        for kind, name, keys in references(manifest):
            there = self.of_kind(kind).get(name)
            if there is not None:
                lacking += [f"{kind}/{name}: {key}" for key in sorted(keys - there["data"].keys())]
            elif kind != "Secret" or name not in self.made_elsewhere:
                lacking.append(f"{kind}/{name}")
        return sorted(set(lacking))

    def _keep(self, place: Place, manifest: Manifest) -> Manifest:
        manifest["metadata"]["resourceVersion"] = str(uuid4().int % 10**9)
        self.held[place] = manifest
        return manifest


def _merged(value: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    kept = dict(value) if isinstance(value, dict) else {}
    for key, each in patch.items():
        if each is None:
            kept.pop(key, None)
        else:
            kept[key] = _merged(kept.get(key), each)
    return kept
