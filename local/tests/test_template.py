"""What the template allows: the local stack does not enforce policies, so the template itself is read."""

import re

import pytest
from samcli.yamlhelper import yaml_parse

from local.settings import ROOT

TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())
RESOURCES, OUTPUTS = TEMPLATE["Resources"], TEMPLATE["Outputs"]
SECRET = "AWS::SecretsManager::Secret"
ROLE_SECRETS = {"OwnerSecret", "ApiSecret", "BillingSecret", "AiSecret", "RealtimeSecret", "HousekeepingSecret"}


def statements(role):
    return [s for policy in RESOURCES[role]["Properties"]["Policies"] for s in policy["PolicyDocument"]["Statement"]]


def as_list(value):
    return value if isinstance(value, list) else [value]


def secrets_of(role):
    """The secrets that a role may touch, by logical name; an admin's secret as None."""
    touching = [s for s in statements(role) if any(a.startswith("secretsmanager:") for a in as_list(s["Action"]))]
    return {resource.get("Ref") for s in touching for resource in as_list(s["Resource"])}


def of_type(kind):
    return {name: resource for name, resource in RESOURCES.items() if resource["Type"] == kind}


FUNCTIONS = of_type("AWS::Serverless::Function")


def test_each_function_has_a_role_that_is_its_own():
    roles = {name: function["Properties"]["Role"] for name, function in FUNCTIONS.items()}
    assert roles == {name: {"Fn::GetAtt": [name.removesuffix("Function") + "Role", "Arn"]} for name in FUNCTIONS}


@pytest.mark.parametrize("function", sorted(FUNCTIONS.keys() - {"MigrateFunction"}))
def test_a_function_reads_its_own_secrets_and_no_other(function):
    told = FUNCTIONS[function]["Properties"]["Environment"]["Variables"]
    of_its_own = {value["Ref"] for value in told.values() if isinstance(value, dict) and value.get("Ref") in of_type(SECRET)}
    assert told["DATABASE_SECRET"]["Ref"] in of_its_own & ROLE_SECRETS
    assert secrets_of(function.removesuffix("Function") + "Role") == of_its_own
    # One role of the database, and what Stripe gave: nobody else's.
    assert of_its_own & ROLE_SECRETS == {told["DATABASE_SECRET"]["Ref"]}


def test_only_migrations_reach_the_owner_and_the_administrator():
    assert secrets_of("MigrateRole") == ROLE_SECRETS | {None}
    assert secrets_of("ProxyRole") == ROLE_SECRETS - {"OwnerSecret"}
    behind_the_proxy = {entry["SecretArn"]["Ref"] for entry in RESOURCES["DatabaseProxy"]["Properties"]["Auth"]}
    assert behind_the_proxy == ROLE_SECRETS - {"OwnerSecret"}


def test_every_role_secret_is_rotated():
    rotated = {r["Properties"]["SecretId"]["Ref"] for r in of_type("AWS::SecretsManager::RotationSchedule").values()}
    assert rotated == ROLE_SECRETS


# Nobody knows before what will be in it.
DOCUMENTS = {"Fn::Sub": "${DocumentsBucket.Arn}/*"}
EXPORTS = {"Fn::Sub": "${DocumentsBucket.Arn}/*/exports/*"}


def test_no_role_has_a_wildcard_but_for_the_connections_of_one_api_and_the_objects_of_one_bucket():
    seen = 0
    for role in of_type("AWS::IAM::Role"):
        for statement in statements(role):
            seen += 1
            if as_list(statement["Action"]) != ["execute-api:ManageConnections"] and statement["Resource"] not in (DOCUMENTS, EXPORTS):
                assert "*" not in str(statement), f"{role}: {statement}"
    assert seen > len(FUNCTIONS)


def test_one_function_signs_for_documents_another_deletes_them_and_nobody_else_reaches_them():
    allowed = {
        (name, action) for name in of_type("AWS::IAM::Role") for s in statements(name) for action in as_list(s["Action"])
        if action.startswith("s3:")
    }
    assert allowed == {
        ("ApiRole", "s3:PutObject"), ("ApiRole", "s3:GetObject"),
        ("HousekeepingRole", "s3:GetObject"), ("HousekeepingRole", "s3:DeleteObject"), ("HousekeepingRole", "s3:ListBucket"),
        ("HousekeepingRole", "s3:PutObject"),
    }
    [puts] = [s for s in statements("HousekeepingRole") if "s3:PutObject" in as_list(s["Action"])]
    assert (puts["Action"], puts["Resource"]) == ("s3:PutObject", EXPORTS)


def test_the_proxy_reaches_the_database():
    """What no linter knows: CloudFormation gives Aurora MySQL's port, and RDS Proxy assumes no role with a global condition key."""
    port = RESOURCES["DatabaseCluster"]["Properties"]["Port"]
    assert port == 5432
    reached = [rule for group in of_type("AWS::EC2::SecurityGroup")
               for rule in RESOURCES[group]["Properties"].get("SecurityGroupIngress", []) if "SourceSecurityGroupId" in rule]
    assert len(reached) == 3 and {rule["FromPort"] for rule in reached} == {rule["ToPort"] for rule in reached} == {port}
    [trust] = RESOURCES["ProxyRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert "Condition" not in trust


def test_the_bucket_of_documents_is_private_and_outlives_the_stack():
    bucket = RESOURCES["DocumentsBucket"]
    properties = bucket["Properties"]
    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert "BucketEncryption" in properties and "VersioningConfiguration" not in properties
    [denied] = RESOURCES["DocumentsBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (denied["Effect"], denied["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    [rule] = properties["CorsConfiguration"]["Fn::If"][1]["CorsRules"]
    assert rule["AllowedOrigins"] == {"Fn::Split": [",", {"Ref": "CorsOrigins"}]} and "*" not in str(rule)
    assert properties["CorsConfiguration"]["Fn::If"][2] == {"Ref": "AWS::NoValue"}
    [tells] = properties["NotificationConfiguration"]["QueueConfigurations"]
    assert tells == {"Event": "s3:ObjectCreated:*", "Queue": {"Fn::GetAtt": ["DocumentsQueue", "Arn"]}}
    [sends] = RESOURCES["DocumentsQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert sends["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


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


def test_every_function_has_a_log_with_an_end_and_an_alarm():
    alarmed = [alarm["Properties"]["Dimensions"] for alarm in of_type("AWS::CloudWatch::Alarm").values()]
    for name, function in FUNCTIONS.items():
        log = RESOURCES[function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]]
        assert log["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
        assert any({"Ref": name} in [d["Value"] for d in dimensions] for dimensions in alarmed), name


# --- Queues --------------------------------------------------------------------------------------------------------------

QUEUES = of_type("AWS::SQS::Queue")
# What waits for a person is where another queue puts what it gives up on.
DEAD_LETTERS = {
    queue["Properties"]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]: name
    for name, queue in QUEUES.items() if "RedrivePolicy" in queue["Properties"]
}
WORK = sorted(QUEUES.keys() - DEAD_LETTERS.keys())


def readers(queue):
    """The functions that a queue's messages go to, and how."""
    return [
        (function, event["Properties"])
        for function in FUNCTIONS.values() for event in function["Properties"].get("Events", {}).values()
        if event["Type"] == "SQS" and event["Properties"]["Queue"] == {"Fn::GetAtt": [queue, "Arn"]}
    ]


def alarms_on(queue, metric):
    alarms = [alarm["Properties"] for alarm in of_type("AWS::CloudWatch::Alarm").values()]
    dimension = [{"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}]
    return [a for a in alarms if (a["Namespace"], a["MetricName"], a["Dimensions"]) == ("AWS/SQS", metric, dimension)]


def test_there_are_queues_and_no_letter_is_dead_to_nobody():
    assert len(WORK) >= 3 and len(DEAD_LETTERS) == len(WORK)


@pytest.mark.parametrize("queue", WORK)
def test_a_queue_is_read_by_one_function_in_bounds_and_message_by_message(queue):
    [(function, event)] = readers(queue)
    assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    # Each instance holds a connection to the proxy, those of AI executions one that is mostly idle.
    most = event["ScalingConfig"]["MaximumConcurrency"]
    assert most == {"Ref": "AiConcurrency"} if queue == "AiQueue" else 2 <= most <= 10
    properties = QUEUES[queue]["Properties"]
    assert properties["VisibilityTimeout"] >= 6 * function["Properties"]["Timeout"]
    assert 3 <= properties["RedrivePolicy"]["maxReceiveCount"] <= 15


def test_each_execution_that_runs_has_an_instance_and_all_of_them_are_the_slots():
    [(worker, event)] = readers("AiQueue")
    # What is done in a batch would wait for what hangs in it, and its slot with it.
    assert event["BatchSize"] == 1
    for function in (worker, FUNCTIONS["HousekeepingFunction"]):
        assert function["Properties"]["Environment"]["Variables"]["AI_WORKER_SLOTS"] == event["ScalingConfig"]["MaximumConcurrency"]
    # As SQS has it, and so that somebody has something while another hangs.
    parameter = TEMPLATE["Parameters"]["AiConcurrency"]
    assert 2 <= parameter["MinValue"] <= parameter["Default"] <= parameter["MaxValue"] <= 1000


@pytest.mark.parametrize("queue", sorted(DEAD_LETTERS))
def test_what_a_queue_gives_up_on_waits_for_a_person_who_is_called(queue):
    assert readers(queue) == []
    properties = QUEUES[queue]["Properties"]
    # The longest that SQS keeps a message; it counts from when that was first sent.
    assert properties["MessageRetentionPeriod"] == 1209600
    assert_calls_somebody(alarms_on(queue, "ApproximateNumberOfMessagesVisible"), threshold=0)


@pytest.mark.parametrize("queue", WORK)
def test_somebody_is_called_when_a_queue_is_not_read(queue):
    assert_calls_somebody(alarms_on(queue, "ApproximateAgeOfOldestMessage"), threshold=900)


def assert_calls_somebody(alarms, threshold):
    [alarm] = alarms
    assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}] and alarm["Statistic"] == "Maximum"
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold" and alarm["Threshold"] <= threshold


def test_a_worker_outlives_the_longest_deadline_of_a_skill():
    skills = (ROOT / "shared/core/src/skills/write.rs").read_text()
    longest = int(re.search(r"^type Deadline = Whole<\d+, (\d+)>;", skills, re.MULTILINE)[1])
    runner = (ROOT / "shared/core/src/executions/run/mod.rs").read_text()
    closing = int(re.search(r"^const CLOSING: TimeDelta = TimeDelta::seconds\((\d+)\);", runner, re.MULTILINE)[1])
    assert longest + closing < FUNCTIONS["AiWorkerFunction"]["Properties"]["Timeout"]


def test_the_commands_for_operators_name_outputs_that_exist():
    moves = re.findall(r"start-message-move-task ([^`]*)`", (ROOT / "README.md").read_text())
    named = [re.findall(r"--(?:source|destination)-arn\s+<(\w+)>", move) for move in moves]
    values = [[OUTPUTS[output]["Value"] for output in outputs] for outputs in named]
    queues = {source: [{"Fn::GetAtt": [source, "Arn"]}, {"Fn::GetAtt": [queue, "Arn"]}] for source, queue in DEAD_LETTERS.items()}
    # Nudges are deleted, as the README says.
    assert values == [queues["BillingDeadLetterQueue"], queues["AiDeadLetterQueue"]]
