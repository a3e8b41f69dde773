"""The README's tables of parameters and variables are those of the template."""

import re

from samcli.yamlhelper import yaml_parse

from local.settings import ROOT

TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())
README = (ROOT / "README.md").read_text()
CONFIG = (ROOT / "shared" / "core" / "src" / "platform" / "config.rs").read_text()
FUNCTIONS = {
    resource["Metadata"]["BuildProperties"]["Binary"].removeprefix("carhaul-"): resource["Properties"]
    for resource in TEMPLATE["Resources"].values() if resource["Type"] == "AWS::Serverless::Function"
}


def table(heading):
    """The rows below a heading, each as its cells."""
    rows = README.partition(f"\n| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    assert rows, heading
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def names(cell):
    return re.findall(r"`(\w+)`", cell)


def variables(function):
    shared = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    return set(shared) | set(function.get("Environment", {}).get("Variables", {}))


def functions_of(cell):
    everyone = set(FUNCTIONS)
    if cell.startswith("all"):
        return everyone - set(re.findall(r"[\w-]+", cell.partition(" but ")[2]))
    return set(cell.split(", "))


def test_each_parameter_of_the_template_is_explained_once():
    said = [name for row in table("parameter") for name in names(row[0])]
    assert sorted(said) == sorted(TEMPLATE["Parameters"])


def test_each_variable_of_a_function_is_explained_for_the_functions_that_have_it():
    said = {(function, name) for row in table("variable") for name in names(row[0]) for function in functions_of(row[1])}
    told = {(name, variable) for name, function in FUNCTIONS.items() for variable in variables(function)}
    assert said == told, f"only in README.md: {sorted(said - told)}; only in template.yaml: {sorted(told - said)}"


def test_each_variable_that_is_explained_is_read():
    for row in table("variable"):
        for name in names(row[0]):
            # DATABASE_* and the like are read by their whole names, too; MALLOC_* by the C library.
            assert f'"{name}"' in CONFIG or name.startswith("MALLOC_"), name


def test_the_picture_has_every_function():
    picture = README.partition("```\n")[2].partition("```")[0]
    assert [name for name in [*FUNCTIONS, "Stripe", "SQS", "WebSocket"] if name not in picture] == []
