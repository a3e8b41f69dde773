"""A provider key on its way through the deployed bundle: tried at the provider, encrypted by KMS under its carrier, and
nowhere to be read again."""

import uuid

import pytest
import sessions
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from local import deploy, ministack, postgres
from local.tests import models


@pytest.fixture(scope="module")
def owner(stack, base_url):
    session = sessions.newcomer(stack)
    carrier = session.post(base_url + "/v1/tenants", json={"name": "Keys", "time_zone": "UTC"}).json()
    session.headers["Tenant-Id"] = carrier["id"]
    return session


@pytest.fixture(scope="module")
def kept(owner, base_url):
    """A key that was kept: itself, and how it is shown."""
    key = f"sk-{uuid.uuid4().hex}-wxyz"
    with models.provider(key) as provider:
        body = {"provider": "openai_compatible", "key": "sk-of-nobody-0123456789", "base_url": provider.url}
        refused = owner.post(base_url + "/v1/provider-keys", json=body)
        assert refused.status_code == 422 and refused.json()["errors"][0]["pointer"] == "/key", refused.text
        created = owner.post(base_url + "/v1/provider-keys", json=body | {"key": key})
        assert created.status_code == 201, created.text
        assert provider.asked[-1] == ("/v1/models", key)
    return key, created.json()


@pytest.fixture
def sealed(stack, kept):
    with postgres.connect(stack) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT tenant_id::text, ciphertext, data_key, nonce FROM provider_keys WHERE id = %s", [kept[1]["id"]])
        return cursor.fetchone()


def data_key(stack, sealed, tenant):
    kms = ministack.client(stack, "kms")
    key = deploy.outputs(stack)["ProviderKeysKeyArn"]
    return kms.decrypt(KeyId=key, CiphertextBlob=bytes(sealed[2]), EncryptionContext={"tenant_id": tenant})["Plaintext"]


def test_a_key_is_shown_by_its_end_alone(owner, base_url, kept):
    key, row = kept
    shown = owner.get(f"{base_url}/v1/provider-keys/{row['id']}")
    assert shown.json() == row and row["last_four"] == "wxyz" and row["test_result"] == "accepted"
    assert key not in shown.text


def test_kms_opens_the_data_key_for_no_other_carrier(stack, sealed):
    assert len(data_key(stack, sealed, sealed[0])) == 32
    for other in (str(uuid.uuid4()), ""):
        with pytest.raises(ClientError) as refused:
            data_key(stack, sealed, other)
        assert refused.value.response["Error"]["Code"] == "InvalidCiphertextException"


def test_a_ciphertext_is_bound_to_its_row(stack, sealed, kept):
    key, row = kept
    cipher = AESGCM(data_key(stack, sealed, sealed[0]))
    parts = [row["id"], "openai_compatible", "own", row["base_url"]]
    bound = '["%s",["%s"]]' % (sealed[0], '","'.join(parts))
    assert cipher.decrypt(bytes(sealed[3]), bytes(sealed[1]), bound.encode()) == key.encode()
    with pytest.raises(InvalidTag):
        cipher.decrypt(bytes(sealed[3]), bytes(sealed[1]), bound.replace("own", "default").encode())
