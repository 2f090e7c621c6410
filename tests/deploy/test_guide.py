"""What the guide has an operator type runs, line by line: the real kubectl against a double of the API server."""

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.deploy.api_server import api_server
from tests.deploy.cluster import PLURALS, Cluster, Place
from tests.deploy.manifests import (
    DEPLOY,
    MADE_BY_OPERATORS,
    OVERLAYS,
    Manifest,
    objects,
    references,
)
from tools.check_deploy import name_of, render
from tools.guide import Block, run_by

LINE_SECONDS = 60
# What a reader of the page puts in the place of its own: the other overlay.
PRODUCTION = ("deploy/overlays/single-node", "deploy/overlays/production")

MINOR_MIN = 29  # earlier ones ask for an OpenAPI document that the double does not have


def unfit() -> str:
    """Why the guide's lines for Kubernetes cannot run here, if they cannot."""
    if lacking := [each for each in ("kubectl", "openssl") if not shutil.which(each)]:
        return f"{' and '.join(lacking)} not installed here"
    asked = subprocess.run(["kubectl", "version", "--client", "-o", "json"], capture_output=True)
    minor = int(json.loads(asked.stdout)["clientVersion"]["minor"].rstrip("+"))
    return f"kubectl 1.{minor} is older than 1.{MINOR_MIN}" if minor < MINOR_MIN else ""


needs_kubectl = pytest.mark.skipif(bool(unfit()), reason=f"lines for Kubernetes not run: {unfit()}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout's folder, as far as the guide's lines name its files."""
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    return tmp_path


def run_lines(
    blocks: list[Block], folder: Path, environment: dict[str, str], *here: tuple[str, str]
) -> None:
    """Run every line of blocks, and let none fail."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for line in (line for block in blocks for line in block.lines):
        for there, ours in here:
            line = line.replace(there, ours)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=folder,
            env={**os.environ, **environment, "PATH": path},
            capture_output=True,
            text=True,
            timeout=LINE_SECONDS,
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)


def not_as_rendered(cluster: Cluster, rendered: list[Manifest]) -> list[str]:
    """The rendered objects that the cluster does not hold as they are, and those that it holds beside them."""
    wrong = []
    held = {name_of(each): each for each in cluster.held.values() if each["kind"] != "Secret"}
    for wanted in rendered:
        there = held.pop(name_of(wanted), {})
        parts = wanted.keys() - {"metadata"}
        if {part: there.get(part) for part in parts} != {part: wanted[part] for part in parts}:
            wrong.append(name_of(wanted))
    return wrong + [f"{name}, which is not rendered" for name in held]


def missing(cluster: Cluster) -> list[str]:
    """The secrets and config maps, and keys of them, that objects name and that are not there."""
    found = [each for manifest in cluster.held.values() for each in cluster.missing(manifest)]
    return sorted(set(found))


def idle(secrets: set[str]) -> set[str]:
    """The secrets that no overlay names."""
    named = {
        name
        for overlay in OVERLAYS
        for kind, name, _ in references(objects(overlay))
        if kind == "Secret"
    }
    return secrets - named


@needs_kubectl
def test_the_guide_installs_on_one_node(folder: Path) -> None:
    """Every line ends well; then the cluster holds what is rendered, and each secret and key that it names."""
    cluster = Cluster(made_elsewhere=MADE_BY_OPERATORS)
    with api_server(cluster, folder) as environment:
        run_lines(run_by("cluster"), folder, environment)
    assert not_as_rendered(cluster, objects("single-node")) == []
    assert missing(cluster) == []
    assert idle(set(cluster.of_kind("Secret"))) == set()


@needs_kubectl
def test_the_guide_installs_production_and_upgrades_it(folder: Path) -> None:
    """The same in production; then the migration of a release with other settings can start before all else."""
    cluster = Cluster(made_elsewhere=MADE_BY_OPERATORS)
    with api_server(cluster, folder) as environment:
        run_lines(run_by("cluster"), folder, environment, PRODUCTION)
        assert not_as_rendered(cluster, objects("production")) == []
        before = cluster.of_kind("ConfigMap").keys()
        settings = folder / "deploy/overlays/production/kustomization.yaml"
        settings.write_text(
            settings.read_text().replace("sslmode=verify-full", "sslmode=verify-ca")
        )
        run_lines(run_by("upgrade"), folder, environment)
    assert [each.name for each in cluster.deleted] == ["winnow-migrate"]
    release = list(yaml.safe_load_all(render(settings.parent)))
    after = {each["metadata"]["name"] for each in release if each["kind"] == "ConfigMap"}
    (replaced,) = before - after
    assert not_as_rendered(cluster, release) == [f"ConfigMap/{replaced}, which is not rendered"]
    assert missing(cluster) == []


def installed() -> Cluster:
    """A cluster with production and its secrets, made without kubectl."""
    cluster = Cluster(made_elsewhere=MADE_BY_OPERATORS)
    cluster.create(Place("v1", "namespaces"), named("v1", "Namespace", "winnow"))
    for kind, name, keys in references(objects("production")):
        if kind == "Secret" and name not in MADE_BY_OPERATORS:
            secret = cluster.of_kind("Secret").get(name)
            if secret is None:
                secret = {**named("v1", "Secret", name), "data": {}}
                cluster.create(Place("v1", "secrets", "winnow"), secret)
            secret["data"] |= dict.fromkeys(keys, "")
    for manifest in copy.deepcopy(objects("production")):
        version, kind = manifest["apiVersion"], manifest["kind"]
        if kind != "Namespace":
            cluster.create(Place(version, PLURALS[version][kind], "winnow"), manifest)
    return cluster


def named(version: str, kind: str, name: str) -> Manifest:
    """An object that has no more than a name."""
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}}


def test_what_the_guide_forgets_is_found() -> None:
    """A secret or a key that is used and not made, one that nobody uses, and a lost object are each told."""
    cluster = installed()
    secrets, job = Place("v1", "secrets", "winnow"), Place("batch/v1", "jobs", "winnow")
    assert (missing(cluster), idle(set(cluster.of_kind("Secret")))) == ([], set())
    assert cluster.get(job.named("winnow-migrate"))["status"]["conditions"]
    del cluster.held[secrets.named("winnow-nats-users")]
    del cluster.of_kind("Secret")["winnow-database-services"]["data"]["search"]
    assert missing(cluster) == [
        "Secret/winnow-database-services: search",
        "Secret/winnow-nats-users",
    ]
    cluster.create(secrets, {**named("v1", "Secret", "winnow-spare"), "data": {}})
    assert idle(set(cluster.of_kind("Secret"))) == {"winnow-spare"}
    cluster.delete(job.named("winnow-migrate"))
    assert "Job/winnow-migrate" in not_as_rendered(cluster, objects("production"))
