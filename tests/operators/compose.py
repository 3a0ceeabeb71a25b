"""Brings docker-compose.yml up from nothing, as it stands, and takes it down again.

The engine (`DOCKER_HOST`) holds images under the tags that the file names; tests/compose/engine makes stand-ins from Debian's packages. Grafana and Kafka's UI
cannot be had so: their services are left out, and `tunnel` would leave this machine.

Usage: compose.py BINARY COMPOSE…      (COMPOSE: the command of Docker Compose, such as `docker compose`)
"""

import json
import os
import pathlib
import subprocess
import sys
import time

from stack import Metrics, ROOT, eventually, free_port, get, work_folder

TOPIC = "icr.webhooks"


class Stack:
    """The compose project, on free ports of 127.0.0.1."""

    def __init__(self, folder, binary, command):
        self.binary, self.folder = binary, folder
        self.ports = {f"{name}_PORT": free_port() for name in ("BRIDGE", "BRIDGE_ADMIN", "KAFKA", "PROMETHEUS", "GRAFANA", "KAFKA_UI")}
        (folder / "env").write_text("".join(f"{name}={port}\n" for name, port in self.ports.items()) + "LOAD_RATE=10\n")
        self.project = f"icr-bridge-test-{os.getpid()}"
        self.command = [*command, "--project-name", self.project, "--env-file", str(folder / "env"), "--file", str(ROOT / "docker-compose.yml")]

    def compose(self, *arguments, check=True):
        done = subprocess.run([*self.command, *arguments], capture_output=True, text=True, timeout=300)
        assert not check or done.returncode == 0, f"compose {arguments}:\n{done.stdout}\n{done.stderr}\n{self.logs()}"
        return done

    def logs(self):
        return subprocess.run([*self.command, "logs", "--no-color", "--tail", "30"], capture_output=True, text=True, timeout=60).stdout

    def url(self, name):
        return f"http://127.0.0.1:{self.ports[name + '_PORT']}"

    def metrics(self):
        return Metrics(get(f"{self.url('BRIDGE_ADMIN')}/metrics"))

    def send(self, *arguments):
        secret = ROOT / "deploy/development-webhook-secret"
        command = [self.binary, "send", "--json", "--secret-file", secret, *map(str, arguments), f"{self.url('BRIDGE')}/webhook"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def records(self, count):
        """The `ce_id` of so many records of the topic, read through the broker's own console consumer."""
        script = "/opt/kafka/bin/kafka-console-consumer.sh"
        done = self.compose(
            *("exec", "-T", "kafka", script, "--bootstrap-server", "kafka:19092", "--topic", TOPIC, "--from-beginning"),
            *("--max-messages", str(count), "--timeout-ms", "60000"),
            *("--formatter-property", "print.headers=true", "--formatter-property", "print.value=false"),
        )
        found = [part.removeprefix("ce_id:") for part in done.stdout.replace("\t", ",").split(",") if part.startswith("ce_id:")]
        assert found, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return found

    def promised(self, query):
        answer = json.loads(get(f"{self.url('PROMETHEUS')}/api/v1/query?query={query}"))
        return float(answer["data"]["result"][0]["value"][1])

    def container(self, service):
        return json.loads(self.compose("ps", "--all", "--format", "json", service).stdout.splitlines()[0])

    def inspect(self, service):
        name = self.container(service)["Name"]
        done = subprocess.run(["docker", "inspect", name], check=True, capture_output=True, text=True)
        return json.loads(done.stdout)[0]


def check_order(stack):
    """Each waited for what it depends on."""
    started = {service: stack.inspect(service)["State"]["StartedAt"] for service in ("kafka", "topics", "bridge")}
    assert started["kafka"] < started["topics"] < started["bridge"], started
    ended = stack.inspect("topics")["State"]
    assert (ended["Status"], ended["ExitCode"]) == ("exited", 0) and ended["FinishedAt"] <= started["bridge"], ended
    for service in ("kafka", "bridge", "prometheus"):
        assert stack.container(service)["Health"] == "healthy", stack.container(service)
        for published in (stack.inspect(service)["HostConfig"]["PortBindings"] or {}).values():
            assert [one["HostIp"] for one in published] == ["127.0.0.1"], published
    assert stack.inspect("bridge")["Config"]["User"] not in ("", "0", "root")


# What the image may add to its base, in MiB: binary and licences.
LARGEST = 40


def docker(*arguments):
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"docker {arguments}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def check_image():
    """deploy/Dockerfile's image, by itself."""
    image = json.loads(docker("image", "inspect", "icr-bridge:local"))[0]
    base = json.loads(docker("image", "inspect", "gcr.io/distroless/cc-debian12:nonroot"))[0]
    added = (image["Size"] - base["Size"]) / (1 << 20)
    assert added < LARGEST, f"{added:.0f} MiB"
    config = image["Config"]
    assert config["User"] == base["Config"]["User"] == "nonroot", config
    assert config["Healthcheck"]["Test"] == ["CMD", "/usr/local/bin/icr-bridge", "healthcheck"], config
    said = docker("run", "--rm", "--network", "none", "--read-only", "icr-bridge:local", "--version")
    revision = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True).stdout.strip()
    assert f"revision: {revision or 'unknown'}\n" in said and "build: release" in said, said
    licences = docker("run", "--rm", "--network", "none", "--entrypoint", "cat", "icr-bridge:local", "/usr/share/doc/icr-bridge/third-party/INDEX", "/usr/share/doc/icr-bridge/LICENSE")
    for name in ("openssl-LICENSE.txt", "librdkafka-LICENSES.txt", "actix-web", "Apache License"):
        assert name in licences, name
    print(f"the image adds {added:.1f} MiB to its base, runs read-only, and says what it was built from", flush=True)


def main():
    binary, command = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    check_image()
    with work_folder("compose") as folder:
        stack = Stack(folder, binary, command)
        try:
            since = time.monotonic()
            stack.compose("up", "--detach", "--no-build", "--wait", "bridge", "prometheus")
            print(f"up from nothing after {time.monotonic() - since:.0f} s", flush=True)
            check_order(stack)

            stack.send("--count", 40)
            eventually("everything is published", lambda: stack.metrics()["icr_bridge_journal_pending_deliveries"] == 0)
            assert len(set(stack.records(40))) == 40
            eventually("Prometheus has counted them", lambda: stack.promised("sum(icr_bridge_records_published_total)") == 40)
            rules = json.loads(get(f"{stack.url('PROMETHEUS')}/api/v1/rules"))["data"]["groups"]
            assert sum(len(group["rules"]) for group in rules) > 40, "the rules are not loaded"
            assert all(rule["health"] != "err" for group in rules for rule in group["rules"]), rules
            print("40 deliveries are in Kafka and in Prometheus", flush=True)

            # Kafka goes; deliveries are taken; the bridge is restarted too; Kafka comes back.
            stack.compose("stop", "kafka")
            stack.send("--count", 25)
            assert stack.metrics()["icr_bridge_journal_pending_deliveries"] == 25
            stack.compose("restart", "bridge")
            eventually("the bridge is back", lambda: stack.metrics()["icr_bridge_journal_pending_deliveries"] == 25)
            stack.compose("start", "kafka")
            eventually("what waited is published", lambda: stack.metrics()["icr_bridge_journal_pending_deliveries"] == 0)
            assert len(set(stack.records(65))) == 65
            assert stack.metrics()["icr_bridge_unaccounted_deliveries"] == 0
            assert stack.container("bridge")["Health"] in ("healthy", "starting"), "Kafka's absence must not make the bridge unhealthy"
            print("Kafka was away, the bridge was restarted, and nothing was lost", flush=True)

            before = stack.metrics().sum("icr_bridge_deliveries_accepted_total")
            stack.compose("--profile", "load", "up", "--detach", "--no-build", "load")
            eventually("load comes", lambda: stack.metrics().sum("icr_bridge_deliveries_accepted_total") > before + 30)
            eventually("forgeries too", lambda: stack.metrics().sum("icr_bridge_deliveries_rejected_total", reason="signature_wrong") > 0)
            refused = stack.compose("--profile", "tunnel", "run", "--rm", "--no-deps", "tunnel-secret", check=False)
            assert refused.returncode == 1 and "public" in refused.stdout + refused.stderr, refused
            print("profile load makes load; profile tunnel refuses the public secret", flush=True)

            since = time.monotonic()
            stack.compose("--profile", "load", "stop", "bridge", "load")
            assert stack.inspect("bridge")["State"]["ExitCode"] == 0, stack.inspect("bridge")["State"]
            print(f"the bridge stopped within {time.monotonic() - since:.0f} s, in order", flush=True)
        finally:
            stack.compose("--profile", "*", "down", "--volumes", "--timeout", "10")
        left = subprocess.run(["docker", "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={stack.project}"], capture_output=True, text=True)
        assert left.stdout == "", left
    print("taken down")


if __name__ == "__main__":
    main()
