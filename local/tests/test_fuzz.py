"""Schema-driven fuzzing: Schemathesis reads the API document and tries every operation on the deployed bundle, with input
that the document allows and with input that it does not. No 5xx, no undocumented status or content type, no answer that its
schema does not allow, nothing accepted that should be refused.

The requests are the same in every run (fuzz.toml). They are sent as the owner of a carrier made for this, which has one of
everything, so that ids in paths and bodies can be real ones.
"""

import json
import subprocess
import uuid
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest
import requests

from local import users
from local.settings import ROOT, VENV

CONFIG = Path(__file__).with_name("fuzz.toml")
DOCUMENT = json.loads((ROOT / "functions" / "api" / "openapi.json").read_text())
OPERATIONS = sorted(f"{method.upper()} {path}" for path, item in DOCUMENT["paths"].items() for method in item)
# In an order in which everything exists that the next one names.
CREATED = ["customers", "locations", "trucks", "trailers", "drivers", "custom-statuses", "tags", "expense-categories",
           "cancel-reasons", "invitations", "api-keys", "orders"]
# The schemas of ids, and where such things come from.
REFERENCES = {
    "CancelReasonId": "cancel-reasons", "CustomerId": "customers", "CustomStatusId": "custom-statuses", "DriverId": "drivers",
    "LocationId": "locations", "OrderId": "orders", "TagId": "tags", "TrailerId": "trailers", "TruckId": "trucks",
    "UserId": "members",
}


@pytest.fixture(scope="module")
def owner(stack, base_url):
    """A session of the owner of a new carrier on the plan pro."""
    session = requests.Session()
    email = f"fuzz-{uuid.uuid4().hex[:8]}@carhaul.example"
    session.headers["Authorization"] = f"Bearer {users.newcomer(stack, email)}"
    carrier = session.post(base_url + "/v1/tenants", json=example("NewTenant")).json()
    users.upgrade(stack, carrier["id"])
    session.headers["Tenant-Id"] = carrier["id"]
    return session


def example(schema):
    return dict(DOCUMENT["components"]["schemas"][schema]["examples"][0])


@pytest.fixture(scope="module")
def examples(owner, base_url):
    """One of everything, as the document's examples have it; the id of each."""
    made = {"members": owner.get(base_url + "/v1/me").json()["id"]}
    for name in CREATED:
        path = f"/v1/{name}"
        schema = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        body = example(schema.rpartition("/")[2])
        if "customer_id" in body:
            body["customer_id"] = made["customers"]
        answer = owner.post(base_url + path, json=body)
        assert answer.status_code == 201, f"the example of {name} is refused: {answer.text}"
        made[name] = answer.json()["id"]
    order = owner.get(f"{base_url}/v1/orders/{made['orders']}").json()
    return made | {"vehicles": order["vehicles"][0]["id"]}


@pytest.fixture(scope="module")
def report(owner, examples, base_url, tmp_path_factory):
    """What Schemathesis says of each operation: nothing, or what is wrong."""
    folder = tmp_path_factory.mktemp("fuzz")
    document = folder / "openapi.json"
    document.write_text(json.dumps(narrowed(DOCUMENT, owner.headers["Tenant-Id"], examples)))
    result = folder / "junit.xml"
    command = [VENV / "bin" / "st", "--config-file", CONFIG, "run", document, "--url", base_url,
               "--header", f"Authorization: {owner.headers['Authorization']}", "--report-junit-path", result]
    said = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=1200)
    assert result.exists(), said.stdout + said.stderr
    found = {case.get("name"): list(case) for case in xml.parse(result).iter("testcase")}
    return {name: "\n".join(part.text or part.get("message") for part in parts if part.tag in ("failure", "error"))
            for name, parts in found.items()}


def narrowed(document, tenant, known):
    """The document with what a schema cannot know: which carrier, which ids, which versions there are. Without it hardly
    anything would be found, changed or created."""
    document = json.loads(json.dumps(document))
    schemas = document["components"]["schemas"]
    ids = {schema: {"type": "string", "format": "uuid", "enum": [known[name]]} for schema, name in REFERENCES.items()}
    words = {
        "TimeZone": {"type": "string", "enum": ["America/New_York", "America/Phoenix", "UTC"]},
        "Moment": {"type": "string", "enum": ["2026-01-05T08:00:00Z", "2026-01-05T17:00:00-05:00", "2026-01-07T12:00:00Z"]},
    }
    headers = {"Tenant-Id": {"type": "string", "enum": [tenant]}, "If-Match": {"type": "string", "enum": ["*"]}}
    for name in requested(document):
        schemas[name] = replaced(schemas[name], ids | words)
    for path, item in document["paths"].items():
        segments = path.split("/")
        from_path = {name[1:-1]: known.get(of) for of, name in zip(segments, segments[1:]) if name.startswith("{")}
        for operation in item.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path" and from_path[parameter["name"]]:
                    parameter["schema"] = {"type": "string", "format": "uuid", "enum": [from_path[parameter["name"]]]}
                parameter["schema"] = headers.get(parameter["name"], parameter["schema"])
    return document


def requested(document):
    """The schemas that only requests have."""
    schemas = document["components"]["schemas"]
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    requests_, answers = set(), set()
    collect([operation.get("requestBody") for operation in operations], schemas, requests_)
    collect([operation["responses"] for operation in operations], schemas, answers)
    return {name for name in requests_ - answers if "properties" in schemas[name]}


def collect(part, schemas, found):
    if isinstance(part, list):
        for item in part:
            collect(item, schemas, found)
    elif isinstance(part, dict):
        name = str(part.get("$ref", "")).rpartition("/")[2]
        if name and name not in found:
            found.add(name)
            collect(schemas[name], schemas, found)
        collect(list(part.values()), schemas, found)


def replaced(part, by_name):
    if isinstance(part, list):
        return [replaced(item, by_name) for item in part]
    if not isinstance(part, dict):
        return part
    name = str(part.get("$ref", "")).rpartition("/")[2]
    return by_name[name] if name in by_name else {key: replaced(value, by_name) for key, value in part.items()}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_fuzz(operation, report):
    assert operation in report, "Schemathesis did not try it"
    assert not report[operation], report[operation]
