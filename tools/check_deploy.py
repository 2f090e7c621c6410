"""Renders the overlays of deploy/ and checks every object strictly, so that an unknown kind or field fails.

Kubernetes' own kinds are checked against the schemas of two of its versions, those of operators against their models,
and the queries of alerts and dashboards by Prometheus' grammar. No API server has seen the result.
"""

import argparse
import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
OVERLAYS = ROOT / "deploy" / "overlays"
RENDERED = ROOT / "deploy" / "rendered"
VERSIONS = ("1.34", "1.37")
Manifest = dict[str, Any]
Check = Callable[[Manifest], list[str]]


def render(overlay: Path) -> str:
    """Return what kustomize makes of an overlay."""
    for program in (["kubectl", "kustomize"], ["kustomize", "build"]):
        if shutil.which(program[0]):
            done = subprocess.run([*program, overlay], capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"{overlay.name}: {done.stderr.strip()}")
            return done.stdout
    raise SystemExit("rendering needs kubectl or kustomize in PATH")


def objects(text: str) -> list[Manifest]:
    """Return the objects of a stream of YAML documents."""
    return [each for each in yaml.safe_load_all(text) if each]


def name_of(manifest: Manifest) -> str:
    """A name for people."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def models() -> dict[tuple[str, str], Any]:
    """The models of operators' kinds by API version and kind."""
    import cloudcoil.models.cert_manager.v1 as cert_manager  # noqa: PLC0415
    import cloudcoil.models.keda.v1alpha1 as keda  # noqa: PLC0415
    import cloudcoil.models.prometheus_operator.v1 as prometheus  # noqa: PLC0415

    return {
        ("cert-manager.io/v1", "Certificate"): cert_manager.Certificate,
        ("cert-manager.io/v1", "Issuer"): cert_manager.Issuer,
        ("keda.sh/v1alpha1", "ScaledObject"): keda.ScaledObject,
        ("monitoring.coreos.com/v1", "ServiceMonitor"): prometheus.ServiceMonitor,
        ("monitoring.coreos.com/v1", "PrometheusRule"): prometheus.PrometheusRule,
    }


def operators_check(known: dict[tuple[str, str], Any]) -> Check:
    """Check a kind of an operator by its model, which alone would let unknown fields pass."""
    import jsonschema  # noqa: PLC0415
    from pydantic import ValidationError  # noqa: PLC0415

    schema = yaml.safe_load((ROOT / "deploy/schemas/cnpg-cluster.yaml").read_text())
    cluster = jsonschema.Draft202012Validator(schema)

    def check(manifest: Manifest) -> list[str]:
        kind = (manifest["apiVersion"], manifest["kind"])
        if kind == ("postgresql.cnpg.io/v1", "Cluster"):
            return [
                f"{error.json_path}: {error.message}" for error in cluster.iter_errors(manifest)
            ]
        if kind not in known:
            return [f"{' '.join(kind)} is no kind that can be checked"]
        try:
            model = known[kind].model_validate(copy.deepcopy(manifest))
        except ValidationError as error:
            return [f"{each['loc']}: {each['msg']}" for each in error.errors()]
        understood = json.loads(model.model_dump_json(by_alias=True, exclude_unset=True))
        return [f"{path} is unknown" for path in unknown(manifest, understood, "")]

    return check


def unknown(given: Any, understood: Any, path: str) -> Iterator[str]:
    """The paths that a model did not take over."""
    if isinstance(given, dict):
        taken = understood if isinstance(understood, dict) else {}
        for key, value in given.items():
            if key not in taken:
                yield f"{path}.{key}"
            else:
                yield from unknown(value, taken[key], f"{path}.{key}")
    elif isinstance(given, list) and isinstance(understood, list):
        for index, (one, other) in enumerate(zip(given, understood, strict=False)):
            yield from unknown(one, other, f"{path}[{index}]")


def check_object(manifest: Manifest, operators: Check) -> list[str]:
    """Return what is wrong with an object; a kind that is Kubernetes' own is checked against each version."""
    import kubernetes_validate  # noqa: PLC0415

    wrong = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            return operators(manifest)
        except kubernetes_validate.ValidationError as error:
            wrong.append(f"Kubernetes {version}: {error.message}")
    return wrong


def queries(manifest: Manifest) -> Iterator[str]:
    """The queries of an object: of alerts, and of the dashboards that it holds."""
    if manifest["kind"] == "PrometheusRule":
        for group in manifest["spec"]["groups"]:
            yield from (rule["expr"] for rule in group["rules"])
    if manifest["kind"] == "ScaledObject":
        for trigger in manifest["spec"]["triggers"]:
            if trigger["type"] == "prometheus":
                yield trigger["metadata"]["query"]
    if "grafana_dashboard" in manifest["metadata"].get("labels", {}):
        for text in manifest["data"].values():
            for panel in json.loads(text)["panels"]:
                yield from (target["expr"] for target in panel["targets"])


def check_query(query: str) -> list[str]:
    """Return what is wrong with a query."""
    import promql_parser  # noqa: PLC0415

    try:
        promql_parser.parse(query)
    except ValueError as error:
        return [f"{query}: {error}"]
    return []


def spoilt(manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
    """The object with one mistake each: what a check that sees nothing would let pass."""
    field = copy.deepcopy(manifest)
    target = next(
        (field[part] for part in ("spec", "data", "rules") if isinstance(field.get(part), dict)),
        field,
    )
    if "data" not in field:
        target["replicaz"] = 3
        yield "an unknown field", field
    kind = copy.deepcopy(manifest)
    kind["kind"] += "z"
    yield "an unknown kind", kind


def check() -> int:
    """Check everything; return how much is wrong."""
    operators = operators_check(models())
    wrong = 0
    for overlay in sorted(path for path in OVERLAYS.iterdir() if path.is_dir()):
        text = render(overlay)
        committed = RENDERED / f"{overlay.name}.yaml"
        found = (
            [] if committed.read_text() == text else ["differs from deploy/rendered: make render"]
        )
        manifests = objects(text)
        for manifest in manifests:
            problems = check_object(manifest, operators)
            problems += [each for query in queries(manifest) for each in check_query(query)]
            found += [f"{name_of(manifest)}: {problem}" for problem in problems]
            found += [
                f"{name_of(manifest)}: {mistake} passes"
                for mistake, bad in spoilt(manifest)
                if not check_object(bad, operators)
            ]
        count = sum(1 for manifest in manifests for _ in queries(manifest))
        print(f"{overlay.name}: {len(manifests)} objects, {count} queries, {len(found)} wrong")
        for problem in found:
            print(f"  {problem}", file=sys.stderr)
        wrong += len(found)
    return wrong


def main() -> None:
    """Render, or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--render", action="store_true", help="write deploy/rendered anew")
    if parser.parse_args().render:
        RENDERED.mkdir(exist_ok=True)
        for overlay in OVERLAYS.iterdir():
            (RENDERED / f"{overlay.name}.yaml").write_text(render(overlay))
        return
    sys.exit(1 if check() else 0)


if __name__ == "__main__":
    main()
