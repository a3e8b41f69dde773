"""What the person in front of the terminal sees: numbered steps, elapsed time, one sentence when something fails."""

import re
import shlex
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

CARGO_PROGRESS = re.compile(r"(\d+)/(\d+)(?::\s*(.+))?")


class Problem(Exception):
    """A failure with one clear sentence for the user; anything longer is in the log that it names."""


class Steps:
    """Prints `[n/m] what`, lines of progress below it, and how long the step took."""

    def __init__(self, total, done=0):
        self.total, self.number = total, done

    @contextmanager
    def step(self, what):
        self.number += 1
        say(f"[{self.number}/{self.total}] {what}")
        begun = time.monotonic()
        try:
            yield
        except Problem:
            raise
        except Exception as unforeseen:
            raise Problem(f"The step `{what}` failed: {unforeseen}") from unforeseen
        note(f"done in {time.monotonic() - begun:.1f} s")


def say(text=""):
    print(text, flush=True)


def note(text):
    say(f"      {text}")


class Ticker:
    """A progress line that is rewritten in place on a terminal, and printed now and then elsewhere (CI, a log)."""

    EVERY = 10.0

    def __init__(self, what):
        self.what, self.begun, self.printed = what, time.monotonic(), time.monotonic()
        self.tty = sys.stdout.isatty()

    def tick(self, detail):
        elapsed = time.monotonic() - self.begun
        line = f"      {self.what}: {detail[:80]} ({elapsed:.0f} s)"
        if self.tty:
            print("\r" + line.ljust(110), end="", flush=True)
        elif time.monotonic() - self.printed >= self.EVERY:
            self.printed = time.monotonic()
            say(line)

    def close(self):
        if self.tty:
            print("\r" + " " * 110 + "\r", end="", flush=True)


def run_logged(command, log, what, progress=None, **options):
    """Runs a command with its output in `log` and a progress line meanwhile.

    `progress` turns a line of output into the text of the progress line; None keeps the last one. Raises `Problem`, which
    names the log, if the command fails.
    """
    log = Path(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    ticker = Ticker(what)
    with log.open("w") as out:
        out.write(f"$ {shlex.join(map(str, command))}\n")
        process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **options,
        )
        try:
            for line in _lines(process.stdout):
                out.write(line + "\n")
                detail = progress(line) if progress else line.strip()
                if detail:
                    ticker.tick(detail)
            code = process.wait()
        finally:
            ticker.close()
            if process.poll() is None:
                process.terminate()
                process.wait()
    if code != 0:
        raise Problem(f"{what} failed with exit code {code}; the reason is in {log}:\n{_tail(log)}")


def cargo_progress(line):
    """Cargo's `Building [===> ] 12/300: serde, syn` as `12 of 300 crates, now serde, syn`."""
    if "Building" not in line:
        return None
    found = CARGO_PROGRESS.search(line)
    if not found:
        return None
    done, total, now = found.groups()
    return f"{done} of {total} crates" + (f", now {now.strip()}" if now else "")


def _lines(stream):
    """Lines ended by a newline or a carriage return: tools rewrite their progress bars with the latter."""
    pending = b""
    while chunk := stream.read1(8192):
        *whole, pending = re.split(rb"[\r\n]", pending + chunk)
        yield from (line.decode(errors="replace") for line in whole if line.strip())
    if pending.strip():
        yield pending.decode(errors="replace")


def _tail(log, lines=12):
    return "\n".join("      | " + line for line in log.read_text(errors="replace").splitlines()[-lines:])
