"""A carrier is exported and deleted with all that is its, a person deletes themselves: over the gateway, the queue and the bucket."""

import hashlib
import json
import time
import uuid

import pytest
import requests
import sessions
import websocket
from test_documents import announce, carrier, put, status
from test_realtime import Socket


def awaited(ask, wanted, seconds=30):
    """What is asked for, once it is what is wanted, or what it has stayed."""
    deadline = time.monotonic() + seconds
    while not wanted(answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return answer


def order_of(owner, word):
    customer = owner.post("/v1/customers", json={"type": "broker", "name": f"Broker {word}", "email": f"{word}@broker.example"}).json()["id"]
    stop = {"city": "Lexington", "state": "KY", "time_zone": "America/New_York", "from": "2030-03-09T09:00:00-05:00",
            "to": "2030-03-09T17:00:00-05:00", "contact_name": word}
    body = {"customer_id": customer, "transport_type": "open", "pickup": stop, "delivery": stop, "vehicles": [{"make": "Ford"}]}
    return owner.post("/v1/orders", json=body).json()["id"]


def objects(s3, bucket, tenant):
    return [it["Key"] for it in s3.list_objects_v2(Bucket=bucket, Prefix=f"{tenant}/").get("Contents", [])]


def tables_with(database, text):
    """Looks at every column of every table, as text."""
    database.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'")
    found = set()
    for (table,) in database.fetchall():
        database.execute(f"SELECT EXISTS (SELECT FROM {table} t WHERE strpos(lower(t::text), lower(%s)) > 0)", [text])
        if database.fetchone()[0]:
            found.add(table)
    return found


def test_a_carrier_is_exported_and_then_gone_from_database_and_bucket(stack, base_url, s3, bucket, database):
    owner, rival = carrier(stack, base_url), carrier(stack, base_url)
    tenant, word = owner.headers["Tenant-Id"], f"word{uuid.uuid4().hex}"
    order = order_of(owner, word)
    theirs = announce(rival, order_of(rival, "theirs"))
    document = announce(owner, order)
    for client, one in ((owner, document), (rival, theirs)):
        assert put(one).status_code == 200
        assert status(client, one) == "stored"
    key = owner.post("/v1/api-keys", json={"name": word, "scopes": ["orders:read"]}).json()["key"]
    machine = sessions.Session(key, base_url)
    assert machine.get("/v1/orders").status_code == 200

    asked = owner.post("/v1/exports", json={})
    assert asked.status_code == 202, asked.text
    at = asked.headers["Location"]
    export = awaited(lambda: owner.get(at).json(), lambda it: it["status"] == "ready")
    assert export["status"] == "ready", export
    files = {file["name"]: file for file in owner.get(f"{at}/download").json()["files"]}
    assert sum(file["size"] for file in files.values()) == export["size"]
    lines = {}
    for name, file in files.items():
        content = requests.get(file["url"], timeout=30)
        assert content.status_code == 200 and name in content.headers["Content-Disposition"], content.text
        assert hashlib.sha256(content.content).hexdigest() == file["sha256"], name
        lines[name] = [json.loads(line) for line in content.text.splitlines()]
        assert len(lines[name]) == file["row_count"]
    assert [it["id"] for it in lines["orders.ndjson"]] == [order]
    assert lines["documents.ndjson"][0]["sha256"] == document["sha256"]
    assert theirs["id"] not in json.dumps(lines) and "key_hash" not in json.dumps(lines)
    assert rival.get(at).status_code == 404

    socket = Socket(owner).open()
    assert socket.subscribe()["type"] == "subscribed"
    assert len(objects(s3, bucket, tenant)) > 10
    name = owner.get("/v1/tenant").json()["name"]
    assert owner.delete("/v1/tenant", params={"confirm": f"{name}!"}, headers={"If-Match": "*"}).status_code == 422
    deleted = owner.delete("/v1/tenant", params={"confirm": name}, headers={"If-Match": "*"})
    assert deleted.status_code == 204, deleted.text
    assert owner.get("/v1/orders").status_code == 403
    assert machine.get("/v1/orders").status_code == 401
    with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
        socket.take(until=lambda _: False)

    assert awaited(lambda: tables_with(database, tenant), lambda found: found == {"erased_tenants"}) == {"erased_tenants"}
    assert tables_with(database, word) == set()
    assert awaited(lambda: objects(s3, bucket, tenant), lambda found: not found) == []
    # Its URL still holds: whoever uploads once more does so for nothing.
    assert put(document).status_code == 200
    assert awaited(lambda: objects(s3, bucket, tenant), lambda found: not found) == []
    assert rival.get(f"/v1/documents/{theirs['id']}/download").status_code == 200
    assert len(objects(s3, bucket, rival.headers["Tenant-Id"])) == 1


def test_a_person_is_gone_and_what_they_did_stays(stack, base_url, database):
    owner = carrier(stack, base_url)
    person = sessions.newcomer(stack, base_url)
    me = person.get("/v1/me").json()
    invited = owner.post("/v1/invitations", json={"email": me["email"] or "somebody@carhaul.example", "role": "dispatcher"}).json()
    assert person.post("/v1/invitations/accept", json={"token": invited["token"]}).status_code == 200
    person.headers["Tenant-Id"] = owner.headers["Tenant-Id"]
    order = order_of(person, "kept")
    assert owner.delete("/v1/me").json()["code"] == "last_owner"

    assert person.delete("/v1/me").status_code == 204
    assert person.get("/v1/orders").status_code == 403
    assert awaited(lambda: tables_with(database, me["id"]), lambda found: not found) == set()
    history = owner.get(f"/v1/orders/{order}/history").json()["data"]
    assert {line["actor_id"] for line in history} == {str(uuid.UUID(int=0))}
    assert [member["role"] for member in owner.get("/v1/members").json()["data"]] == ["owner"]
    again = person.get("/v1/me").json()
    assert again["id"] != me["id"] and again["memberships"] == []
    # For the next one, who has the same address.
    assert person.delete("/v1/me").status_code == 204
