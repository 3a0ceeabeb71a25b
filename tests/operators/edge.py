"""deploy/proxy before two real bridges: `edge.py BRIDGE NGINX CADDY`, with Kafka in the environment.

The configurations are taken as they stand, but for names, addresses and the certificate. Under a load of distinct signed deliveries each bridge is restarted and killed in turn;
every delivery must be answered 202 and be in the topic.
"""

import contextlib
import json
import os
import resource
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
import uuid

from confluent_kafka import Consumer, TopicPartition
from stack import ROOT, Bridge, eventually, free_port, work_folder

PROXY = ROOT / "deploy/proxy"
NAME = "webhooks.example.com"
BOOTSTRAP = os.environ["KAFKA_BOOTSTRAP"]
ROUNDS = 2


def replaced(text, **changes):
    """Each of these strings for what a real deployment has in its place."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def certificate(folder):
    """A certificate of one's own; its key."""
    certificate, key = folder / "fullchain.pem", folder / "privkey.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


class Nginx:
    def __init__(self, folder, binary, bridges):
        self.folder, self.binary = folder / "nginx", binary
        self.folder.mkdir()
        self.address = f"127.0.0.1:{free_port()}"
        self.certificate, key = certificate(self.folder)
        site = replaced(
            (PROXY / "nginx.conf").read_text(),
            **{
                "listen 443 ssl": f"listen {self.address} ssl",
                "bridge-a.internal:4040": bridges[0].settings["LISTEN"],
                "bridge-b.internal:4040": bridges[1].settings["LISTEN"],
                f"/etc/ssl/{NAME}/fullchain.pem": str(self.certificate),
                f"/etc/ssl/{NAME}/privkey.pem": str(key),
            },
        )
        (self.folder / "site.conf").write_text(site)
        places = "".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (self.folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {self.folder}/pid; error_log {self.folder}/error.log info;"
            f"events {{ }} http {{ access_log {self.folder}/access.log; {places} include {self.folder}/site.conf; }}"
        )

    def __enter__(self):
        command = [self.binary, "-p", self.folder, "-c", self.folder / "nginx.conf", "-e", self.folder / "error.log"]
        subprocess.run([*command, "-t"], check=True, capture_output=True)
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self.context = ssl.create_default_context(cafile=self.certificate)
        eventually("nginx answers", lambda: self.ask("GET", "/") == 404)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)

    @property
    def url(self):
        return f"https://localhost:{self.address.rsplit(':', 1)[1]}"

    def ask(self, method, path, body=None):
        """The status of an answer."""
        request = urllib.request.Request(f"{self.url}{path}", body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20, context=self.context) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code


def load(bridge, proxy, *arguments):
    """`icr-bridge send` through the proxy, under way."""
    command = [bridge.binary, "send", "--json", "--secret-file", bridge.secret_file, *map(str, arguments), f"{proxy.url}/webhook"]
    environment = {"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(proxy.certificate)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def report(sending):
    """How many it has sent, each of which was answered 202."""
    out, words = sending.communicate(timeout=300)
    said = json.loads(out) if out else words
    assert sending.returncode == 0 and said["statuses"] == {"202": said["deliveries"]} and not said["no_answer"], said
    return said["deliveries"]


def read(topic):
    """The fingerprints in a topic, one for each record."""
    reader = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": f"{topic}-reader", "enable.auto.commit": False})
    fingerprints = []
    for number in reader.list_topics(topic, timeout=30).topics[topic].partitions:
        low, high = reader.get_watermark_offsets(TopicPartition(topic, number), timeout=30)
        reader.assign([TopicPartition(topic, number, low)])
        while low < high:
            record = reader.poll(30)
            assert record and not record.error(), record and record.error()
            fingerprints.append(dict(record.headers())["ce_fingerprint"])
            low = record.offset() + 1
    reader.close()
    return fingerprints


def more(bridge):
    """Waits until this replica has taken some deliveries since its start."""
    eventually("the replica has its share", lambda: bridge.metrics().sum("icr_bridge_deliveries_accepted_total") > 50)


def restart_and_kill(proxy, bridges, topic):
    sending = load(bridges[0], proxy, "--rate", 150, "--duration", "25s")
    for _ in range(ROUNDS):
        for bridge in bridges:
            more(bridge)
            bridge.stop()
            bridge.start()
            more(bridge)
            bridge.process.kill()
            bridge.process.wait()
            bridge.start()
    assert sending.poll() is None, "the load goes on all the while"
    sent = report(sending)
    for bridge in bridges:
        eventually("all is published", lambda bridge=bridge: bridge.metrics()["icr_bridge_journal_pending_deliveries"] == 0)
    records = read(topic)
    assert len(set(records)) == sent, f"{sent} were answered 202, and {len(set(records))} are in the topic"
    return f"nginx: {sent} deliveries over {2 * ROUNDS} restarts and {2 * ROUNDS} kills, all answered 202 and in the topic; {len(records) - sent} there twice"


def check_503(proxy, bridges):
    """What one replica cannot store, the other one does."""
    full, other = bridges
    full.stop()
    # A write beyond the limit shall be an error, not the end of the process.
    full.start(restore_signals=False)
    limits = resource.prlimit(full.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    sent = report(load(other, proxy, "--count", 50))
    assert full.metrics().sum("icr_bridge_deliveries_refused_total") > 0, "it was asked first"
    resource.prlimit(full.process.pid, resource.RLIMIT_FSIZE, limits)
    return f"nginx: {sent} deliveries past a replica that answers 503"


def check_closed(proxy):
    """Deliveries, and nothing else."""
    for path in ("/", "/metrics", "/healthz", "/readyz", "/schema/", "/webhookx", "/webhook/", "/webhook/a/b", "/webhook/../metrics"):
        assert proxy.ask("GET", path) == 404 and proxy.ask("POST", path, b"{}") == 404, path
    assert proxy.ask("GET", "/webhook") == 405, "that is the bridge's own answer"
    assert proxy.ask("POST", "/webhook", b"{}") == 400
    assert proxy.ask("POST", "/webhook", b" " * (513 << 10)) == 413
    plain = urllib.request.Request(proxy.url.replace("https", "http") + "/webhook", b"{}")
    try:
        urllib.request.urlopen(plain, timeout=20)
        raise AssertionError("without TLS nothing is taken")
    except urllib.error.HTTPError as error:
        assert error.code == 400


def check_rate(proxy, bridge):
    """A flood is turned away by the proxy."""
    sending = load(bridge, proxy, "--count", 6000, "--concurrency", 16)
    out, words = sending.communicate(timeout=300)
    statuses = json.loads(out)["statuses"]
    assert statuses.get("429", 0) > 0 and statuses.get("202", 0) >= 1000, statuses


def check_caddy(folder, caddy, bridges):
    """Caddy takes the Caddyfile, and lets deliveries through and nothing else."""
    folder = folder / "caddy"
    folder.mkdir()
    address = f"127.0.0.1:{free_port()}"
    changes = {
        f"{NAME} {{": f"http://{address} {{",
        "bridge-a.internal:4040": bridges[0].settings["LISTEN"],
        "bridge-b.internal:4040": bridges[1].settings["LISTEN"],
        # Both replicas have one address here.
        "health_port 4041": f"health_port {bridges[1].settings['ADMIN_LISTEN'].rsplit(':', 1)[1]}",
    }
    (folder / "Caddyfile").write_text("{\n\tadmin off\n}\n" + replaced((PROXY / "Caddyfile").read_text(), **changes))
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    subprocess.run([caddy, "validate", "--config", PROXY / "Caddyfile", "--adapter", "caddyfile"], env=environment, check=True, capture_output=True)
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([caddy, "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"], env=environment, stdout=log, stderr=log)
    try:
        def status(path):
            try:
                with urllib.request.urlopen(f"http://{address}{path}", timeout=20) as response:
                    return response.status
            except urllib.error.HTTPError as error:
                return error.code

        eventually("Caddy answers", lambda: status("/webhook") == 405)
        assert all(status(path) == 404 for path in ("/", "/metrics", "/readyz", "/webhookx", "/webhook/a/b"))
        command = [bridges[1].binary, "send", "--json", "--secret-file", bridges[1].secret_file, "--count", "50", f"http://{address}/webhook"]
        report(subprocess.Popen(command, env={"PATH": os.environ["PATH"]}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    finally:
        process.terminate()
        process.wait(30)
    return "caddy: takes the Caddyfile, lets deliveries through, and nothing else"


def main(binary, nginx, caddy):
    topic = f"edge-{uuid.uuid4().hex[:8]}"
    settings = {"KAFKA_BROKERS": BOOTSTRAP, "KAFKA_TOPIC": topic, "KAFKA_QUARANTINE_TOPIC": f"{topic}.quarantine", "KAFKA_CREATE_TOPICS": "true"}
    with work_folder("edge") as folder, contextlib.ExitStack() as stack:
        bridges = [stack.enter_context(Bridge(folder / name, binary, INSTANCE=name, **settings)) for name in ("a", "b")]
        proxy = stack.enter_context(Nginx(folder, nginx, bridges))
        print(restart_and_kill(proxy, bridges, topic), flush=True)
        print(check_503(proxy, bridges), flush=True)
        check_closed(proxy)
        print("nginx: lets deliveries through, and nothing else", flush=True)
        check_rate(proxy, bridges[0])
        print("nginx: turns a flood away", flush=True)
        print(check_caddy(folder, caddy, bridges), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
