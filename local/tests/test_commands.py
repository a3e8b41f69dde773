"""The commands themselves: on a fresh clone, with a port that is taken, with a step that fails. Each test has a stack of its
own, with Postgres and the pooler where data matters; what a whole deployment would take minutes for is stood in for."""

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from local import deploy, ministack, pooler, postgres, services, settings, stripe
from local import stack as commands
from local.console import Problem
from local.processes import Daemons, free_port, port_open, port_variable
from local.settings import HOST, ROOT, Stack

NEED_A_STACK = ["token", "url", "db-url", "psql", "logs", "prices", "invoke-files"]


@pytest.fixture
def stack(tmp_path, monkeypatch):
    """A stack that nothing has been done with, as the commands find it."""
    made = Stack(state=tmp_path / "state", durable=False)
    made = replace(made, ports={name: free_port() for name in made.ports})
    monkeypatch.setattr(commands, "from_environment", lambda: made)
    monkeypatch.delenv("PARAMS", raising=False)
    made.prepare()
    yield made
    services.stop(Daemons(made))


def environment(stack):
    ports = {port_variable(name): str(port) for name, port in stack.ports.items()}
    return os.environ | ports | {"CARHAUL_STATE": str(stack.state)}


@pytest.fixture
def world(monkeypatch):
    """`up` and `deploy` with a real database; what they would have built and deployed is kept in a list."""
    deployed = []

    def fake_deploy(stack, template, digest, values):
        deployed.append(values)

    outputs = {"OidcIssuer": "https://issuer.example"}
    monkeypatch.setattr(commands.bundle, "build", lambda stack: None)
    monkeypatch.setattr(commands.bundle, "assemble", lambda stack: ("template.yaml", "digest"))
    monkeypatch.setattr(commands.ministack, "start", lambda stack, daemons: start_idle(daemons, ministack.NAME))
    monkeypatch.setattr(commands.ministack, "function_logs", lambda stack, minutes: [])
    monkeypatch.setattr(deploy, "_admin_secret", lambda stack: "arn:aws:secretsmanager:us-east-1:000000000000:secret:administrator")
    monkeypatch.setattr(deploy, "deploy", fake_deploy)
    monkeypatch.setattr(deploy, "migrate", lambda stack: {"version": 1, "applied": []})
    monkeypatch.setattr(deploy, "require_healthy", lambda stack: None)
    monkeypatch.setattr(deploy, "outputs", lambda stack: outputs)
    monkeypatch.setattr(deploy, "load_prices", lambda stack, prices: {})
    monkeypatch.setattr(stripe, "start", lambda stack, daemons: start_idle(daemons, stripe.NAME))
    monkeypatch.setattr(stripe, "introduce", lambda stack, outputs: None)
    return SimpleNamespace(deployed=deployed)


def start_idle(daemons, name):
    """A service that does nothing."""
    if not daemons.alive(name):
        daemons.start(name, [sys.executable, "-c", "import time; time.sleep(600)"], ready=lambda: True)


def fail(*_):
    raise RuntimeError("the disk is full")


def recorded(stack):
    return {file.stem: json.loads(file.read_text())["pid"] for file in (stack.state / "run").glob("*.json")}


def one_sentence(text):
    """The error, without what make adds to it."""
    lines = [line for line in text.splitlines() if not line.startswith("make")]
    # Nor a word about the Makefile itself, as of a target that is there twice.
    assert len(lines) == 1 and lines[0].startswith("error: ") and "warning" not in text, text
    return lines[0]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What a newcomer has: the files, and nothing installed."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("Makefile", "Cargo.toml"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "local", folder / "local", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def make(folder, *arguments, **env):
    # Not the variables of the make that runs these tests.
    theirs = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "CARHAUL_STATE")
    ours = {name: value for name, value in os.environ.items() if name not in theirs}
    return subprocess.run(["make", "-s", *arguments], cwd=folder, env=ours | env, capture_output=True, text=True)


@pytest.mark.parametrize("command", NEED_A_STACK)
def test_on_a_fresh_clone_a_command_says_what_comes_first(clone, command):
    done = make(clone, command)
    assert done.returncode != 0 and done.stdout == ""
    assert "make up" in one_sentence(done.stderr)


@pytest.mark.parametrize("command", ["down", "clean", "test-db-down"])
def test_on_a_fresh_clone_there_is_nothing_to_stop(clone, command):
    done = make(clone, command)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.count("\n") == 1


def test_a_missing_tool_is_named_with_the_way_to_get_it(clone, tmp_path):
    assert "Python 3.11" in one_sentence(make(clone, "up", "PYTHON=python-of-nobody").stderr)
    # Where there are a shell and Python alone.
    (tmp_path / "python").symlink_to(sys.executable)
    for name in ("sh", "make"):
        (tmp_path / name).symlink_to(shutil.which(name))
    said = one_sentence(make(clone, "up", f"PYTHON={sys.executable}", PATH=str(tmp_path)).stderr)
    assert "cargo" in said and "sh.rustup.rs" in said
    assert not (clone / ".local" / "run").exists()


@pytest.mark.parametrize("command", NEED_A_STACK)
def test_before_the_first_up_a_command_says_so(stack, capsys, command):
    assert commands.main(command, *(["prices.json"] if command == "prices" else [])) == 1
    assert "make up" in one_sentence(capsys.readouterr().err)


@pytest.mark.parametrize("variable, value", [
    ("CARHAUL_GATEWAY_PORT", "abc"), ("CARHAUL_POOLER_PORT", "65536"), ("CARHAUL_POOL_SIZE", "0"),
])
def test_a_variable_that_is_no_number_is_named(tmp_path, monkeypatch, capsys, variable, value):
    monkeypatch.setenv("CARHAUL_STATE", str(tmp_path))
    monkeypatch.setenv(variable, value)
    assert commands.main("url") == 1
    said = one_sentence(capsys.readouterr().err)
    assert variable in said and value in said


@pytest.mark.parametrize("minutes", ["abc", "0", "-1", "1.5", "inf", "²"])
def test_minutes_that_are_none_are_named(stack, capsys, minutes):
    assert commands.main("logs", minutes) == 1
    assert "MINUTES" in one_sentence(capsys.readouterr().err)


def test_a_damaged_file_of_ours_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("CARHAUL_STATE", str(tmp_path))
    (tmp_path / "ports.json").write_text("{")
    with pytest.raises(Problem, match="ports.json is damaged"):
        settings.from_environment()


@pytest.mark.parametrize("service", ["gateway", "postgres", "pooler", "stripe"])
def test_a_port_that_is_taken_is_named_and_nothing_is_left_running(stack, service):
    with socket.create_server((HOST, stack.ports[service])):
        done = subprocess.run(
            [sys.executable, "-m", "local.stack", "up"], cwd=ROOT, env=environment(stack), capture_output=True, text=True
        )
        said = one_sentence(done.stderr)
    assert done.returncode == 1 and f"Port {stack.ports[service]} " in said and port_variable(service) in said
    assert recorded(stack) == {}
    assert not [name for name, port in stack.ports.items() if port_open(port)]


@pytest.mark.parametrize("how, code", [(RuntimeError, 1), (KeyboardInterrupt, 130), (SystemExit, None)])
def test_a_step_that_fails_leaves_nothing_half_started(stack, world, monkeypatch, capsys, how, code):
    seen = {}

    def fail(stack, daemons):
        seen.update(recorded(stack))
        raise how("the disk is full")

    monkeypatch.setattr(commands.ministack, "start", fail)
    if code is None:
        # What a SIGTERM becomes.
        with pytest.raises(SystemExit):
            commands.main("up")
    else:
        assert commands.main("up") == code
    if how is RuntimeError:
        said = capsys.readouterr().err
        assert "error: The step `MiniStack" in said and "the disk is full" in said and "Traceback" not in said
        assert "RuntimeError" in (stack.logs / "error.log").read_text()
    assert set(seen) == {"postgres", "pooler"}
    assert recorded(stack) == {} and not [pid for pid in seen.values() if alive(pid)]
    assert not [name for name, port in stack.ports.items() if port_open(port)]


def test_a_second_up_that_fails_stops_nothing_of_the_first(stack, world, monkeypatch):
    assert commands.main("up") == 0
    before = recorded(stack)
    monkeypatch.setattr(deploy, "migrate", fail)
    assert commands.main("up") == 1
    assert recorded(stack) == before and all(map(alive, before.values()))


def test_a_second_up_keeps_processes_and_data_and_down_keeps_the_data(stack, world, capsys):
    assert commands.main("up") == 0
    first = recorded(stack)
    with postgres.connect(stack) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 'a carrier' AS name")
    assert commands.main("up") == 0
    assert recorded(stack) == first and set(first) == {"postgres", "pooler", "gateway", "stripe"}
    capsys.readouterr()
    assert commands.main("db-url") == 0
    assert capsys.readouterr().out == postgres.direct_url(stack) + "\n"

    assert commands.main("down") == 0
    assert "stripe, gateway, pooler, postgres" in capsys.readouterr().out
    assert recorded(stack) == {} and not [pid for pid in first.values() if alive(pid)]
    assert commands.main("up") == 0
    with postgres.connect(stack) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT name FROM kept")
        assert cursor.fetchall() == [("a carrier",)]
    assert commands.main("clean") == 0
    assert not (stack.state / "postgres").exists() and recorded(stack) == {}


def test_a_process_of_somebody_else_with_the_recorded_pid_is_left_alone(stack, capsys):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        for name in (postgres.NAME, pooler.NAME, ministack.NAME):
            record = {"pid": stranger.pid, "started": "the start of a process that has ended"}
            (stack.state / "run" / f"{name}.json").write_text(json.dumps(record))
        assert commands.main("down") == 0
        assert "Nothing was running" in capsys.readouterr().out
        assert stranger.poll() is None and recorded(stack) == {}
    finally:
        stranger.kill()
        stranger.wait()


def test_two_commands_do_not_change_a_stack_at_once(stack, capsys):
    with services.exclusive(stack):
        assert commands.main("down") == 1
    assert "Another command" in one_sentence(capsys.readouterr().err)


def test_params_count_until_others_are_given_or_none(stack, world, monkeypatch, capsys):
    def run(command, params=None):
        monkeypatch.delenv("PARAMS", raising=False)
        if params is not None:
            monkeypatch.setenv("PARAMS", params)
        assert commands.main(command) == 0
        values = world.deployed[-1]
        return values["OidcIssuer"], values["OidcAudience"], values["LogLevel"]

    ours = ("https://issuer.example", "carhaul", "info")
    assert run("up", "OidcIssuer=https://issuer.example OidcAudience=carhaul") == ours
    capsys.readouterr()
    assert run("deploy") == ours
    assert "PARAMS as before, for OidcIssuer, OidcAudience (`PARAMS=` forgets them)" in capsys.readouterr().out
    assert run("up") == ours
    # What a deployment alone cannot bring about is refused, and forgets nothing.
    monkeypatch.setenv("PARAMS", "")
    assert commands.main("deploy") == 1
    assert "OidcIssuer" in one_sentence(capsys.readouterr().err)
    assert run("up") == ours
    assert run("up", "LogLevel=debug") == ("", "", "debug")
    assert run("deploy") == ("", "", "debug")
    assert run("up", "") == run("deploy") == ("", "", "info")


def test_a_stripe_that_params_name_is_used_until_they_are_forgotten(stack, world, monkeypatch):
    monkeypatch.setenv("PARAMS", "StripeApiBase=https://api.stripe.com")
    assert commands.main("up") == 0 and "stripe" not in recorded(stack)
    monkeypatch.delenv("PARAMS")
    assert commands.main("up") == 0 and "stripe" not in recorded(stack)
    assert world.deployed[-1]["StripeApiBase"] == "https://api.stripe.com"
    monkeypatch.setenv("PARAMS", "")
    assert commands.main("up") == 0 and "stripe" in recorded(stack)
    assert world.deployed[-1]["StripeApiBase"] == stripe.url(stack)


def alive(pid):
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False
