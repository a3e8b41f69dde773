"""Who operates the bundle sees what there is: each function, each queue, each figure that the functions count."""

import json
import re

import pytest
from samcli.yamlhelper import yaml_parse

from local.settings import ROOT

RESOURCES = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]
OUTPUTS = yaml_parse((ROOT / "template.yaml").read_text())["Outputs"]
DASHBOARD = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
WIDGETS = json.loads(DASHBOARD)["widgets"]


def of_type(kind):
    return [name for name, resource in RESOURCES.items() if resource["Type"] == kind]


def metrics(widget):
    """Each line of a widget written out: `.` is the member of the line before, `...` all before the last."""
    previous, whole = [], []
    for line in widget["properties"].get("metrics", []):
        members = [member for member in line if not isinstance(member, dict)]
        if members[:1] == ["..."]:
            members = previous[: len(previous) - len(members) + 1] + members[1:]
        members = [previous[place] if member == "." else member for place, member in enumerate(members)]
        whole.append(tuple(members))
        previous = members
    return whole


SHOWN = {line for widget in WIDGETS for line in metrics(widget) if line}


@pytest.mark.parametrize("function", of_type("AWS::Serverless::Function"))
def test_the_errors_of_a_function_are_shown(function):
    assert ("AWS/Lambda", "Errors", "FunctionName", f"${{{function}}}") in SHOWN


@pytest.mark.parametrize("queue", of_type("AWS::SQS::Queue"))
def test_what_waits_in_a_queue_is_shown_and_for_how_long(queue):
    name = f"${{{queue}.QueueName}}"
    assert ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", name) in SHOWN
    if "DeadLetter" not in queue:
        assert ("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", name) in SHOWN


def test_every_figure_that_is_alarmed_is_shown():
    alarmed = {
        alarm["MetricName"] for alarm in (RESOURCES[name]["Properties"] for name in of_type("AWS::CloudWatch::Alarm"))
        if alarm.get("Namespace") == "carhaul"
    }
    shown = {line[1] for line in SHOWN if line[0] == "carhaul"}
    assert "StripeEventsRefused" in alarmed and alarmed <= shown


def test_every_figure_of_the_dashboard_is_counted_by_some_function():
    sources = "".join(file.read_text() for file in (ROOT / "functions").glob("*/src/**/*.rs"))
    for name in {line[1] for line in SHOWN if line[0] == "carhaul"}:
        assert f'"{name}"' in sources, name


def test_widgets_do_not_overlap():
    taken = [
        (x, y) for widget in WIDGETS
        for x in range(widget["x"], widget["x"] + widget["width"]) for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(taken) == len(set(taken)) and max(x for x, _ in taken) < 24


def test_what_the_dashboard_names_exists():
    for name in re.findall(r"\$\{(\w+)(?:\.\w+)?\}", DASHBOARD):
        assert name in RESOURCES or name == "EnvironmentName", name


def test_no_address_is_of_one_partition_alone():
    for name, output in OUTPUTS.items():
        if "execute-api" in str(output["Value"]):
            assert "amazonaws.com" not in str(output["Value"]), name
