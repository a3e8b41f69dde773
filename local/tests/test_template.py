"""What the template allows: the local stack does not enforce policies, so the template itself is read."""

import pytest
from samcli.yamlhelper import yaml_parse

from local.settings import ROOT

RESOURCES = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
ROLE_SECRETS = {"OwnerSecret", "ApiSecret", "BillingSecret", "AiSecret", "RealtimeSecret", "HousekeepingSecret"}


def statements(role):
    return [s for policy in RESOURCES[role]["Properties"]["Policies"] for s in policy["PolicyDocument"]["Statement"]]


def as_list(value):
    return value if isinstance(value, list) else [value]


def secrets_of(role):
    """The secrets that a role may touch, by logical name; an admin's secret as None."""
    touching = [s for s in statements(role) if any(a.startswith("secretsmanager:") for a in as_list(s["Action"]))]
    return {resource.get("Ref") for s in touching for resource in as_list(s["Resource"])}


def secret_in_environment(function):
    return RESOURCES[function]["Properties"]["Environment"]["Variables"]["DATABASE_SECRET"]["Ref"]


@pytest.mark.parametrize("function, others", [
    ("Api", {"StripeSecret"}), ("Housekeeping", {"StripeSecret"}), ("StripeWebhook", {"StripeWebhookSecret"}),
    ("BillingWorker", {"StripeSecret"}),
    ("Realtime", set()),
    ("AiDispatch", set()), ("AiWorker", set()),
])
def test_a_function_reads_its_own_secrets_and_no_other(function, others):
    role = f"{function}Role"
    assert RESOURCES[f"{function}Function"]["Properties"]["Role"] == {"Fn::GetAtt": [role, "Arn"]}
    assert secrets_of(role) == {secret_in_environment(f"{function}Function")} | others


def test_only_migrations_reach_the_owner_and_the_administrator():
    assert secrets_of("MigrateRole") == ROLE_SECRETS | {None}
    assert secrets_of("ProxyRole") == ROLE_SECRETS - {"OwnerSecret"}
    behind_the_proxy = {entry["SecretArn"]["Ref"] for entry in RESOURCES["DatabaseProxy"]["Properties"]["Auth"]}
    assert behind_the_proxy == ROLE_SECRETS - {"OwnerSecret"}


def test_every_role_secret_is_rotated():
    rotated = {r["Properties"]["SecretId"]["Ref"] for r in of_type("AWS::SecretsManager::RotationSchedule").values()}
    assert rotated == ROLE_SECRETS


def test_no_role_of_a_function_has_a_wildcard_of_its_own():
    for role in ("ApiRole", "StripeWebhookRole", "BillingWorkerRole", "AiDispatchRole", "AiWorkerRole", "HousekeepingRole", "MigrateRole"):
        for statement in statements(role):
            assert "*" not in str(statement), f"{role}: {statement}"


def test_only_who_must_uses_the_key_of_provider_keys_and_only_under_a_tenant():
    allowed = {}
    for name, role in of_type("AWS::IAM::Role").items():
        for statement in (s for s in statements(name) if "kms" in str(s["Action"])):
            assert statement["Resource"] == {"Fn::GetAtt": ["ProviderKeysKey", "Arn"]}, name
            assert statement["Condition"] == {
                "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["tenant_id"]},
                "Null": {"kms:EncryptionContext:tenant_id": "false"},
            }, name
            allowed.setdefault(name, []).extend(as_list(statement["Action"]))
    assert allowed["ApiRole"] == ["kms:GenerateDataKey"]
    assert all(actions == ["kms:Decrypt"] for name, actions in allowed.items() if name != "ApiRole"), allowed
    assert set(allowed) <= {"ApiRole", "AiWorkerRole"}
def test_the_realtime_function_reaches_the_connections_of_its_api_alone():
    for statement in statements("RealtimeRole"):
        if statement["Action"] == "execute-api:ManageConnections":
            resources = [resource["Fn::Sub"].partition(":${RealtimeApi}/")[2] for resource in statement["Resource"]]
            assert resources == ["live/POST/@connections/*", "live/DELETE/@connections/*"]
        else:
            assert "*" not in str(statement), statement


def test_every_function_has_a_role_a_log_with_an_end_and_an_alarm():
    alarmed = [alarm["Properties"]["Dimensions"] for alarm in of_type("AWS::CloudWatch::Alarm").values()]
    for name, function in of_type("AWS::Serverless::Function").items():
        log = RESOURCES[function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]]
        assert log["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
        assert "Role" in function["Properties"], name
        assert any({"Ref": name} in [d["Value"] for d in dimensions] for dimensions in alarmed), name


def of_type(kind):
    return {name: resource for name, resource in RESOURCES.items() if resource["Type"] == kind}
