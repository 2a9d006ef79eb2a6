"""What an answer of the API server means, and how what we send is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.core.values.outcome import Permanent, Temporary
from recovery_actions.kubernetes.client import encoded
from recovery_actions.kubernetes.errors import (
    Expired,
    Forbidden,
    Missing,
    NotDone,
    VersionConflict,
    failure,
)
from recovery_actions.kubernetes.names import Resource
from tests.contract.kubernetes_answers import foreign, policy_denial

CHECKOUT = Resource("apps/v1", "deployments", "prod", "checkout", cluster="")


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (401, "Unauthorized", Permanent),
        (403, "no", Forbidden),
        (404, "not found", Missing),
        (408, "", Temporary),
        (409, "the object has been modified", VersionConflict),
        (410, "too old resource version", Expired),
        (415, "415: Unsupported Media Type", Permanent),
        (422, "the server rejected our request due to an error in our request", VersionConflict),
        (422, 'Deployment.apps "a" is invalid: spec.replicas: Invalid value: -1', Permanent),
        (429, "", NotDone),
        (302, "", Permanent),
        (500, "", Temporary),
        (503, "", Temporary),
        (504, "", Temporary),
    ],
)
def test_each_status_has_its_kind(status: int, message: str, kind: type[Exception]) -> None:
    error = failure(status, {"message": message}, "patch", CHECKOUT)
    assert type(error) is kind


@pytest.mark.parametrize("status", [400, 403, 409, 422, 429, 500, 503])
def test_the_denial_of_a_webhook_is_final_whatever_its_status(status: int) -> None:
    message = 'admission webhook "freeze.example.org" denied the request: testing v2 has failed'
    error = failure(status, {"message": message}, "patch", CHECKOUT)
    assert type(error) is Permanent
    assert "freeze.example.org" in str(error)
    assert "testing v2 has failed" in str(error)
    assert str(status) in str(error)


@pytest.mark.parametrize("status", [401, 403, 413, 422])
def test_the_denial_of_a_policy_is_final_whatever_its_status(status: int) -> None:
    denial = policy_denial("deployments", "checkout", "frozen until Monday", status)
    error = failure(status, denial.body, "patch", CHECKOUT)
    assert type(error) is Permanent
    assert "ValidatingAdmissionPolicy 'freeze'" in str(error)
    assert "frozen until Monday" in str(error)


def test_a_failed_test_with_causes_is_no_conflict() -> None:
    message = "the server rejected our request due to an error in our request"
    body = {"message": message, "details": {"causes": [{"reason": "FieldValueInvalid"}]}}
    assert type(failure(422, body, "patch", CHECKOUT)) is Permanent


@pytest.mark.parametrize(
    "message",
    [
        "testing value /metadata/resourceVersion failed: test failed",
        "Testing value /spec/template failed",
        "jsonpatch: test operation for path '/metadata/uid' failed",
    ],
)
def test_the_words_of_a_patch_library_are_a_conflict_too(message: str) -> None:
    assert (
        type(failure(422, {"message": message, "details": {}}, "patch", CHECKOUT))
        is VersionConflict
    )
    causes = {"message": message, "details": {"causes": [{"reason": "FieldValueInvalid"}]}}
    assert type(failure(422, causes, "patch", CHECKOUT)) is Permanent


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", 7),
        ("", 1),
        ("0", 1),
        ("-3", 1),
        ("nan", 1),
        ("9" * 400, 1),
        ("86400", 60),
        ("\u0663", 1),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 1),
    ],
)
def test_a_server_says_how_long_to_wait(header: str, wait: float) -> None:
    busy = failure(429, {}, "patch", CHECKOUT, header)
    assert isinstance(busy, NotDone)
    assert busy.wait == wait


def test_a_missing_right_is_named_with_its_mend() -> None:
    message = (
        'deployments.apps "checkout" is forbidden: User "system:serviceaccount:ops:stopgap" '
        'cannot patch resource "deployments" in API group "apps" in the namespace "prod"'
    )
    text = str(failure(403, {"message": message}, "patch", CHECKOUT))
    assert text == (
        "we may not patch deployments in namespace prod (403): give "
        'system:serviceaccount:ops:stopgap a Role there with apiGroups ["apps"], '
        "resources [deployments], verbs [patch]"
    )


def test_a_quoted_object_is_not_repeated() -> None:
    quoted = json.dumps({"env": [{"name": "PASSWORD", "value": "hunter2"}]})
    causes = [{"reason": "FieldValueInvalid", "message": quoted, "field": "patch"}]
    body = {
        "message": f' "" is invalid: patch: Invalid value: {quoted}: cannot unmarshal',
        "details": {"causes": causes},
    }
    text = str(failure(422, body, "patch", CHECKOUT))
    assert "hunter2" not in text
    assert "patch FieldValueInvalid" in text


@given(st.integers(300, 599), st.dictionaries(st.text(max_size=9), st.none() | st.text()))
def test_any_answer_becomes_one_line(status: int, body: dict[str, Any]) -> None:
    text = str(failure(status, body, "get", CHECKOUT))
    assert text.isprintable()
    assert len(text) < 700


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner)))
@example('a && b <c> \u2028\u2029 é ☃ \U0001f600 \x7f \x00 \\u0026 "')
def test_a_patch_is_written_as_the_server_writes_itself(value: Any) -> None:
    written = encoded({"key": value})
    assert json.loads(written) == {"key": value}
    assert not set(b"<>&") & set(written)
    assert foreign(written) == frozenset()
    assert b"\xe2\x80\xa8" not in written
