"""`make check-deploy`: what is deployed, judged by the tools that will read it.

hadolint reads the Containerfile, compose the compose file, kubectl builds the overlays, Helm's own
library renders the chart, and every object is held to Kubernetes' schemas, strictly. What the chart
renders has to be what the overlays say, but for labels. Runs with the Python of .venv-deploy, which
`deploy/setup.sh deploy_tools` makes. Ends with 1 and every fault.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

try:
    import helm_python
except ImportError:  # there is no wheel of it for this machine
    helm_python = None

DEPLOY = Path(__file__).resolve().parent
CHART = DEPLOY / "helm/stopgap"
KUBERNETES = ("1.27", "1.37")
"""The oldest and the newest version whose schemas everything is held to."""
SEVERAL = {"replicas": 3, "database": True, "actsIn": ["shop"]}
"""The values by which the chart is the overlay `replicas`, and acts in a namespace."""
REFUSED: Sequence[Mapping[str, Any]] = (
    {"replicas": 2},
    {"replics": 1},
    {"settings": {"listen": "0.0.0.0:80"}},
    {"actsIn": ["Shop"]},
)
"""Values that the chart's schema has to refuse."""

Objects = dict[tuple[str, str], dict[str, Any]]
"""Kubernetes objects by kind and name."""


def ran(argv: Sequence[str], **environment: str) -> tuple[str, str]:
    """What a tool of this environment prints, and what it complains of; empty if of nothing."""
    program = Path(sys.executable).parent / argv[0]
    done = subprocess.run(  # noqa: S603 - our own tools and our own files
        [program, *argv[1:]],
        cwd=DEPLOY,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    said = (done.stderr + done.stdout).strip() or f"it ended with {done.returncode}"
    return done.stdout, said if done.returncode else ""


def objects(text: str) -> Objects:
    """The objects of a stream of YAML documents."""
    found = (one for one in yaml.safe_load_all(text) if one)
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def container() -> Iterator[str]:
    """The faults of the Containerfile."""
    _, wrong = ran(["hadolint", "container/Containerfile"])
    if wrong:
        yield f"container/Containerfile: {wrong}"


def compose() -> Iterator[str]:
    """The faults of the compose file, with each profile."""
    for profile in ("sqlite", "postgresql"):
        argv = ["docker-compose", "--project-directory", "compose", "config", "--quiet"]
        _, wrong = ran(argv, COMPOSE_PROFILES=profile)
        if wrong:
            yield f"compose/compose.yaml, profile {profile}: {wrong}"


def built(folder: str) -> Objects:
    """What kubectl makes of a folder. Raises ValueError with what it says."""
    text, wrong = ran(["kubectl", "kustomize", folder])
    if wrong:
        raise ValueError(f"{folder}: {wrong}")
    return objects(text)


def ill_formed(where: str, found: Objects) -> Iterator[str]:
    """What Kubernetes' schemas say against objects."""
    for (kind, name), raw in found.items():
        if "monitoring.coreos.com" in raw["apiVersion"]:
            continue  # of the Prometheus operator, whose schemas no package carries
        for version in KUBERNETES:
            try:
                kubernetes_validate.validate(raw, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{where}: {kind} {name}, Kubernetes {version}: {error.message}"


def rendered(values: Mapping[str, Any]) -> Objects:
    """What Helm makes of the chart."""
    with helm_python.Chart.load(str(CHART)) as chart:
        files = chart.render(dict(values), name="stopgap", namespace="stopgap")
    return objects("\n---\n".join(text for name, text in files.items() if name.endswith(".yaml")))


def accepted(values: Mapping[str, Any]) -> bool:
    """Whether the chart's schema takes the values."""
    with helm_python.Chart.load(str(CHART)) as chart:
        try:
            chart.validate_schema(dict(values))
        except helm_python.HelmError:
            return False
    return True


def substance(value: Any) -> Any:
    """An object without what Helm and kustomize name in ways of their own: labels but for the one
    that selects, the suffix of a ConfigMap, the namespace."""
    if isinstance(value, list):
        return [substance(one) for one in value]
    if isinstance(value, str):
        return re.sub(r"^(stopgap-settings)-[a-z0-9]{10}$", r"\1", value)
    if not isinstance(value, dict):
        return value
    own = {"labels", "annotations", "imagePullPolicy", "app.kubernetes.io/instance", "namespace"}
    kept = {key: substance(one) for key, one in value.items() if key not in own}
    if kept.get("kind") == "ConfigMap":
        kept["data"] = {name: yaml.safe_load(text) for name, text in value["data"].items()}
    return kept


def by_substance(found: Objects) -> dict[tuple[str, str], Any]:
    """Objects that can be compared, by kind and name."""
    reduced = (substance(raw) for (kind, _), raw in found.items() if kind != "Namespace")
    return {(raw["kind"], raw["metadata"]["name"]): raw for raw in reduced}


def unlike(where: str, chart: Objects, overlay: Objects) -> Iterator[str]:
    """In which objects the chart and an overlay are not the same."""
    ours, theirs = by_substance(chart), by_substance(overlay)
    for key in sorted({*ours, *theirs}):
        if ours.get(key) != theirs.get(key):
            kind, name = key
            yield (
                f"{where}: {kind} {name} is not what helm/stopgap renders:\n"
                f"  chart:   {ours.get(key)}\n  overlay: {theirs.get(key)}"
            )


def kubernetes() -> Iterator[str]:
    """The faults of the overlays, and of the chart beside them."""
    single, replicas, rights, operator = (
        built(f"kubernetes/{name}")
        for name in ("overlays/single", "overlays/replicas", "rights", "operator")
    )
    for name, found in {"single": single, "replicas": replicas, "rights": rights}.items():
        yield from ill_formed(name, found)
    if len(operator) != 3:
        yield f"kubernetes/operator: three objects were expected, not {sorted(operator)}"
    if helm_python is None:
        return
    findings = helm_python.lint(str(CHART))
    yield from (f"helm/stopgap: {one}" for one in findings["errors"])
    yield from (f"helm/stopgap: {m}" for m in findings["messages"] if m["severity"] > 1)
    for values, overlay in (({}, single), (SEVERAL, replicas | rights)):
        chart = rendered(values)
        yield from ill_formed("helm/stopgap", chart)
        yield from unlike(f"helm/stopgap with {values}", chart, overlay)
    for values in REFUSED:
        if accepted(values):
            yield f"helm/stopgap/values.schema.json takes {values}"


def main() -> int:
    """Every fault, and how many there were."""
    wrong = [fault for check in (container, compose, kubernetes) for fault in check()]
    said = [*wrong, f"deploy: {len(wrong) or 'no'} fault{'' if len(wrong) == 1 else 's'}"]
    if helm_python is None:
        said.append("deploy: the chart was not rendered: there is no Helm for this machine")
    sys.stdout.write("".join(f"{line}\n" for line in said))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
