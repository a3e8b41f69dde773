"""The deployment itself, and signing in to it."""

import time
import uuid
from contextlib import contextmanager

import requests

from local import deploy, ministack, users


def test_the_api_answers_behind_the_gateway(client):
    answer = client().get("/health")
    assert answer.status_code == 200, answer.text


def test_a_request_without_a_token_is_refused(client):
    answer = client().get("/v1/me")
    assert answer.status_code == 401
    # Without an error: there was nothing that a refresh could mend.
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_demo_users_token_is_accepted(client):
    answer = client("owner").get("/v1/me")
    assert answer.status_code == 200, answer.text
    assert answer.json()["email"] == "owner@bluegrass.example"


@contextmanager
def tokens_that_last_a_second(cognito, client):
    """Cognito's own least is five minutes; the local one is content with less."""
    kept = ("IdTokenValidity", "AccessTokenValidity", "RefreshTokenValidity", "TokenValidityUnits", "ExplicitAuthFlows")
    now = cognito.describe_user_pool_client(**client)["UserPoolClient"]
    settings = {name: now[name] for name in kept}
    short = {"IdTokenValidity": 1, "TokenValidityUnits": settings["TokenValidityUnits"] | {"IdToken": "seconds"}}
    cognito.update_user_pool_client(**client, **settings | short)
    try:
        yield
    finally:
        cognito.update_user_pool_client(**client, **settings)


def test_an_expired_token_is_called_so_and_the_refresh_token_brings_one_that_works(stack, base_url, tokens_issued):
    email = f"refresh-{uuid.uuid4().hex}@example.com"
    users.newcomer(stack, email)
    found, cognito = deploy.outputs(stack), ministack.client(stack, "cognito-idp")
    client = {"UserPoolId": found["UserPoolId"], "ClientId": found["UserPoolClientId"]}

    def sign_in(flow, **parameters):
        answer = cognito.initiate_auth(ClientId=client["ClientId"], AuthFlow=flow, AuthParameters=parameters)
        tokens_issued.update(token for name, token in answer["AuthenticationResult"].items() if name.endswith("Token"))
        return answer["AuthenticationResult"]

    def me(tokens):
        return requests.get(f"{base_url}/v1/me", headers={"Authorization": f"Bearer {tokens['IdToken']}"}, timeout=30)

    with tokens_that_last_a_second(cognito, client):
        old = sign_in("USER_PASSWORD_AUTH", USERNAME=email, PASSWORD=users.PASSWORD)
    known = me(old)
    assert known.status_code == 200 and known.json()["email"] == email
    # The function allows clocks to differ by ten seconds.
    deadline = time.monotonic() + 20
    while (refused := me(old)).status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert refused.status_code == 401, refused.text
    challenge = refused.headers["www-authenticate"]
    assert 'error="invalid_token"' in challenge and "expired" in challenge

    fresh = me(sign_in("REFRESH_TOKEN_AUTH", REFRESH_TOKEN=old["RefreshToken"]))
    assert fresh.status_code == 200 and fresh.json() == known.json()
    # A refresh token is none to call with.
    assert me({"IdToken": old["RefreshToken"]}).status_code == 401
