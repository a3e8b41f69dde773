"""The bundle for the local deployment: what `sam build` would leave in `.aws-sam/build`, made by a plain `cargo build`.

`sam build` runs cargo-lambda and a cross compiler (411 MB of tools and a release build) to make binaries for Amazon Linux.
The local Lambda runs them as processes of this machine, so the development build is enough: each function gets a folder
with its `bootstrap`, and a copy of template.yaml names those folders as CodeUri, which is all that `sam build` changes in
the template, too. `sam deploy` cannot tell the difference.
"""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from samcli.yamlhelper import yaml_dump, yaml_parse

from local.console import cargo_progress, run_logged
from local.settings import ROOT

TEMPLATE = ROOT / "template.yaml"


def build(stack, *targets):
    """Compiles the functions. Quick when nothing changed.

    After `cargo test`, `--tests` selects the features of the dependencies that it did, and so compiles nothing twice.
    """
    # Cargo draws its progress bar only if told that somebody looks.
    environment = os.environ | {"CARGO_TERM_PROGRESS_WHEN": "always", "CARGO_TERM_PROGRESS_WIDTH": "100"}
    # The whole workspace: building some of its packages would select other features of the dependencies, and compile
    # those once more for `cargo test`.
    run_logged(
        ["cargo", "build", "--workspace", "--bins", *targets], stack.logs / "build.log", "cargo build",
        progress=cargo_progress, cwd=ROOT, env=environment,
    )


def assemble(stack):
    """Writes the bundle; returns its template and a fingerprint of everything in it."""
    folder = stack.state / "bundle"
    folder.mkdir(exist_ok=True)
    binaries = target_directory() / "debug"
    built = template()
    digest = hashlib.sha256(TEMPLATE.read_bytes())
    for function, binary in sorted(functions().items()):
        home = folder / function
        home.mkdir(exist_ok=True)
        _copy(binaries / binary, home / "bootstrap")
        with (home / "bootstrap").open("rb") as binary_file:
            digest.update(hashlib.file_digest(binary_file, "sha256").digest())
        built["Resources"][function]["Properties"]["CodeUri"] = function
    built_template = folder / "template.yaml"
    built_template.write_text(yaml_dump(built))
    return built_template, digest.hexdigest()


def template():
    return yaml_parse(TEMPLATE.read_text())


def parameters():
    """The template's parameters with their defaults."""
    return {name: str(value.get("Default", "")) for name, value in template()["Parameters"].items()}


def functions():
    """The functions in the template, each with the binary that its build names."""
    return {
        name: resource["Metadata"]["BuildProperties"]["Binary"]
        for name, resource in template()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def _copy(source, target):
    """The binary without debugging information, which is most of its size: every deployment packs and unpacks it."""
    fresh = target.with_suffix(".new")
    if not shutil.which("strip") or subprocess.run(["strip", "-S", "-o", fresh, source]).returncode:
        shutil.copy(source, fresh)
    os.replace(fresh, target)


def target_directory():
    said = subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--no-deps"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    return Path(json.loads(said)["target_directory"])
