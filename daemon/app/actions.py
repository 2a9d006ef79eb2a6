"""Builds what recovery acts with: the catalogue of actions, and how much automation is allowed."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.app.access import secret_reader
from daemon.config.sections import ClusterSettings
from daemon.config.settings import Settings
from daemon.core.ports.actions import Action
from daemon.core.recovery.guardrails import Limits
from recovery_actions import catalogue
from recovery_actions.workshop import ArgoCD, Cluster, GitHosting, Workshop


def actions_for(settings: Settings) -> Mapping[str, Action]:
    """The catalogue of actions under these settings."""
    return catalogue(workshop_for(settings, {}))


def workshop_for(settings: Settings, environ: Mapping[str, str], umask: int = -1) -> Workshop:
    """What actions are built with; `umask` is what their commands get."""
    kubernetes, argocd = settings.kubernetes, settings.argocd

    def cluster(chosen: ClusterSettings) -> Cluster:
        found = chosen.kubeconfig or kubernetes.kubeconfig
        path = None if found is None else settings.base / found.expanduser()
        return Cluster(path, chosen.context, chosen.timeout)

    return Workshop(
        base=settings.base,
        commands=settings.commands.allow,
        hosts=settings.http.allow,
        cluster=cluster(kubernetes),
        clusters={name: cluster(one) for name, one in kubernetes.clusters.items()},
        argocd=ArgoCD(argocd.url, argocd.token, argocd.timeout),
        git=GitHosting(**dict(settings.git)),
        options=settings.actions,
        umask=umask,
        secret=secret_reader(settings, environ),
        outgoing=settings.outgoing.policy,
    )


def limits_for(settings: Settings) -> Limits:
    """How much automation is allowed."""
    recovery = settings.recovery
    budgets = recovery.budgets
    return Limits(
        cooldown=recovery.cooldown,
        flap=recovery.flap,
        budgets={
            "rule": budgets.rule,
            "team": budgets.team,
            "domain": budgets.domain,
            "global": recovery.budget,
        },
        budget_window=recovery.budget_window,
        storm=recovery.storm,
        storm_window=recovery.storm_window,
        onset_age=recovery.onset_age,
    )
