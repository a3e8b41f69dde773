"""The functions that no request reaches: migrations, password rotation, the purge."""

import json
import secrets
import uuid

import psycopg2
import pytest

from local import deploy, ministack
from local.settings import HOST


@pytest.fixture(scope="module")
def invoke(stack):
    """`invoke("HousekeepingFunctionName", event)`: what the function answers, and whether it failed."""
    names = deploy.outputs(stack)

    def call(output, event):
        answer = ministack.client(stack, "lambda").invoke(FunctionName=names[output], Payload=json.dumps(event))
        return json.loads(answer["Payload"].read()), "FunctionError" in answer

    return call


def login(stack, port, credentials):
    psycopg2.connect(
        host=HOST, port=stack.ports[port], dbname=stack.database,
        user=credentials["username"], password=credentials["password"],
    ).close()


def test_migrating_again_changes_nothing(invoke):
    answer, failed = invoke("MigrateFunctionName", {})
    assert not failed
    assert answer["applied"] == []
    assert answer["version"] > 0


def test_a_mistyped_request_to_rotate_does_not_migrate(invoke):
    answer, failed = invoke("MigrateFunctionName", {"Step": "rotateSecret"})
    assert failed
    assert "did not match" in answer["errorMessage"]


def test_the_purge_says_what_it_has_deleted(invoke):
    answer, failed = invoke("HousekeepingFunctionName", {"detail-type": "Scheduled Event"})
    assert not failed
    assert answer["complete"]
    assert "idempotency_keys" in answer["purged"]


def test_a_rotated_password_counts_at_once(stack, invoke):
    secret, token = deploy.outputs(stack)["HousekeepingSecretArn"], str(uuid.uuid4())
    manager = ministack.client(stack, "secretsmanager")
    old = json.loads(manager.get_secret_value(SecretId=secret)["SecretString"])
    # The local Secrets Manager does not call a rotation function, so the test does; and it can keep no pending version
    # without content, so the first step finds the new password already there.
    pending = json.dumps(old | {"password": secrets.token_urlsafe(30)})
    manager.put_secret_value(
        SecretId=secret, ClientRequestToken=token, SecretString=pending, VersionStages=["AWSPENDING"]
    )
    for step in ("createSecret", "setSecret", "testSecret", "finishSecret"):
        answer, failed = invoke("MigrateFunctionName", {"Step": step, "SecretId": secret, "ClientRequestToken": token})
        assert not failed, f"{step}: {answer}"

    new = json.loads(manager.get_secret_value(SecretId=secret)["SecretString"])
    assert new["password"] != old["password"]
    login(stack, "postgres", new)
    login(stack, "pooler", new)
    with pytest.raises(psycopg2.OperationalError):
        login(stack, "postgres", old)
    assert not invoke("HousekeepingFunctionName", {})[1]
