"""The README's walk-throughs, pasted into one shell from top to bottom, against the deployed bundle.

What is run are the blocks that talk to the stack (`$URL`); one with a `<placeholder>` is for the reader to fill in. Everything
else of the README is left out line by line, so that the shell's line numbers are the README's. Every command must succeed, and
every request with it; where a comment begins with a status (`# 404: ..`), that is what the requests of its line are answered, and
`plan` prints the word that its comment begins with.
"""

import os
import re
import shutil
import subprocess
from types import SimpleNamespace

import pytest

from local.settings import ROOT

LINES = (ROOT / "README.md").read_text().splitlines()
STATUS = re.compile(r"# (\d{3})\b")
PLAN = re.compile(r"(?<!field )\bplan(?:;.*)? +# (\w+)")
# Of the README's shell alone, not of those that it starts. What a function or a substitution sends is sent by its line.
SETUP = """unset BASH_ENV
set -eu
trap 'export README_LINE=$LINENO' DEBUG
"""
# Notes what each request of a line was answered; of its own output nothing changes.
CURL = """#!/bin/sh
exec {curl} -D "$(mktemp {folder}/"$README_LINE".XXXXXX)" "$@"
"""


def blocks():
    """The shell blocks, each as its lines by their numbers."""
    found, block = [], None
    for number, line in enumerate(LINES, 1):
        if line.startswith("```"):
            if block is None and line == "```sh":
                block = {}
            elif block is None:
                block = False
            else:
                found += [block] if block else []
                block = None
        elif block is not None and block is not False:
            block[number] = line
    return found


def text(block):
    return "\n".join(block.values())


def runs(block):
    return "$URL" in text(block) and not re.search(r"<\w+>", text(block))


@pytest.fixture(scope="module")
def session(stack, demo, tmp_path_factory):
    """What a shell says to all of them, and the statuses that each line was answered."""
    folder = tmp_path_factory.mktemp("walkthroughs")
    lines = {number: line for block in blocks() if runs(block) for number, line in block.items()}
    script = folder / "README"
    script.write_text("\n".join(lines.get(number, "") for number in range(1, len(LINES) + 1)) + "\n")
    (folder / "setup").write_text(SETUP)
    (folder / "bin").mkdir()
    (folder / "answers").mkdir()
    (folder / "bin" / "curl").write_text(CURL.format(curl=shutil.which("curl"), folder=folder / "answers"))
    (folder / "bin" / "curl").chmod(0o755)
    # Not the variables of the make that runs these tests.
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    env |= {"BASH_ENV": str(folder / "setup"), "PATH": f"{folder / 'bin'}:{env['PATH']}", "CARHAUL_STATE": str(stack.state)}
    done = subprocess.run(["bash", script], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    answers = {}
    for file in (folder / "answers").iterdir():
        statuses = re.findall(r"^HTTP/\S+ (\d+)", file.read_text(), re.MULTILINE)
        answers.setdefault(int(file.name.partition(".")[0]), []).extend(map(int, statuses[-1:]))
    return SimpleNamespace(code=done.returncode, said=done.stdout + done.stderr, lines=lines, answers=answers)


def test_every_walk_through_can_be_pasted(session):
    assert session.code == 0, session.said
    curls = [block for block in blocks() if re.search(r"\b(curl|api) ", text(block))]
    assert len(curls) > 2 and [text(block) for block in curls if not runs(block)] == []


def test_every_request_is_answered_as_its_comment_says(session):
    said = {number: int(status[1]) for number, line in session.lines.items() if (status := STATUS.search(line))}
    assert len(said) > 2 and said.keys() <= session.answers.keys()
    for number, statuses in session.answers.items():
        expected = said.get(number)
        good = [status == expected if expected else status < 400 for status in statuses]
        assert all(good), f"line {number} of README.md is answered {statuses}: {session.lines[number]}\n{session.said}"


def test_the_plan_is_the_one_that_its_comment_says(session):
    expected = [plan[1] for line in session.lines.values() if (plan := PLAN.search(line))]
    assert len(expected) > 2
    assert [line for line in session.said.splitlines() if line in ("free", "starter", "pro")] == expected
