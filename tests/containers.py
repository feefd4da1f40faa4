"""What of docker-compose.yml and deploy/ can be checked without a container engine.

The schema and the Dockerfile's style are checked by tools of their own (tests/run). Here: that the
settings which the services get exist and are sound, that every service can be stopped and checked
as the program needs it, that the build steps are the README's, and that a real Redis takes its
configuration.

    containers.py PROGRAM     PROGRAM: a built prism-webhooks
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from ruamel.yaml import YAML

# The values that the person who starts it has to give.
GIVEN = {"PRISM_API_TOKEN": "0123456789abcdef0123456789abcdef"}

# Seconds: `worker.grace` and its flushing have to fit in.
GRACE = 25


def filled_in(text):
    """Text with its ${…} replaced as compose does it."""

    def value(match):
        name, _, default = match["name"], match["kind"], match["default"]
        return GIVEN.get(name, default if match["kind"] == ":-" else None) or ""

    pattern = r"\$\{(?P<name>\w+)(?P<kind>:-|:\?)?(?P<default>[^}]*)\}"
    return re.sub(pattern, value, text)


def check_settings(program, name, service):
    environment = {key: filled_in(str(value)) for key, value in service["environment"].items()}
    assert "PRISM_AMQP_URL" in environment, f"{name} would run embedded"
    done = subprocess.run(
        [program, "config", "check"],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"


def check_service(name, service, services):
    assert "healthcheck" in service, f"{name} has no health check, and does not say so"
    assert service.get("restart") == "unless-stopped", name
    if service["image"] == "prism-webhooks":
        assert int(service["stop_grace_period"].rstrip("s")) > GRACE, name
        assert service["read_only"] and service["cap_drop"] == ["ALL"], name
    for other in service.get("depends_on", {}):
        assert other in services, f"{name} waits for {other}, which is not there"
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        assert not source.startswith("./") or pathlib.Path(source).is_file(), source


def check_image(dockerfile, readme):
    steps = re.findall(r"^RUN (.*)$", dockerfile.split("\nFROM ")[1], re.MULTILINE)
    build = [part for step in steps for part in step.split(" && ") if part != "apt-get update"]
    assert len(build) == 2, build
    for command in build:
        assert f"\n{command}\n" in readme, f"the README builds otherwise than: {command}"
    last = dockerfile.split("\nFROM ")[-1]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", last, re.MULTILINE), "it runs as root"
    assert "STOPSIGNAL SIGTERM" in last
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, re.MULTILINE)
    ignored = pathlib.Path(".dockerignore").read_text()
    for path in " ".join(copied).split():
        assert pathlib.Path(path).exists() and f"!{path}" in ignored, path


def check_redis():
    with tempfile.TemporaryDirectory() as directory:
        socket = f"{directory}/redis.sock"
        own = ["--port", "0", "--unixsocket", socket, "--dir", directory]
        server = subprocess.Popen(
            ["redis-server", str(pathlib.Path("deploy/redis.conf").resolve()), *own],
            stdout=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 30
            while not os.path.exists(socket):
                assert server.poll() is None, "redis-server does not take deploy/redis.conf"
                assert time.monotonic() < deadline, "redis-server did not start"
                time.sleep(0.05)
            asked = ["appendonly", "appendfsync", "maxmemory-policy"]
            answer = subprocess.run(
                ["redis-cli", "-s", socket, "config", "get", *asked],
                capture_output=True,
                text=True,
                check=True,
            )
            lines = answer.stdout.split()
            found = dict(zip(lines[::2], lines[1::2]))
            wanted = ["yes", "always", "noeviction"]
            assert found == dict(zip(asked, wanted)), found
        finally:
            server.terminate()
            server.wait(30)


def main(program):
    compose = YAML(typ="safe").load(pathlib.Path("docker-compose.yml"))
    services = compose["services"]
    assert services["run"]["command"] == ["run"]
    assert services["worker"]["deploy"]["replicas"] == 2
    for name, service in services.items():
        check_service(name, service, services)
        if service["image"] == "prism-webhooks" and "environment" in service:
            check_settings(program, name, service)
    kept = {volume.split(":")[0] for s in services.values() for volume in s.get("volumes", [])}
    assert set(compose["volumes"]) <= kept, "a volume that nobody uses"
    check_image(
        pathlib.Path("deploy/Dockerfile").read_text(), pathlib.Path("README.md").read_text()
    )
    check_redis()
    print("   compose file, image and configuration are sound, as far as can be seen without an engine")


main(sys.argv[1])
