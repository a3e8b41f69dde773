"""Which pages may call, and what they may read: the gateway says it, for every function alike."""

import pytest
import requests

LISTED = "http://localhost:3000"
OTHERS = ["https://evil.example", "http://localhost:3000.evil.example", "http://localhost:3001", "https://localhost:3000", "null", "*"]
PATHS = ["/v1/orders", "/v1/executions", "/v1/executions/batch"]


def names(answer, header):
    return {name.strip().lower() for name in answer.headers.get(header, "").split(",")}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "PUT", "DELETE"])
def test_a_listed_page_may_call(base_url, path, method):
    asks = {
        "Origin": LISTED, "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key,if-match,tenant-id",
    }
    answer = requests.options(base_url + path, headers=asks, timeout=30)
    assert answer.status_code == 204, answer.text
    assert answer.headers["Access-Control-Allow-Origin"] == LISTED
    assert method.lower() in names(answer, "Access-Control-Allow-Methods")
    assert set(asks["Access-Control-Request-Headers"].split(",")) <= names(answer, "Access-Control-Allow-Headers")
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("path", PATHS)
def test_no_other_page_may(base_url, client, demo, path):
    for origin in OTHERS:
        asks = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        for answer in (requests.options(base_url + path, headers=asks, timeout=30), client("dispatch").get(path, headers={"Origin": origin})):
            assert "Access-Control-Allow-Origin" not in answer.headers, (origin, answer.headers)


def test_a_listed_page_reads_answers_and_refusals(client, demo):
    """Also a refusal, or the page could not tell what is wrong. One value, as browsers take no list."""
    read = {"etag", "location", "request-id", "retry-after", "www-authenticate", "idempotency-replayed", "ratelimit-remaining"}
    for user, path, status in (("dispatch", "/v1/tenant", 200), (None, "/v1/tenant", 401), ("dispatch", "/v1/orders?limit=0", 422)):
        answer = client(user).get(path, headers={"Origin": LISTED})
        assert answer.status_code == status
        assert answer.raw.headers.getlist("access-control-allow-origin") == [LISTED]
        assert read <= names(answer, "Access-Control-Expose-Headers")
