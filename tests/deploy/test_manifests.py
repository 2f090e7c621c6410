"""What every rendered overlay of deploy/ must hold, whatever is edited in it."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path

import pytest

from services.common.addresses import NAMES, AddressSettings
from services.common.bus import TASKS_STREAM
from services.common.bus_access import SERVICES
from services.common.deadlines import DEADLINE_SECONDS_MAX
from services.common.errors import CallerNotAllowed
from services.common.settings import PREFIX, known_names
from services.common.stages import STAGES
from services.common.tls import Callers
from tests.deploy.manifests import (
    DEPLOY,
    MADE_BY_OPERATORS,
    OVERLAYS,
    Manifest,
    objects,
    references,
)

SECRETS = {
    "winnow-database-owner",
    "winnow-database-services",
    "winnow-nats",
    "winnow-nats-keys",
    "winnow-nats-users",
}

every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def of_kind(overlay: str, *kinds: str) -> list[Manifest]:
    """The objects of some kinds."""
    return [each for each in objects(overlay) if each["kind"] in kinds]


def pods(overlay: str) -> Iterator[tuple[str, Manifest]]:
    """The pod templates of an overlay with the names of what makes them."""
    for each in of_kind(overlay, "Deployment", "StatefulSet", "Job"):
        yield each["metadata"]["name"], each["spec"]["template"]


def containers(template: Manifest) -> list[Manifest]:
    """All containers of a pod, those that run first included."""
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]


def matches(selector: Manifest, labels: dict[str, str]) -> bool:
    """Whether a label selector selects something with these labels."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for rule in selector.get("matchExpressions", []):
        assert rule["operator"] == "In"
        if labels.get(rule["key"]) not in rule["values"]:
            return False
    return True


def labels_of(overlay: str) -> list[dict[str, str]]:
    """The labels of every pod that there will be, those of the database's operator and of clients included."""
    found = [template["metadata"]["labels"] for _, template in pods(overlay)]
    found += [each["spec"]["inheritedMetadata"]["labels"] for each in of_kind(overlay, "Cluster")]
    return [*found, {"winnow/client": "true"}]


@every_overlay
def test_the_rendered_files_are_fresh(overlay: str) -> None:
    """What is committed is what kustomize makes today."""
    if not shutil.which("kubectl"):
        pytest.skip("no kubectl here: make check-deploy compares as well")
    command = ["kubectl", "kustomize", DEPLOY / "overlays" / overlay]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert made == (DEPLOY / "rendered" / f"{overlay}.yaml").read_text()


@every_overlay
def test_every_service_runs(overlay: str) -> None:
    """There is a Deployment, a headless Service, and a budget for each service, and their selectors meet its pods."""
    for name in NAMES:
        labels = dict(pods(overlay))[f"winnow-{name}"]["metadata"]["labels"]
        budgets = [
            each
            for each in of_kind(overlay, "PodDisruptionBudget")
            if matches(each["spec"]["selector"], labels)
        ]
        services = [
            each
            for each in of_kind(overlay, "Service")
            if matches({"matchLabels": each["spec"]["selector"]}, labels)
        ]
        assert [each["metadata"]["name"] for each in budgets] == [f"winnow-{name}"]
        assert [each["metadata"]["name"] for each in services] == [f"winnow-{name}"]
        assert services[0]["spec"]["clusterIP"] == "None"


@every_overlay
def test_ports_meet(overlay: str) -> None:
    """A service listens on the port that its Service, its pods and the settings' defaults name."""
    for service in of_kind(overlay, "Service"):
        selector = {"matchLabels": service["spec"]["selector"]}
        (template,) = [t for _, t in pods(overlay) if matches(selector, t["metadata"]["labels"])]
        named = {
            p["name"]: p["containerPort"] for c in containers(template) for p in c.get("ports", [])
        }
        for port in service["spec"]["ports"]:
            assert named[port["targetPort"]] == port["port"]
    for name in NAMES:
        (container,) = dict(pods(overlay))[f"winnow-{name}"]["spec"]["containers"]
        port = int(AddressSettings().of(name).rpartition(":")[2])
        assert {"name": "grpc", "containerPort": port} in container["ports"]
        listens = {"name": f"WINNOW_{name.upper()}_ADDRESS", "value": f"0.0.0.0:{port}"}
        assert listens in container["env"]
        assert container["args"] == ["run", name]


@every_overlay
def test_every_container_is_restricted(overlay: str) -> None:
    """No root, no writable root, no capability, no way to more, bounded memory, and an image that stays what it is."""
    (namespace,) = of_kind(overlay, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, template in pods(overlay):
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert not any("hostPath" in volume for volume in spec["volumes"])
        for container in containers(template):
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True, name
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]
            assert ":" in container["image"]
            assert not container["image"].endswith(":latest")


@every_overlay
def test_settings_are_known(overlay: str) -> None:
    """Nothing in the environment is refused: every setting exists, and Kubernetes adds none of its own."""
    known = known_names()
    for each in of_kind(overlay, "ConfigMap"):
        for name in each["data"]:
            assert not name.startswith(PREFIX) or name in known, name
    for name, template in pods(overlay):
        assert template["spec"]["enableServiceLinks"] is False, name
        for container in containers(template):
            for variable in container.get("env", []):
                assert not variable["name"].startswith(PREFIX) or variable["name"] in known


@every_overlay
def test_what_is_put_together_is_there(overlay: str) -> None:
    """Every `$(NAME)` in a value is a variable that the same container has before it."""
    maps = {each["metadata"]["name"]: each["data"] for each in of_kind(overlay, "ConfigMap")}
    for name, template in pods(overlay):
        for container in containers(template):
            known = {
                key
                for source in container.get("envFrom", [])
                for key in maps[source["configMapRef"]["name"]]
            }
            for variable in container.get("env", []):
                used = set(re.findall(r"\$\((\w+)\)", variable.get("value", "")))
                assert used <= known, (name, variable["name"], used - known)
                known.add(variable["name"])


@every_overlay
def test_what_is_referred_to_exists(overlay: str) -> None:
    """Settings and secrets that pods name are here, made by an operator, or listed as yours to make in the guide."""
    maps = {each["metadata"]["name"] for each in of_kind(overlay, "ConfigMap")}
    guide = (DEPLOY.parent / "docs" / "operating.md").read_text()
    assert all(f"create secret generic {secret} " in guide for secret in SECRETS)
    for _, template in pods(overlay):
        for kind, name, _ in references(template["spec"]):
            assert name in (maps if kind == "ConfigMap" else SECRETS | MADE_BY_OPERATORS), name


@every_overlay
def test_probes_ask_the_process_alone(overlay: str) -> None:
    """Start, readiness and liveness ask the health port, which knows no database; a restart would not mend one."""
    settings = settings_of(overlay)
    port = int(settings["WINNOW_RPC_HEALTH_ADDRESS"].rpartition(":")[2])
    for name in NAMES:
        (container,) = dict(pods(overlay))[f"winnow-{name}"]["spec"]["containers"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["grpc"] == {"port": port}
        assert {"name": "health", "containerPort": port} in container["ports"]


def settings_of(overlay: str) -> dict[str, str]:
    """The settings that all services share."""
    for each in of_kind(overlay, "ConfigMap"):
        if each["metadata"]["name"].startswith("winnow-settings"):
            data: dict[str, str] = each["data"]
            return data
    raise AssertionError("no settings")


@every_overlay
def test_stopping_takes_as_long_as_the_longest_call(overlay: str) -> None:
    """Calls may last as long as the edge lets them, then tasks as long again, before Kubernetes kills."""
    drain = float(settings_of(overlay)["WINNOW_RPC_DRAIN_SECONDS"])
    assert drain >= DEADLINE_SECONDS_MAX
    for name in NAMES:
        spec = dict(pods(overlay))[f"winnow-{name}"]["spec"]
        pause = int(spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
        assert spec["terminationGracePeriodSeconds"] > pause + 2 * drain


@every_overlay
def test_connections_end_and_replicas_spread(overlay: str) -> None:
    """Clients must look replicas up again, and replicas of one service keep apart."""
    assert 0 < float(settings_of(overlay)["WINNOW_RPC_CONNECTION_AGE_SECONDS"]) <= 900
    for name in NAMES:
        spread = dict(pods(overlay))[f"winnow-{name}"]["spec"]["topologySpreadConstraints"]
        keys = {each["topologyKey"] for each in spread}
        assert keys == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
        assert all("app.kubernetes.io/name" in each["matchLabelKeys"] for each in spread)


@every_overlay
def test_nothing_may_talk_unless_said(overlay: str) -> None:
    """A policy denies everything to every pod, and each other one selects pods that there are."""
    policies = of_kind(overlay, "NetworkPolicy")
    deny = [each["spec"] for each in policies if each["metadata"]["name"] == "default-deny"]
    assert deny == [{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}]
    labels = labels_of(overlay)
    for policy in policies:
        peers = [policy["spec"]["podSelector"]]
        for rule in [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]:
            sides = [*rule.get("from", []), *rule.get("to", [])]
            peers += [p["podSelector"] for p in sides if set(p) == {"podSelector"}]
        for selector in peers:
            assert any(matches(selector, each) for each in labels), policy["metadata"]["name"]


@every_overlay
def test_who_is_let_in_may_go_out(overlay: str) -> None:
    """Everybody in the namespace whom a policy lets in may also call, and calls nobody who does not let them in."""
    goes_out = set(pairs(overlay, "egress", "to"))
    comes_in = {(caller, called) for called, caller in pairs(overlay, "ingress", "from")}
    assert goes_out <= comes_in
    assert {caller for caller, _ in comes_in} == {caller for caller, _ in goes_out}


def pairs(overlay: str, side: str, peers: str) -> Iterator[tuple[str, str]]:
    """The pods that rules of one side select, each with every pod of the namespace that they name."""
    for policy in of_kind(overlay, "NetworkPolicy"):
        named = [
            peer["podSelector"]
            for rule in policy["spec"].get(side, [])
            for peer in rule.get(peers, [])
            if set(peer) == {"podSelector"}
        ]
        for here in selected(overlay, policy["spec"]["podSelector"]):
            for selector in named:
                for there in selected(overlay, selector):
                    yield here, there


def selected(overlay: str, selector: Manifest) -> Iterator[str]:
    """What the pods are called that a selector selects."""
    for labels in labels_of(overlay):
        if matches(selector, labels):
            yield labels.get("app.kubernetes.io/name") or ", ".join(sorted(labels))


def test_one_node_is_small() -> None:
    """All that runs on one node fits beside a cluster's own pods on two processors, also while pods are replaced."""
    asked = [
        Decimal(value[:-1]) / 1000 if value.endswith("m") else Decimal(value)
        for _, template in pods("single-node")
        for container in template["spec"]["containers"]
        for value in [container["resources"]["requests"]["cpu"]]
    ]
    assert sum(asked) <= Decimal("1.7")
    for each in of_kind("single-node", "Deployment"):
        assert each["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_replicas_are_the_autoscalers_in_production() -> None:
    """Each service is scaled by what exists, on consumers that the code declares, and sets no number itself."""
    targets = {
        each["spec"]["scaleTargetRef"]["name"] for each in of_kind("production", "ScaledObject")
    }
    assert targets == {f"winnow-{name}" for name in NAMES}
    for deployment in of_kind("production", "Deployment"):
        assert "replicas" not in deployment["spec"]
    for scaled in of_kind("production", "ScaledObject"):
        assert scaled["spec"]["minReplicaCount"] >= 2
        for trigger in scaled["spec"]["triggers"]:
            if trigger["type"] == "nats-jetstream":
                assert trigger["metadata"]["stream"] == TASKS_STREAM
                assert trigger["metadata"]["consumer"] in STAGES


def test_production_keeps_copies() -> None:
    """Three brokers with three copies, and a database whose commits wait for a second instance."""
    (nats,) = [
        each for each in of_kind("production", "StatefulSet") if each["metadata"]["name"] == "nats"
    ]
    assert nats["spec"]["replicas"] == int(settings_of("production")["WINNOW_NATS_REPLICAS"]) == 3
    (cluster,) = of_kind("production", "Cluster")
    assert cluster["spec"]["instances"] == 3
    assert cluster["spec"]["postgresql"]["synchronous"]["dataDurability"] == "required"
    (configuration,) = [
        each
        for each in of_kind("production", "ConfigMap")
        if each["metadata"]["name"].startswith("nats")
    ]
    assert configuration["data"]["nats.conf"].count("nats-route://") == 3


def test_each_service_has_its_own_key_to_the_broker(tmp_path: Path) -> None:
    """In production no password is shared, and the broker takes what `winnow broker users` prints."""
    for deployment in of_kind("production", "Deployment"):
        pod, service = deployment["spec"]["template"]["spec"], deployment["metadata"]["name"][7:]
        assert "NATS_PASSWORD" not in {each["name"] for each in pod["containers"][0]["env"]}
        keys = [
            item["key"]
            for volume in pod["volumes"]
            if volume.get("secret", {}).get("secretName") == "winnow-nats-keys"
            for item in volume["secret"]["items"]
        ]
        assert keys == ([f"{service}.nkey"] if service in SERVICES else [])
    (tmp_path / "nats").mkdir()
    (tmp_path / "nats-users").mkdir()
    (tmp_path / "seeds").mkdir()
    winnow = Path(sys.executable).with_name("winnow")
    printed = subprocess.run(
        [winnow, "broker", "users", tmp_path / "seeds"], capture_output=True, text=True, check=True
    )
    (tmp_path / "nats-users" / "users.conf").write_text(printed.stdout)
    (configuration,) = [
        each["data"]["nats.conf"]
        for each in of_kind("production", "ConfigMap")
        if each["metadata"]["name"].startswith("nats")
    ]
    (tmp_path / "nats" / "nats.conf").write_text(configuration)
    tested = subprocess.run(
        [winnow.with_name("nats-server"), "-t", "-c", tmp_path / "nats" / "nats.conf"],
        env={"POD_NAME": "nats-0"},
        capture_output=True,
        text=True,
    )
    assert tested.returncode == 0, tested.stderr


def test_every_service_shows_a_certificate_of_its_own() -> None:
    """Who holds the key of one service cannot pose as another, and callers are told apart by their names."""
    certificates = {
        each["spec"]["secretName"]: each["spec"]["dnsNames"]
        for each in of_kind("production", "Certificate")
        if "dnsNames" in each["spec"]
    }
    for deployment in of_kind("production", "Deployment"):
        name = deployment["metadata"]["name"]
        volumes = deployment["spec"]["template"]["spec"]["volumes"]
        (secret,) = [each["secret"]["secretName"] for each in volumes if each["name"] == "tls"]
        assert all(each.split(".")[0] == name for each in certificates.pop(secret))
    assert not certificates


def test_services_call_no_more_than_they_need() -> None:
    """By its certificate search may have queries embedded, another service nothing, and a client all."""
    (settings,) = [
        each["data"]
        for each in of_kind("production", "ConfigMap")
        if each["metadata"]["name"].startswith("winnow-settings")
    ]
    callers = Callers.parse(settings["WINNOW_TLS_CALLERS"])
    embed, ingest = (
        "/winnow.embedder.v1.EmbedderService/Embed",
        "/winnow.ingest.v1.IngestService/IngestMessages",
    )
    for name, method, allowed in (
        ("winnow-search", embed, True),
        ("winnow-ingest", embed, False),
        ("winnow-search", ingest, False),
        ("winnow-client", embed, True),
        ("winnow-client", ingest, True),
    ):
        with nullcontext() if allowed else pytest.raises(CallerNotAllowed):
            callers.check(method, {"x509_subject_alternative_name": [name.encode()]})
