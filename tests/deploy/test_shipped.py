"""The files of deploy/ agree with the daemon and with each other: settings, addresses, paths,
secrets, versions. `make check-deploy` has the tools that read them judge their form."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from daemon.cli import stopgap
from daemon.config.rules_folder import rule_files
from daemon.config.settings import Settings, load_settings

TREE = Path(__file__).parents[2]
DEPLOY = TREE / "deploy"
BASE = DEPLOY / "kubernetes/base"
SECRETS = "/run/secrets/"
ROUTES = {
    tuple(line.split()[:2])
    for line in (TREE / "tests/data/routes.txt").read_text().splitlines()
    if line and line[0] != "#"
}
_ANALYZE = shutil.which("systemd-analyze")


def read(path: str) -> Any:
    """A YAML file below deploy/ with one document."""
    return yaml.safe_load((DEPLOY / path).read_text())


def documents(path: str) -> dict[str, Any]:
    """The objects of a YAML file below deploy/, by name."""
    found = yaml.safe_load_all((DEPLOY / path).read_text())
    return {one["metadata"]["name"]: one for one in found}


def values() -> dict[str, Any]:
    return dict(read("helm/stopgap/values.yaml"))


def pod() -> dict[str, Any]:
    """The pod that the kustomize base makes."""
    return dict(read("kubernetes/base/statefulset.yaml")["spec"]["template"]["spec"])


def environment() -> dict[str, str]:
    """What the overlay with several replicas puts into the environment."""
    [container] = read("kubernetes/overlays/replicas/replicas.yaml")["spec"]["template"]["spec"][
        "containers"
    ]
    return {one["name"]: one.get("value", "stopgap-0") for one in container["env"]}


SETTINGS: Mapping[str, str] = {
    "compose": (DEPLOY / "compose/stopgap.yaml").read_text(),
    "kubernetes": (BASE / "stopgap.yaml").read_text(),
    # As templates/_helpers.tpl completes them.
    "helm": yaml.safe_dump(
        {"store": "store/stopgap.db", "rules": "/etc/stopgap/rules", **values()["settings"]}
    ),
}
ROSTERS: Mapping[str, str] = {
    "compose": (DEPLOY / "compose/rules/roster.yaml").read_text(),
    "kubernetes": (BASE / "rules/roster.yaml").read_text(),
    "helm": values()["rules"]["roster.yaml"],
}


def loaded(name: str, folder: Path, **more: str) -> Settings:
    file = folder / "stopgap.yaml"
    file.write_text(SETTINGS[name])
    return load_settings(file, more)


# ── settings and rules ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", SETTINGS)
def test_the_settings_and_the_roster_are_sound(name: str, tmp_path: Path) -> None:
    settings = loaded(name, tmp_path)
    assert (settings.host, settings.port) == ("0.0.0.0", 9393)  # noqa: S104
    assert str(settings.rules) == "/etc/stopgap/rules"
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "roster.yaml").write_text(ROSTERS[name])
    argv = ["check", "--config", str(tmp_path / "stopgap.yaml"), str(rules)]
    judged = CliRunner().invoke(stopgap, argv)
    assert judged.exit_code == 0, judged.output
    assert "no mistake" in judged.output


def test_the_replicas_are_told_apart_and_share_the_database(tmp_path: Path) -> None:
    settings = loaded("kubernetes", tmp_path, **environment())
    assert settings.store == "file:/run/secrets/stopgap/store-address"
    assert settings.replica.name == "stopgap-0"
    # What is kept beside it is on the volume, and not in the folder of a ConfigMap.
    assert settings.beside_store == tmp_path / "stopgap.replica"
    compose = read("compose/compose.yaml")["services"]["stopgap-on-postgresql"]
    more = loaded("compose", tmp_path, **compose["environment"])
    assert more.store == "file:/run/secrets/store-address"


def test_the_whole_list_of_settings_is_loaded() -> None:
    shipped = load_settings(DEPLOY / "stopgap.yaml", {})
    assert shipped.model_dump() == Settings().model_dump()


def test_rules_of_a_mounted_configmap_are_read_once(tmp_path: Path) -> None:
    """The kubelet writes the files to a hidden folder, and links to them through another."""
    kept = tmp_path / "..2026_11_30_14_00_00.1"
    kept.mkdir()
    (tmp_path / "..data").symlink_to(kept.name)
    for name in ("checkout.yaml", "roster.yaml"):
        shutil.copy(TREE / "rules" / name, kept)
        (tmp_path / name).symlink_to(f"..data/{name}")
    assert rule_files(tmp_path) == [tmp_path / "checkout.yaml", tmp_path / "roster.yaml"]


def test_what_the_readme_links_to_is_there() -> None:
    text = (DEPLOY / "README.md").read_text()
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert len(links) > 10
    assert [link for link in links if not (DEPLOY / link).exists()] == []
    commands = "\n".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL))
    paths = re.findall(r"(?<![\w/])deploy/[\w./-]+", commands)
    assert len(paths) > 5
    assert [path for path in paths if not (TREE / path).exists()] == []


# ── secrets ──────────────────────────────────────────────────────────────────────────────────


def named_secrets(text: str) -> set[str]:
    """The files of secrets that a text names."""
    return set(re.findall(rf"file:{SECRETS}(?:stopgap/)?([-\w]+)", text))


@pytest.mark.parametrize("service", ["stopgap", "stopgap-on-postgresql"])
def test_compose_mounts_each_secret_that_is_named(service: str) -> None:
    whole = read("compose/compose.yaml")
    mounted = whole["services"][service]
    named = named_secrets(SETTINGS["compose"] + ROSTERS["compose"] + str(mounted))
    assert named == set(mounted["secrets"])
    assert named <= set(whole["secrets"])
    for name, source in whole["secrets"].items():
        assert source == {"file": f"secrets/{name}"}


def test_the_readme_makes_every_secret() -> None:
    text = (DEPLOY / "README.md").read_text()
    for name in read("compose/compose.yaml")["secrets"]:
        assert f"secrets/{name}" in text
    replicas = str(environment())
    for name in named_secrets(SETTINGS["kubernetes"] + ROSTERS["kubernetes"] + replicas):
        assert f"--from-literal={name}=" in text or f"--from-file={name}=" in text
    [mount] = [one for one in pod()["volumes"] if one["name"] == "secrets"]
    assert f"secret generic {mount['secret']['secretName']}" in text
    config = read("kubernetes/operator/alertmanagerconfig.yaml")["spec"]
    [webhook] = config["receivers"][0]["webhookConfigs"]
    credentials = webhook["httpConfig"]["authorization"]["credentials"]
    assert credentials == {"name": mount["secret"]["secretName"], "key": "webhook-token"}


def test_the_unit_takes_credentials_as_its_comment_says() -> None:
    unit = (DEPLOY / "stopgap.service").read_text()
    [(name, _)] = re.findall(r"^#LoadCredential=([-\w]+):(\S+)$", unit, re.MULTILINE)
    assert f"file:/run/credentials/stopgap.service/{name}" in unit


# ── addresses, ports and paths ───────────────────────────────────────────────────────────────


def containerfile() -> str:
    return (DEPLOY / "container/Containerfile").read_text()


def test_the_port_is_one_everywhere() -> None:
    [container] = pod()["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": 9393}]
    for service in documents("kubernetes/base/service.yaml").values():
        assert service["spec"]["ports"] == [{"name": "http", "port": 9393, "targetPort": "http"}]
    assert "\nEXPOSE 9393\n" in containerfile()
    compose = (DEPLOY / "compose/compose.yaml").read_text()
    assert "127.0.0.1:9393:9393" in compose
    jobs = {job["job_name"]: job for job in read("compose/prometheus.yml")["scrape_configs"]}
    assert jobs["stopgap"]["static_configs"] == [{"targets": ["stopgap:9393"]}]
    assert Settings().port == 9393


def webhooks() -> dict[str, str]:
    """Where each Alertmanager that is shipped posts to."""
    found = {}
    for path in ("alertmanager.yml", "compose/alertmanager.yml"):
        [receiver] = [one for one in read(path)["receivers"] if "webhook_configs" in one]
        found[path] = receiver["webhook_configs"][0]["url"]
    config = read("kubernetes/operator/alertmanagerconfig.yaml")["spec"]
    found["operator"] = config["receivers"][0]["webhookConfigs"][0]["url"]
    return found


def test_alertmanager_posts_to_a_route_of_the_daemon() -> None:
    assert {url.partition("9393")[2] for url in webhooks().values()} == {"/api/v1/alerts"}
    assert ("POST", "/api/v1/alerts") in ROUTES
    # The host is the name of the service: in compose, and in the cluster.
    service = documents("kubernetes/base/service.yaml")["stopgap"]["metadata"]["name"]
    assert webhooks()["operator"] == f"http://{service}.stopgap.svc:9393/api/v1/alerts"
    assert webhooks()["compose/alertmanager.yml"].startswith("http://stopgap:9393/")


def test_probes_and_scrapes_ask_routes_of_the_daemon() -> None:
    [container] = pod()["containers"]
    probes = {
        name.removesuffix("Probe"): container[name]["httpGet"]["path"]
        for name in container
        if name.endswith("Probe")
    }
    # A restart mends what is not healthy, and not what is not ready.
    assert probes == {"startup": "/-/healthy", "liveness": "/-/healthy", "readiness": "/-/ready"}
    [monitor] = read("kubernetes/operator/servicemonitor.yaml")["spec"]["endpoints"]
    [checked] = re.findall(r"urlopen\('http://127\.0\.0\.1:9393(\S+)',", containerfile())
    for path in (*probes.values(), monitor["path"], checked):
        assert ("GET", path) in ROUTES


def test_what_is_scraped_is_the_job_that_the_alerts_name() -> None:
    monitor = read("kubernetes/operator/servicemonitor.yaml")["spec"]
    chosen = monitor["selector"]["matchExpressions"][0]["key"]
    scraped = [
        one
        for one in documents("kubernetes/base/service.yaml").values()
        if chosen in one["metadata"].get("labels", {})
    ]
    assert [one["metadata"]["name"] for one in scraped] == ["stopgap-pods"]
    labels = read("kubernetes/base/kustomization.yaml")["labels"][0]["pairs"]
    assert labels[monitor["jobLabel"]] == "stopgap"
    assert 'up{job="stopgap"}' in (DEPLOY / "prometheus/stopgap-alerts.yml").read_text()


def test_the_operator_gets_the_alerts_as_they_are() -> None:
    ours = read("prometheus/stopgap-alerts.yml")
    assert read("kubernetes/operator/prometheusrule.yaml")["spec"] == ours


# ── the process ──────────────────────────────────────────────────────────────────────────────


def test_there_is_time_for_a_stop() -> None:
    needed = Settings().shutdown.total_seconds()
    assert pod()["terminationGracePeriodSeconds"] > needed
    compose = (DEPLOY / "compose/compose.yaml").read_text()
    [seconds] = re.findall(r"stop_grace_period: (\d+)s", compose)
    assert int(seconds) > needed


def test_nothing_runs_as_root_or_writes_beside_its_volumes() -> None:
    [user] = re.findall(r"^USER (\d+):\1$", containerfile(), re.MULTILINE)
    assert int(user) > 0
    whole, [container] = pod()["securityContext"], pod()["containers"]
    assert {whole[key] for key in ("runAsUser", "runAsGroup", "fsGroup")} == {int(user)}
    assert whole["runAsNonRoot"]
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = [one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")]
    assert writable == ["/var/lib/stopgap", "/tmp"]
    [folder] = re.findall(r"^WORKDIR (/var\S+)$", containerfile(), re.MULTILINE)
    assert folder == writable[0]
    for name, service in read("compose/compose.yaml")["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        mounts = [one.split(":") for one in service["volumes"]]
        assert all(one[-1] == "ro" for one in mounts if one[0].startswith(".")), name


@pytest.mark.skipif(_ANALYZE is None, reason="systemd is not installed")
def test_the_unit_is_as_exposed_as_its_comment_says() -> None:
    argv = [_ANALYZE or "", "security", "--offline=true", "--no-pager", "stopgap.service"]
    done = subprocess.run(argv, cwd=DEPLOY, capture_output=True, text=True, check=False)
    [said] = re.findall(r"exposure level for stopgap\.service: (\S+) OK", done.stdout)
    unit = (DEPLOY / "stopgap.service").read_text()
    assert f"stopgap.service` says {said} of it" in unit


# ── versions ─────────────────────────────────────────────────────────────────────────────────


def test_the_version_is_the_one_of_the_package() -> None:
    version = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]["version"]
    chart = read("helm/stopgap/Chart.yaml")
    [image] = read("kubernetes/base/kustomization.yaml")["images"]
    [environ] = re.findall(
        r"^STOPGAP_VERSION=(\S+)$", (DEPLOY / "compose/.env").read_text(), re.MULTILINE
    )
    [built] = re.findall(r"-t stopgap:(\S+) ", containerfile())
    assert {chart["version"], chart["appVersion"], image["newTag"], environ, built} == {version}


def test_every_image_is_pinned() -> None:
    services = read("compose/compose.yaml")["services"].values()
    [python] = re.findall(r"^ARG PYTHON=(\S+)$", containerfile(), re.MULTILINE)
    others = [one["image"].rpartition(":")[2] for one in services if "STOPGAP" not in one["image"]]
    assert len(others) == 3
    for tag in (python, *others):
        assert re.match(r"v?\d+\.\d+", tag)
