"""A `run` of the real program, for the tests in Python."""

import contextlib
import os
import re
import subprocess
import time

# Seconds until something that happens at once has happened, on a machine that is busy.
SOON = 30


def settings(scratch, more):
    """What a process gets: the settings given, and none that the tests themselves run with."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    usual = {"PRISM_DATA_DIR": str(scratch / "data"), "PRISM_LOGGING_LEVEL": "warn"}
    return {**kept, **usual, "PRISM_LISTEN": "127.0.0.1:0", **more}


@contextlib.contextmanager
def running(program, scratch, more):
    """One that is embedded, with these settings, its data in `scratch`; gives its address."""
    log = scratch / "run.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [program, "run"],
            env=settings(scratch, more),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield soon("the program listens", lambda: address(process, log))
        process.terminate()
        assert process.wait(SOON) == 0, f"it did not stop well:\n{log.read_text()}"
    finally:
        process.kill()
        process.wait()


def address(process, log):
    said = log.read_text()
    assert process.poll() is None, f"it ended at its start:\n{said}"
    found = re.search(r"look at (http://\S+?)/?\s", said)
    return found and found[1]


def soon(what, probe):
    """What `probe` gives, once it gives something."""
    deadline = time.monotonic() + SOON
    while not (found := probe()):
        assert time.monotonic() < deadline, f"not within {SOON} s: {what}"
        time.sleep(0.05)
    return found
