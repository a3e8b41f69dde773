"""The local stack: Postgres, PgBouncer and an emulated AWS on this machine, and the commands that drive them."""
