"""Finds or fetches PgBouncer 1.21 or newer: the first to know the prepared statements that RDS Proxy knows as well.

Older ones are not merely slower: sqlx's named statements fail on them. On Debian and Ubuntu the package and the libraries
it needs are unpacked into `.local/pgbouncer` and run with their own loader, so that nothing is installed into the system,
no service is started, and Debian 12 and Ubuntu 22.04, whose own package is too old, can use the next release's.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from local.console import Problem, note, run_logged
from local.settings import TOOLS

OLDEST = (1, 21)
FOLDER = TOOLS / "pgbouncer"
LOG = TOOLS / "logs" / "pgbouncer-install.log"
# The first release of each family whose package is new enough.
FIRST_RELEASE = {"debian": ("13", "trixie"), "ubuntu": ("24.04", "noble")}


def ensure():
    """Makes `command()` work."""
    if command():
        return
    if platform.system() == "Darwin":
        _from_homebrew()
    elif shutil.which("apt-get") and shutil.which("dpkg-deb"):
        _from_apt()
    else:
        raise Problem("PgBouncer 1.21 or newer is missing: install it with your system's package manager.")
    if not command():
        raise Problem(f"PgBouncer was installed but does not run; see {LOG}.")


def command():
    """The command line that runs PgBouncer, or None if there is no usable one."""
    ours = FOLDER / "command.json"
    candidates = [json.loads(ours.read_text())] if ours.exists() else []
    candidates += [[found] for folder in (None, "/usr/sbin", "/opt/homebrew/bin") if (found := _which(folder))]
    return next((candidate for candidate in candidates if _new_enough(candidate)), None)


def _which(folder):
    return shutil.which("pgbouncer", path=folder)


def _new_enough(candidate):
    try:
        said = subprocess.run([*candidate, "--version"], capture_output=True, text=True).stdout
    except OSError:
        return False
    version = re.search(r"PgBouncer (\d+)\.(\d+)", said)
    return bool(version) and (int(version[1]), int(version[2])) >= OLDEST


def _from_homebrew():
    if not shutil.which("brew"):
        raise Problem("PgBouncer is missing: install Homebrew (https://brew.sh), then run `brew install pgbouncer`.")
    run_logged(["brew", "install", "pgbouncer"], LOG, "brew install pgbouncer")


def _from_apt():
    note("Fetching PgBouncer and its libraries into .local/pgbouncer (about 30 MB; nothing is installed into the system)")
    with tempfile.TemporaryDirectory(dir=TOOLS) as scratch:
        scratch = Path(scratch)
        apt = _private_apt(scratch)
        run_logged([*apt, "update"], LOG, "Reading the package lists")
        run_logged([*apt, "--yes", "--download-only", "install", "pgbouncer"], LOG, "Downloading PgBouncer")
        for package in sorted((scratch / "cache" / "archives").glob("*.deb")):
            run_logged(["dpkg-deb", "--extract", package, scratch / "root"], LOG, f"Unpacking {package.name.split('_')[0]}")
        _keep(scratch / "root")


def _keep(root):
    """Of the unpacked packages, PgBouncer itself, its loader and the libraries that it loads."""
    loader = next(path for path in sorted(root.glob("usr/lib*/**/ld-linux*.so.*")) if path.is_file())
    libraries = root / "usr" / "lib" / loader.parent.name
    binary = root / "usr" / "sbin" / "pgbouncer"
    said = subprocess.run(
        [loader, "--library-path", libraries, "--list", binary], capture_output=True, text=True, check=True
    ).stdout
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for file in [loader, binary, *re.findall(r"=> (\S+)", said)]:
        shutil.copy(file, FOLDER)
    run = [str(FOLDER / loader.name), "--library-path", str(FOLDER), str(FOLDER / "pgbouncer")]
    (FOLDER / "command.json").write_text(json.dumps(run))


def _private_apt(scratch):
    """apt with a configuration of its own: an empty package status, so that it resolves every library."""
    for folder in ("state/lists/partial", "cache/archives/partial", "root"):
        (scratch / folder).mkdir(parents=True)
    (scratch / "status").touch()
    (scratch / "sources.list").write_text("".join(f"{line}\n" for line in _sources()))
    options = {
        "Dir::State": scratch / "state",
        "Dir::State::status": scratch / "status",
        "Dir::Cache": scratch / "cache",
        "Dir::Etc::sourcelist": scratch / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Debug::NoLocking": "1",
        "APT::Install-Recommends": "0",
        "Acquire::Languages": "none",
        # As root, apt downloads as another user, who cannot write into our folder.
        "APT::Sandbox::User": "root",
    }
    return ["apt-get", "-q", *(word for key, value in options.items() for word in ("-o", f"{key}={value}"))]


def _sources():
    """The machine's own mirror, with the first release that is new enough if its own is older."""
    system = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    family, version, codename = (
        system.get(key, "").strip('"') for key in ("ID", "VERSION_ID", "VERSION_CODENAME")
    )
    if family not in FIRST_RELEASE:
        raise Problem("PgBouncer 1.21 or newer is missing: install it with your system's package manager.")
    first_version, first_codename = FIRST_RELEASE[family]
    target = codename if float(version) >= float(first_version) else first_codename
    said = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(RELEASE)", "Created-By: Packages"],
        capture_output=True, text=True,
    ).stdout
    mirror = next((uri for uri, _, release in map(str.split, said.splitlines()) if release == codename), None)
    if not mirror:
        raise Problem(f"The package sources of this machine name no mirror for {codename}, to fetch PgBouncer from.")
    keyring = f"/usr/share/keyrings/{family}-archive-keyring.gpg"
    components = "main" if family == "debian" else "main universe"
    return [f"deb [signed-by={keyring}] {mirror} {target} {components}"]
