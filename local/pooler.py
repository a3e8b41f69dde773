"""PgBouncer in transaction mode, which stands in for RDS Proxy."""

import signal

from local import pgbouncer, postgres
from local.processes import hand_to_nobody, port_open, require_free_port, unprivileged
from local.settings import HOST

NAME = "pooler"

CONFIGURATION = """\
[databases]
* = host={host} port={postgres} auth_dbname=postgres

[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
; Passwords are those that Postgres has now: `migrate` sets and rotates them, and nobody tells the pooler.
auth_user = postgres
auth_query = SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1 AND rolcanlogin
admin_users = postgres
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 2000
max_prepared_statements = 200
; A list of orders has 40 kB and would go through in ten pieces, each of which wakes its reader.
pkt_buf = 16384
; sqlx sends it at connect; it is the server's default anyway.
ignore_startup_parameters = extra_float_digits
server_lifetime = 600
server_connect_timeout = 5
; A restarted Postgres is noticed at the next connection, not fifteen seconds later.
server_login_retry = 1
query_wait_timeout = 30
"""


def start(stack, daemons):
    if daemons.alive(NAME):
        return
    port = stack.ports["pooler"]
    require_free_port(NAME, port)
    folder = stack.state / "pooler"
    folder.mkdir(mode=0o700, exist_ok=True)
    users, configuration = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text(f'"postgres" "{postgres.password(stack)}"\n')
    configuration.write_text(
        CONFIGURATION.format(
            host=HOST, port=port, postgres=stack.ports["postgres"], users=users, pool_size=stack.pool_size
        )
    )
    for path in (folder, users, configuration):
        hand_to_nobody(path)
    command = pgbouncer.command()
    daemons.start(NAME, unprivileged([*command, configuration], command[0], configuration), ready=lambda: port_open(port))


def stop(daemons):
    # SIGTERM would wait for the clients to leave.
    return daemons.stop(NAME, signal.SIGQUIT)


def admin_url(stack):
    """PgBouncer's console: SHOW POOLS, RECONNECT, PAUSE .."""
    return f"postgres://postgres:{postgres.password(stack)}@{HOST}:{stack.ports['pooler']}/pgbouncer"
