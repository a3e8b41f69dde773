"""Background processes that are started once, recognised later, and never confused with somebody else's."""

import json
import os
import pwd
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from local.console import Problem
from local.settings import HOST, port_variable


class Daemons:
    """The processes of one stack. `started` are those of this run, to be ended again if it fails."""

    def __init__(self, stack):
        self.stack = stack
        self.started = []

    def alive(self, name):
        """Whether the process that was recorded under this name is still the one with that pid."""
        record = self._record(name)
        return bool(record) and _start_time(record["pid"]) == record["started"]

    def start(self, name, command, ready, env=None, cwd=None, timeout=30):
        """Starts a process in its own session and waits until `ready()` is true."""
        _raise_file_limit()
        log = self.stack.logs / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=cwd,
                start_new_session=True,
            )
        self._file(name).write_text(json.dumps({"pid": process.pid, "started": _start_time(process.pid)}))
        self.started.append(name)
        deadline = time.monotonic() + timeout
        while not ready():
            if process.poll() is not None:
                raise Problem(f"{name} stopped right after its start (exit code {process.returncode}); see {log}.")
            if time.monotonic() > deadline:
                raise Problem(f"{name} did not become ready within {timeout} s; see {log}.")
            time.sleep(0.05)

    def stop(self, name, how=signal.SIGTERM, timeout=30):
        """Ends a process that we started, first politely. Returns whether there was one."""
        alive, record = self.alive(name), self._record(name)
        if alive:
            pid = record["pid"]
            os.kill(pid, how)
            deadline = time.monotonic() + timeout
            while self.alive(name) and time.monotonic() < deadline:
                _reap(pid)
                time.sleep(0.05)
            # It leads a session of its own: what is left of the group is its own children, or itself, too slow.
            try:
                os.killpg(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        self._file(name).unlink(missing_ok=True)
        return alive

    def _file(self, name):
        return self.stack.state / "run" / f"{name}.json"

    def _record(self, name):
        try:
            return json.loads(self._file(name).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None


def _raise_file_limit():
    """Children inherit it; the usual 1024 open files are fewer than the pooler's clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(hard, 8192)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def require_free_port(name, port):
    with socket.socket() as probe:
        # As servers do: a port in TIME_WAIT from the last run is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise Problem(
                f"Port {port} for the {name} is already in use: stop what uses it, or choose another port with "
                f"{port_variable(name)}=<port>."
            ) from None


def free_port():
    """A port below those that the system gives to clients, so that none of them takes it before its server starts."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
                return port
            except OSError:
                continue


def port_open(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def unprivileged(command, *paths):
    """The command, run as `nobody` under root: Postgres and PgBouncer refuse to run as root.

    A checkout below a private folder such as /root cannot be entered by nobody, so there the process keeps the one
    capability that lets it pass, and no other. (Without `no_setuid_fixup`, access(2) would not count that capability.)
    """
    if os.geteuid() != 0:
        return list(command)
    if not shutil.which("setpriv"):
        raise Problem("Running as root needs the command setpriv (package util-linux) to start Postgres as another user.")
    nobody = pwd.getpwnam("nobody")
    switch = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    if not all(_open_to_all(Path(path)) for path in paths):
        switch += ["--securebits=+no_setuid_fixup", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return [*switch, "--", *command]


def hand_to_nobody(path):
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(path, nobody.pw_uid, nobody.pw_gid)


def _open_to_all(path):
    return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)


def _start_time(pid):
    """When a process began, as the system says it: with the pid it identifies a process for good."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # A zombie has ended; its parent has only not looked yet.
        return None if fields[0] == "Z" else fields[19]
    said = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
    return said.stdout.strip() or None


def _reap(pid):
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
