"""The parameters of `git_revert`, proven character by character: a label may be in them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema

from daemon.core.values.units import Frozen
from recovery_actions.argocd import ArgoCDPlace, ArgoName

_REPOSITORY = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(?:/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){1,9}"
)
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


def _repository(text: str) -> str:
    if not _REPOSITORY.fullmatch(text) or ".." in text:
        raise ValueError("write the repository like acme/shop-deploy, without address or .git")
    return text.removesuffix(".git")


def _branch(text: str) -> str:
    parts = text.split("/")
    crooked = any(not part or part[0] == "." or part.endswith((".", ".lock")) for part in parts)
    if not _BRANCH.fullmatch(text) or ".." in text or crooked:
        raise ValueError("a branch has letters, digits, `.`, `_`, `-` and `/` alone, like main")
    return text


def _commit(text: str) -> str:
    if not _COMMIT.fullmatch(text):
        raise ValueError("a commit is written by 7 to 64 of the digits 0-9 and a-f")
    return text


def _path(text: str) -> str:
    parts = text.rstrip("/").split("/")
    if len(text) > 500 or not text.isprintable() or {"", ".", ".."} & set(parts):
        raise ValueError("a path begins at the repository's root, like apps/checkout")
    return "/".join(parts)


RepositoryPath = Annotated[
    str,
    AfterValidator(_repository),
    WithJsonSchema({"type": "string", "pattern": f"^{_REPOSITORY.pattern}$"}),
]
BranchName = Annotated[
    str,
    AfterValidator(_branch),
    WithJsonSchema({"type": "string", "pattern": f"^{_BRANCH.pattern}$"}),
]
CommitId = Annotated[
    str,
    AfterValidator(_commit),
    WithJsonSchema({"type": "string", "pattern": f"^{_COMMIT.pattern}$"}),
]
RepositoryFolder = Annotated[str, AfterValidator(_path)]
"""A folder or file of a repository."""


class GitRevertParams(Frozen):
    """`repository` as the host names it. What is reverted is `commit`; or what Argo CD's
    `application` has had live since it was measured healthy; or the suspect, if it is a commit.

    `branch` is what is deployed, by itself the default branch; `paths` are all that may go back.
    `project` and `app_namespace` of the application are as in argocd_rollback.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"repository": "acme/shop-deploy", "application": "checkout"}]
        }
    )

    repository: RepositoryPath
    branch: BranchName | None = None
    commit: CommitId | None = None
    application: ArgoName | None = None
    project: ArgoName | None = None
    app_namespace: ArgoName | None = None
    paths: tuple[RepositoryFolder, ...] = Field(default=(), max_length=20)
    direct: bool = False

    @property
    def place(self) -> ArgoCDPlace | None:
        """The application of Argo CD, if one is named."""
        if self.application is None:
            return None
        return ArgoCDPlace(
            application=self.application, project=self.project, app_namespace=self.app_namespace
        )
