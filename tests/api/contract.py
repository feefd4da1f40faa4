"""What the API promises in /openapi.json, held against a `run` of the real program, in either mode.

The document is checked to be OpenAPI (openapi-spec-validator), and then schemathesis asks for
everything in it: what the schemas allow, what they forbid, methods that are not there, tokens that
are wrong, and chains of requests that create, read, change and delete. It is told who asks, and one
thing that no schema can say (CONFIGURATION); all else it knows from the document, as a stranger would.

    contract.py PROGRAM     PROGRAM: a built prism-webhooks
"""

import contextlib
import http.server
import ipaddress
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import urllib.request

from openapi_spec_validator import OpenAPIV31SpecValidator

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from program import SOON, free_ports, ready, running, soon



def outside():
    """All addresses but those of this machine."""
    loopback = ipaddress.ip_network("127.0.0.0/8")
    others = ipaddress.ip_network("0.0.0.0/0").address_exclude(loopback)
    return ["::/0", *map(str, others)]


# Two organizations: what one has made, the other must not see.
TOKENS = {"acme": "acme-0123456789abcdef", "other": "other-0123456789abcdef"}

SETTINGS = {
    "PRISM_API_TOKEN": ",".join(f"{name}:{token}" for name, token in TOKENS.items()),
    "PRISM_SECRET_KEY": "0123456789abcdef" * 4,
    "PRISM_ALLOW_HTTP": "true",
    "PRISM_ALLOW_NETWORKS": "127.0.0.0/8",
    # Endpoints are made up, and some may exist: nobody outside is to get a request of ours.
    "PRISM_DENY_NETWORKS": ",".join(outside()),
    "PRISM_SEND_TIMEOUT": "1s",
    "PRISM_SEND_CONNECT_TIMEOUT": "1s",
    "PRISM_RETRY_MAX_ATTEMPTS": "1",
}

# Which ETag a webhook has now, no schema can say. A made-up one is answered with 412, as RFC 9110 has
# it, which the usual statuses of a request that fits the document do not include. Nor can one say which
# cursors were given out: a made-up one is answered with 400.
CONFIGURATION = """
checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 412, 429, "5xx"]

[[operations]]
include-path = ["/api/v1/attempts", "/api/v1/attempts/stream", "/api/v1/audit"]
checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", 400, 401, 403, 404, 409, 412, 429, "5xx"]

[auth.wfc]
path = "identities.json"
user = "acme"
peers = ["acme", "other"]
"""

# The same cases every time, as many as fit into a minute or two. The time limit ends what never ends:
# the stream of attempts.
OPTIONS = "--checks all --continue-on-failure --seed 1 --max-examples 20 --request-timeout 2".split()


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes what comes, but for what is sent to /fails."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(500 if self.path == "/fails" else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def private(scratch, kind, *ports):
    """A server of our own, gone with this process at the latest."""
    script = HERE.parent / "support" / "private-server"
    directory = scratch / kind
    directory.mkdir()
    command = [script, kind, directory, *map(str, ports)]
    with (scratch / f"{kind}.log").open("w") as log:
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
    try:
        yield
    finally:
        # The end of its input is its signal.
        server.stdin.close()
        server.wait()


@contextlib.contextmanager
def servers(scratch):
    """RabbitMQ and Redis; gives the settings that name them."""
    redis, *rabbit = free_ports(4)
    with private(scratch, "redis", redis), private(scratch, "rabbitmq", *rabbit):
        yield {
            "PRISM_AMQP_URL": f"amqp://guest:guest@127.0.0.1:{rabbit[0]}/%2f",
            "PRISM_REDIS_URL": f"redis://127.0.0.1:{redis}",
        }


@contextlib.contextmanager
def receiver():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def ask(base, path, body=None, token=TOKENS["acme"]):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(base + path, data, headers)
    with urllib.request.urlopen(request, timeout=SOON) as answer:
        return json.load(answer)


def is_sound(document):
    """Whether the document is what it says it is; tells what is wrong with it."""
    errors = list(OpenAPIV31SpecValidator(document).iter_errors())
    for error in errors:
        print(f"   the document: {getattr(error, 'message', error)}")
    if not errors:
        print(f"   the document is sound OpenAPI {document['openapi']}")
    return not errors


def make_something(base, place):
    """Something of everything to be read: a webhook of each kind, attempts, a dead letter."""
    for name, path in (("arrives", "/"), ("fails", "/fails")):
        ask(base, "/api/v1/webhooks", {"name": name, "url": f"http://{place}{path}"})
    for _ in range(2):
        ask(base, "/api/v1/events", {"event": "request.completed", "cost": 0.0012})
    soon("a dead letter", lambda: ask(base, "/api/v1/dead-letters")["items"])


def identities(scratch):
    """The two organizations, in the form in which schemathesis reads them."""
    users = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token}"}]}
        for name, token in TOKENS.items()
    ]
    (scratch / "identities.json").write_text(json.dumps({"auth": users}))


def schemathesis(base, scratch):
    """Runs it, and says whether everything held."""
    identities(scratch)
    (scratch / "schemathesis.toml").write_text(CONFIGURATION)
    program = pathlib.Path(sys.executable).with_name("st")
    done = subprocess.run(
        [program, "run", f"{base}/openapi.json", "--no-color", *OPTIONS],
        cwd=scratch,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(summary(done.stdout, done.returncode != 0))
    return done.returncode == 0


def summary(output, failed):
    """Its findings if there are any, and otherwise what it did."""
    headings = ["= ERRORS =", "= FAILURES ="] if failed else ["= SUMMARY ="]
    found = [output.index(heading) for heading in headings if heading in output]
    if found:
        output = output[min(found) :].split("\n", 1)[1]
    return "\n".join(f"   {line}".rstrip() for line in output.strip().splitlines())


def holds(program, scratch, more):
    """Whether everything held of a `run` with these settings too."""
    with receiver() as place, running(program, scratch, {**SETTINGS, **more}) as base:
        ready(base)
        sound = is_sound(ask(base, "/openapi.json"))
        make_something(base, place)
        return schemathesis(base, scratch) and sound


def main(program):
    program = str(pathlib.Path(program).resolve())
    with tempfile.TemporaryDirectory(prefix="prism-webhooks-api-") as directory:
        scratch = pathlib.Path(directory)
        print("   embedded:")
        held = holds(program, scratch, {})
        print("   on RabbitMQ and Redis:")
        with servers(scratch) as named:
            held = holds(program, scratch, named) and held
        sys.exit(0 if held else 1)


main(sys.argv[1])
