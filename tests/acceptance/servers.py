"""Real servers for a test, by the sandbox's own way of starting and stopping processes."""

from __future__ import annotations

import importlib.util
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from tests.acceptance.running import TREE
from tests.acceptance.waiting import wait_until


def _sandbox_module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TREE / "deploy/sandbox" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


processes = _sandbox_module("processes")


class Alertmanager:
    """A real Alertmanager that can be killed and started again, at the same address."""

    def __init__(self, folder: Path, config: str) -> None:
        (port,) = processes.free_ports(1)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "alertmanager.yml").write_text(config)
        self.url = f"http://127.0.0.1:{port}"
        self._processes = processes.Processes(folder)
        self._argv = [
            processes.program("ALERTMANAGER_BIN", "prometheus-alertmanager", "alertmanager"),
            "--config.file=alertmanager.yml",
            "--storage.path=data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ]

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self._processes.start("alertmanager", self._argv, {})
        ready = f"{self.url}/-/ready"
        wait_until("Alertmanager to be ready", lambda: _answers(ready, self._processes), 20)

    def kill(self) -> None:
        """Kill it as a crash would."""
        self._processes.kill("alertmanager")

    def stop(self) -> None:
        """Stop it for good."""
        self._processes.stop()


@contextmanager
def killable_alertmanager(folder: Path, config: str) -> Iterator[Alertmanager]:
    """A real Alertmanager with that configuration."""
    server = Alertmanager(folder, config)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def alertmanager(folder: Path, config: str) -> Iterator[str]:
    """A real Alertmanager with that configuration; its address."""
    with killable_alertmanager(folder, config) as server:
        yield server.url


@contextmanager
def victoria_metrics(folder: Path, config: str) -> Iterator[str]:
    """A real VictoriaMetrics that scrapes as that configuration of Prometheus says; its address."""
    argv = [
        processes.program("VICTORIA_METRICS_BIN", "victoria-metrics"),
        "-promscrape.config=prometheus.yml",
        "-storageDataPath=data",
        "-memory.allowedBytes=100MB",
        "-httpListenAddr=SELF",
    ]
    with _scraping(folder, config, "victoria-metrics", argv) as address:
        yield f"http://{address}"


@contextmanager
def prometheus(folder: Path, config: str, *flags: str, web: str = "") -> Iterator[str]:
    """A real Prometheus with that configuration, started with those flags; its address. `web`: its
    `--web.config.file`, with TLS and perhaps with passwords, so that whoever wants it ready has to
    ask for that."""
    argv = [
        processes.program("PROMETHEUS_BIN", "prometheus"),
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        "--web.listen-address=SELF",
        *flags,
    ]
    if web:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "web.yml").write_text(web)
        argv.append("--web.config.file=web.yml")
    with _scraping(folder, config, "prometheus", argv, asked=not web) as address:
        yield f"{'https' if web else 'http'}://{address}"


@contextmanager
def _scraping(
    folder: Path, config: str, name: str, argv: list[str], *, asked: bool = True
) -> Iterator[str]:
    """A server that scrapes as `config` says, with its own address for SELF there and in `argv`;
    `asked`: whether it is waited for."""
    (port,) = processes.free_ports(1)
    address = f"127.0.0.1:{port}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(config.replace("SELF", address))
    running = processes.Processes(folder)
    try:
        running.start(name, [part.replace("SELF", address) for part in argv], {})
        if asked:
            ready = f"http://{address}/-/ready"
            wait_until(f"{name} to be ready", lambda: _answers(ready, running), 20)
        yield address
    finally:
        running.stop()


def _answers(url: str, running: ModuleType) -> bool:
    running.check()
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
