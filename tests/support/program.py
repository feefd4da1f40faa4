"""A `run` of the real program, for the tests in Python."""

import contextlib
import os
import random
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request

# Seconds until something that happens at once has happened, on a machine that is busy.
SOON = 30

# Seconds that a RabbitMQ of our own may take to start on one.
START_LIMIT = 90


def settings(scratch, more):
    """What a process gets: the settings given, and none that the tests themselves run with."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    usual = {"PRISM_DATA_DIR": str(scratch / "data"), "PRISM_LOGGING_LEVEL": "warn"}
    return {**kept, **usual, "PRISM_LISTEN": "127.0.0.1:0", **more}


@contextlib.contextmanager
def running(program, scratch, more):
    """One with these settings, embedded unless they name servers, its data in `scratch`; gives its
    address."""
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


def ready(base):
    """Waits until it can take events."""

    def answers():
        with contextlib.suppress(urllib.error.URLError):
            return urllib.request.urlopen(f"{base}/readyz", timeout=SOON).status == 200

    soon("it can take events", answers, START_LIMIT)


def free_ports(many):
    """So many ports that nobody takes by chance: below those of outgoing connections."""
    ports = []
    while len(ports) < many:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
    return ports


def soon(what, probe, limit=SOON):
    """What `probe` gives, once it gives something."""
    deadline = time.monotonic() + limit
    while not (found := probe()):
        assert time.monotonic() < deadline, f"not within {limit} s: {what}"
        time.sleep(0.05)
    return found
