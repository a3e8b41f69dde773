"""The deployment itself."""


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
