"""The receivers of docs/receivers, each with a `run` of the real program that delivers to it.

With either of the two secrets that they know they answer 200, with a wrong one 401; and 401 to whatever else has no
signature of ours. Run in an environment that has fastapi, uvicorn and flask. Go is tried where it
is installed.

    receivers.py PROGRAM     PROGRAM: a built prism-webhooks
"""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "support"))
from program import SOON, free_ports, running, settings, soon

RECEIVERS = {
    "fastapi_receiver.py": [sys.executable],
    "flask_receiver.py": [sys.executable],
    "node_receiver.js": ["node"],
    "go_receiver.go": ["go", "run"],
}

SECRET = "a-secret-of-theirs"
OTHER = "the-one-that-takes-over"

SETTINGS = {
    "PRISM_ALLOW_HTTP": "true",
    "PRISM_ALLOW_NETWORKS": "127.0.0.0/8",
    "PRISM_RETRY_MAX_ATTEMPTS": "1",
}


@contextlib.contextmanager
def receiving(command, name, scratch):
    """A receiver; gives the URL that it takes webhooks at."""
    [port] = free_ports(1)
    log = scratch / f"{name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, HERE.parent / "docs" / "receivers" / name],
            env={
                **os.environ,
                "PRISM_WEBHOOK_SECRET": SECRET,
                "PRISM_WEBHOOK_OTHER_SECRET": OTHER,
                "PORT": str(port),
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            # `go run` starts another process: both are ended.
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}/webhook"
    try:
        soon(f"{name} listens", lambda: listens(port, process, log))
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


def listens(port, process, log):
    assert process.poll() is None, f"it ended at its start:\n{log.read_text()}"
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=SOON).close()
        return True
    return False


def post(url, body, headers):
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=SOON) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def attempt(program, scratch, webhook):
    """What came of the one request to a webhook, once it was made."""
    command = [program, "attempts", "list", "--json", "--webhook", webhook]
    env = settings(scratch, SETTINGS)
    listed = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    attempts = json.loads(listed.stdout)
    assert len(attempts) <= 1, attempts
    return attempts and attempts[0]


def check(name, url, program, base, scratch):
    for kind, secret, outcome, status in (
        ("right", SECRET, "delivered", 200),
        ("other", OTHER, "delivered", 200),
        ("wrong", "another secret", "rejected", 401),
    ):
        webhook = {"name": f"{name} {kind}", "url": url, "secret": secret}
        created, answer = post(f"{base}/api/v1/webhooks", json.dumps(webhook).encode(), {})
        assert created == 201, answer
        # Every webhook gets the event; this one is asked about, and then gets no others.
        event = {"event": "request.completed", "model": "gr\u00fc\u00df"}
        body = json.dumps(event, ensure_ascii=False, indent=1).encode()
        assert post(f"{base}/api/v1/events", body, {})[0] == 202
        made = soon("an attempt", lambda: attempt(program, scratch, answer["id"]))
        assert (made["outcome"], made["status_code"]) == (outcome, status), (name, made)
        if kind != "wrong":
            assert json.loads(made["response_body"]) == {"received": True}, (name, made)
        delete = [program, "webhooks", "delete", answer["id"]]
        subprocess.run(delete, env=settings(scratch, SETTINGS), check=True, capture_output=True)
    forged = ({}, {"X-Prism-Signature": "sha256="}, {"X-Prism-Signature": "\u00fc"})
    for headers in forged:
        assert post(url, b"{}", headers)[0] == 401, (name, headers)


def main(program):
    program = str(pathlib.Path(program).resolve())
    with tempfile.TemporaryDirectory(prefix="prism-webhooks-receivers-") as directory:
        scratch = pathlib.Path(directory)
        with running(program, scratch, SETTINGS) as base:
            for name, command in RECEIVERS.items():
                if shutil.which(command[0]) is None:
                    print(f"   {name}: not tried, there is no {command[0]} here")
                    continue
                with receiving(command, name, scratch) as url:
                    check(name, url, program, base, scratch)
                print(f"   {name}: takes what is signed, and nothing else")


main(sys.argv[1])
