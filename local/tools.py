"""Step one of every command: checks what must be there already, and installs what is missing.

Runs on a bare Python, before anything is installed, so it uses the standard library alone. Nothing but a missing system
package (venv, a C compiler) is installed outside `.local/`.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from local import pgbouncer
from local.console import Problem, cargo_progress, note, run_logged
from local.settings import ROOT, TOOLS, VENV

PYTHON = (3, 11)
RUSTUP = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"


def ensure(build=True):
    """Everything that the other commands need; quick when it is all there."""
    if sys.version_info < PYTHON:
        raise Problem(
            f"Python {sys.version_info.major}.{sys.version_info.minor} is too old: install Python 3.11 or newer, or name "
            "it with `make PYTHON=python3.12 ..`."
        )
    if build:
        _ensure_rust()
    _ensure_venv()
    pgbouncer.ensure()


def _ensure_rust():
    if not shutil.which("cargo"):
        raise Problem(f"Rust is missing (no `cargo` on the PATH): install it with `{RUSTUP}` and open a new terminal.")
    wanted = re.search(r'^rust-version = "([\d.]+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    found = subprocess.run(["cargo", "--version"], capture_output=True, text=True, cwd=ROOT).stdout
    version = re.search(r"\d+\.\d+\.\d+", found)
    if not version:
        raise Problem(f"`cargo --version` does not answer with a version; install Rust with `{RUSTUP}`.")
    if _numbers(version[0]) < _numbers(wanted):
        raise Problem(f"Rust {version[0]} is older than the {wanted} that this workspace needs: run `rustup update stable`.")
    if not shutil.which("cc"):
        if not shutil.which("apt-get"):
            raise Problem("A C compiler is missing (no `cc` on the PATH): on macOS run `xcode-select --install`.")
        _apt_install("a C compiler", "build-essential")


def ensure_rust_components():
    """`make test` also formats and lints."""
    for tool, component in (("fmt", "rustfmt"), ("clippy", "clippy")):
        if subprocess.run(["cargo", tool, "--version"], capture_output=True).returncode:
            if not shutil.which("rustup"):
                raise Problem(f"`cargo {tool}` is missing: install the Rust component {component}.")
            run_logged(["rustup", "component", "add", component], TOOLS / "logs" / "rustup.log", f"Installing {component}")


# With these versions a run of today says what one of next year says.
CARGO_TOOLS = {"cargo-deny": "0.20.2", "cargo-machete": "0.9.2"}


def cargo_tool(name):
    """The path of a tool that is built from crates.io once, into `.local/`: a minute each."""
    version, binary = CARGO_TOOLS[name], TOOLS / "cargo" / "bin" / name
    if f"{name} v{version}:" not in _installed_cargo_tools():
        run_logged(
            ["cargo", "install", "--locked", "--debug", "--root", TOOLS / "cargo", f"{name}@{version}"],
            TOOLS / "logs" / f"{name}.log", f"Installing {name}", progress=cargo_progress,
        )
    return binary


def _installed_cargo_tools():
    return subprocess.run(
        ["cargo", "install", "--list", "--root", str(TOOLS / "cargo")], capture_output=True, text=True
    ).stdout


def _ensure_venv():
    requirements = [ROOT / "local" / name for name in ("requirements.txt", "constraints.txt")]
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in requirements)).hexdigest()
    stamp = VENV / "installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if not VENV.joinpath("bin", "pip").exists():
        if subprocess.run([sys.executable, "-c", "import ensurepip, venv"], capture_output=True).returncode:
            _apt_install("Python's venv module", f"python{sys.version_info.major}.{sys.version_info.minor}-venv")
        shutil.rmtree(VENV, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    note("Installing MiniStack, Postgres, the SAM CLI and the test tools into .local/venv (about 100 packages)")
    pip = [VENV / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar=off"]
    run_logged(
        [*pip, "-r", requirements[0], "-c", requirements[1]], TOOLS / "logs" / "pip.log", "pip", progress=_pip_progress
    )
    stamp.write_text(wanted)


def _pip_progress(line):
    """`Collecting requests>=2 (from ..)` without its reason, and the other lines that tell how far it is."""
    words = line.split()
    return " ".join(words[:2]) if words and words[0] in ("Collecting", "Downloading", "Installing") else None


def _apt_install(what, package):
    """A system package, for the two things that cannot live in `.local/`."""
    command = ["apt-get", "install", "-y", "--no-install-recommends", package]
    if not shutil.which("apt-get"):
        raise Problem(f"{what} is missing: install it with your system's package manager.")
    if os.geteuid() != 0:
        if not (shutil.which("sudo") and sys.stdin.isatty()):
            raise Problem(f"{what} is missing: run `sudo apt-get install {package}`.")
        command = ["sudo", *command]
    note(f"Installing {what} ({' '.join(command)})")
    update = [word for word in command if word == "sudo"] + ["apt-get", "update"]
    run_logged(update, TOOLS / "logs" / "apt-update.log", "apt-get update")
    run_logged(command, TOOLS / "logs" / "apt.log", f"apt-get install {package}",
               env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})


def _numbers(version):
    return tuple(int(part) for part in version.split("."))


if __name__ == "__main__":
    begun = time.monotonic()
    try:
        ensure(build="--no-build" not in sys.argv)
        note(f"Rust, Python, Postgres, PgBouncer and MiniStack are there ({time.monotonic() - begun:.1f} s)")
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
