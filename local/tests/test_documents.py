"""A proof of delivery on its way: announced, uploaded by its signed URL, told of by S3, checked, found by the list, downloaded, deleted."""

import base64
import hashlib
import json
import time
import uuid

import pytest
import requests
import sessions

from local import deploy, ministack, users
from local.tests.test_executions import ended

BYTES = b"Delivered in good order, signed: K. Whitfield"
PDF = "application/pdf"


def carrier(stack, base_url):
    session = sessions.newcomer(stack, base_url)
    made = session.post("/v1/tenants", json={"name": "Documents", "time_zone": "America/New_York"}).json()
    session.headers["Tenant-Id"] = made["id"]
    users.upgrade(stack, made["id"])
    return session


@pytest.fixture(scope="module")
def owner(stack, base_url):
    return carrier(stack, base_url)


@pytest.fixture(scope="module")
def rival(stack, base_url):
    return carrier(stack, base_url)


@pytest.fixture(scope="module")
def customer(owner):
    return owner.post("/v1/customers", json={"type": "broker", "name": "Lakeside"}).json()["id"]


@pytest.fixture
def order(owner, customer):
    stop = {"city": "Lexington", "state": "KY", "time_zone": "America/New_York", "from": "2030-03-09T09:00:00-05:00",
            "to": "2030-03-09T17:00:00-05:00"}
    body = {"customer_id": customer, "transport_type": "open", "pickup": stop, "delivery": stop, "vehicles": [{"make": "Ford"}]}
    return owner.post("/v1/orders", json=body).json()["id"]


def announcement(content=BYTES, **changes):
    sha256 = hashlib.sha256(content).hexdigest()
    return {"kind": "pod", "file_name": "POD é 1.pdf", "content_type": PDF, "size": len(content), "sha256": sha256} | changes


def announce(owner, order, content=BYTES, **changes):
    answer = owner.post(f"/v1/orders/{order}/documents", json=announcement(content, **changes))
    assert answer.status_code == 201, answer.text
    return answer.json()


def put(document, content=BYTES, url=None, **headers):
    return requests.put(url or document["upload"]["url"], data=content, headers=document["upload"]["headers"] | headers, timeout=60)


def status(owner, document, awaited="stored"):
    for _ in range(100):
        now = owner.get(f"/v1/documents/{document['id']}").json()["status"]
        if now == awaited:
            break
        time.sleep(0.1)
    return now


def housekeeping(stack):
    invoke = ministack.client(stack, "lambda").invoke
    answer = invoke(FunctionName=deploy.outputs(stack)["HousekeepingFunctionName"], Payload=b'{"task": "documents"}')
    done = json.loads(answer["Payload"].read())
    assert done["complete"], done
    return done


def is_there(s3, bucket, document):
    prefix = document["upload"]["url"].split("?")[0].split(f"/{bucket}/")[1]
    return s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["KeyCount"] == 1


def test_a_pod_is_uploaded_and_its_order_is_found_by_it(owner, order):
    listed = "/v1/orders?has_pod={}&limit=200"
    assert order not in [row["id"] for row in owner.get(listed.format("true")).json()["data"]]
    document = announce(owner, order)
    assert (document["status"], document["upload"]["method"]) == ("pending", "PUT")
    assert put(document).status_code == 200
    assert status(owner, document) == "stored"
    assert owner.get(f"/v1/orders/{order}").json()["has_pod"] is True
    assert order in [row["id"] for row in owner.get(listed.format("true")).json()["data"]]
    assert order not in [row["id"] for row in owner.get(listed.format("false")).json()["data"]]
    # The same once more is the same.
    assert put(document).status_code == 200
    assert status(owner, document) == "stored"

    download = owner.get(f"/v1/documents/{document['id']}/download").json()
    file = requests.get(download["url"], timeout=30)
    assert (file.status_code, file.content, file.headers["content-type"]) == (200, BYTES, PDF)
    assert file.headers["content-disposition"] == "attachment; filename=\"POD _ 1.pdf\"; filename*=UTF-8''POD%20%C3%A9%201.pdf"
    for one, other in (("X-Amz-Expires=300", "X-Amz-Expires=301"), (document["id"], str(uuid.uuid4()))):
        assert one in download["url"]
        assert requests.get(download["url"].replace(one, other), timeout=30).status_code == 403


def test_an_audit_misses_the_pod_until_there_is_one(owner, order):
    def missed():
        body = {"skill": "audit_billing", "input": {"order_id": order}}
        done = ended(owner, "", owner.post("/v1/executions", json=body).json()["id"])
        return "pod_missing" in [issue["code"] for issue in done["output"]["issues"]]

    assert missed()
    document = announce(owner, order)
    assert put(document).status_code == 200
    assert status(owner, document) == "stored"
    assert not missed()


def test_a_large_file_goes_through_no_function(owner, order):
    content = b"x" * (20 * 1024 * 1024)
    document = announce(owner, order, content, kind="photo", content_type="image/jpeg")
    assert put(document, content).status_code == 200
    assert status(owner, document) == "stored"
    assert owner.get(f"/v1/orders/{order}").json()["has_pod"] is False


def test_what_is_too_large_gets_no_url(owner, order):
    for size in (104_857_601, 150_000_000, 0):
        answer = owner.post(f"/v1/orders/{order}/documents", json=announcement(size=size))
        assert answer.status_code == 422, answer.text
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/size"]
        assert "X-Amz" not in answer.text
    assert announce(owner, order, size=104_857_600)["status"] == "pending"


def test_a_url_takes_the_announced_file_and_no_other(owner, order, s3, bucket):
    document = announce(owner, order)
    url = document["upload"]["url"]
    other = base64.b64encode(hashlib.sha256(BYTES[::-1]).digest()).decode()
    attempts = [
        ("longer", put(document, BYTES + b"!")),
        ("other bytes of this length", put(document, BYTES[::-1])),
        ("another checksum", put(document, BYTES[::-1], **{"x-amz-checksum-sha256": other})),
        ("another type", put(document, **{"content-type": "text/html"})),
        ("no checksum", requests.put(url, data=BYTES, headers={"content-type": PDF}, timeout=30)),
        ("another place", put(document, url=url.replace(document["id"], str(uuid.uuid4())))),
        ("a longer life", put(document, url=url.replace("X-Amz-Expires=900", "X-Amz-Expires=86400"))),
    ]
    assert {what: answer.status_code for what, answer in attempts if answer.status_code not in (400, 403)} == {}
    assert not is_there(s3, bucket, document)
    assert status(owner, document, "pending") == "pending"
    assert put(document).status_code == 200
    assert status(owner, document) == "stored"


def test_a_url_that_has_expired_takes_nothing(owner, order, s3, bucket):
    document = announce(owner, order)
    assert "X-Amz-Expires=900" in document["upload"]["url"]
    key = document["upload"]["url"].split("?")[0].split(f"/{bucket}/")[1]
    # As ours, but for a second.
    signed = {"Bucket": bucket, "Key": key, "ContentType": PDF, "ContentLength": len(BYTES),
              "ChecksumSHA256": document["upload"]["headers"]["x-amz-checksum-sha256"]}
    url = s3.generate_presigned_url("put_object", Params=signed, ExpiresIn=1)
    time.sleep(2.5)
    assert put(document, url=url).status_code == 403
    assert not is_there(s3, bucket, document)


def test_what_came_unsigned_is_refused_and_goes(owner, order, s3, bucket):
    for content, content_type in ((BYTES + b"!", PDF), (BYTES[::-1], PDF), (BYTES, "text/html")):
        document = announce(owner, order)
        key = document["upload"]["url"].split("?")[0].split(f"/{bucket}/")[1]
        s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType=content_type, ChecksumAlgorithm="SHA256")
        assert status(owner, document, "refused") == "refused"
        assert not is_there(s3, bucket, document)
    assert owner.get(f"/v1/orders/{order}").json()["has_pod"] is False


def test_another_carrier_reaches_nothing_of_it(owner, rival, order):
    document = announce(owner, order)
    assert put(document).status_code == 200
    assert status(owner, document) == "stored"
    for path in (f"/v1/documents/{document['id']}", f"/v1/documents/{document['id']}/download", f"/v1/orders/{order}/documents"):
        assert rival.get(path).status_code == 404, path
    assert rival.post(f"/v1/orders/{order}/documents", json=announcement()).status_code == 404
    assert rival.delete(f"/v1/documents/{document['id']}").status_code == 404
    assert rival.get("/v1/orders?has_pod=true").json()["data"] == []
    assert owner.get(f"/v1/documents/{document['id']}").status_code == 200


def test_what_s3_did_not_tell_of_is_found_by_housekeeping(stack, owner, order, database):
    document = announce(owner, order)
    assert put(document).status_code == 200
    assert status(owner, document) == "stored"
    database.execute("UPDATE documents SET status = 'pending', stored_at = NULL, created_at = now() - interval '6 minutes' "
                     "WHERE id = %s", [document["id"]])
    assert owner.get(f"/v1/orders/{order}").json()["has_pod"] is False
    assert housekeeping(stack)["stored"] > 0
    assert status(owner, document) == "stored"
    assert owner.get(f"/v1/orders/{order}").json()["has_pod"] is True


def test_a_deleted_document_is_gone_with_its_file(stack, owner, order, s3, bucket):
    document = announce(owner, order)
    assert put(document).status_code == 200
    assert status(owner, document) == "stored"
    assert is_there(s3, bucket, document)
    assert owner.delete(f"/v1/documents/{document['id']}").status_code == 204
    assert owner.get(f"/v1/orders/{order}").json()["has_pod"] is False
    assert housekeeping(stack)["deleted"] > 0
    assert not is_there(s3, bucket, document)
    # Its URL still holds, for nothing.
    assert put(document).status_code == 200
    for _ in range(100):
        if not is_there(s3, bucket, document):
            break
        time.sleep(0.1)
    assert not is_there(s3, bucket, document)
