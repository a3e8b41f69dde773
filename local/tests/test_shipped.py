"""What is deployed is the work itself: no function is built with what stands in for others in tests, none has a stand-in of its
own, and none knows the id of a price."""

import json
import re
import subprocess

import pytest

from local.settings import ROOT



def said(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


HOST = re.search(r"^host: (\S+)", said("rustc", "-vV"), re.MULTILINE)[1]
METADATA = json.loads(said("cargo", "metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", HOST))
PACKAGES = {package["id"]: package for package in METADATA["packages"]}
NODES = {node["id"]: node for node in METADATA["resolve"]["nodes"]}
OURS = {PACKAGES[member]["name"]: member for member in METADATA["workspace_members"]}
FUNCTIONS = sorted(name for name, member in OURS.items() if "/functions/" in PACKAGES[member]["manifest_path"])
# Words that a stand-in is called by.
STAND_IN = re.compile(r"(?<![a-z])(?:[Mm]ock|[Ff]ake|[Ss]tub|[Dd]ummy|[Cc]anned|[Ss]imulat|[Ss]tand_?[Ii]n\b)|Mock|Fake|Stub|Dummy|StandIn"
                      r"|\b(?:todo|unimplemented)!|(?i:not (?:yet )?implemented)")
# Libraries that make them.
MOCKING = re.compile(r"mock|faux|fake|double|unimock|testkit|insta$")
PRICE_ID = re.compile(r"\bprice_[0-9A-Za-z_]+")
# What our own columns, members and rules are called.
WORDS = {"price_id", "price_list", "price_missing", "price_is_zero", "price_unknown"}


def built_with(name):
    """The packages that a function is built with, by name: dependencies of dependencies, but none that tests alone have."""
    found, waiting = set(), [OURS[name]]
    while waiting:
        package = waiting.pop()
        if package not in found:
            found.add(package)
            needed = (it for it in NODES[package]["deps"] if any(kind["kind"] is None for kind in it["dep_kinds"]))
            waiting += [it["pkg"] for it in needed]
    return {PACKAGES[package]["name"] for package in found}


def shipped():
    """The sources of all that functions are built from and of all that is deployed with them, without their unit tests."""
    ours = {name for function in FUNCTIONS for name in built_with(function) if name in OURS}
    folders = [ROOT / "migrations", *((ROOT / PACKAGES[OURS[name]]["manifest_path"]).parent / "src" for name in sorted(ours))]
    files = [ROOT / "template.yaml", *(file for folder in folders for file in sorted(folder.rglob("*")))]
    return [file for file in files if file.suffix in (".rs", ".sql", ".json", ".yaml") and not file.stem.endswith("tests")]


def code(file):
    """Without the module of unit tests at the end of a source."""
    return file.read_text().partition("#[cfg(test)]\nmod tests {")[0]


def lines_with(pattern):
    return [f"{file.relative_to(ROOT)}: {found[0]}" for file in shipped() for found in pattern.finditer(code(file))]


def test_there_is_a_function_for_each_in_the_template():
    template = (ROOT / "template.yaml").read_text()
    assert FUNCTIONS == sorted(set(re.findall(r"Binary: (\S+)", template)))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_built_without_the_test_kit_and_its_like(function):
    packages = built_with(function)
    assert "carhaul-core" in packages
    assert [name for name in packages if MOCKING.search(name)] == []


def test_nothing_that_is_deployed_stands_in_for_something():
    assert all(map(STAND_IN.search, ["struct FakeStripe;", "StripeMock", "fn stub_queue()", "stand_in", "todo!()"]))
    assert MOCKING.search("carhaul-testkit") and MOCKING.search("wiremock")
    assert lines_with(STAND_IN) == []


def test_no_price_of_stripes_is_written_into_what_is_deployed():
    assert PRICE_ID.search('"price_1Nabc"')
    found = lines_with(PRICE_ID)
    assert [line for line in found if line.partition(": ")[2] not in WORDS] == []
