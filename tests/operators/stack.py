"""What the operators' suites share: the real bridge, a real Kafka and a real Prometheus, as processes on 127.0.0.1.

Nothing but Python's standard library. Everything that was started is ended when the `with` block is left.
"""

import contextlib
import json
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECRET = "a secret of the operators' suites"
PATIENCE = 90
# A suite that could not run says so with this exit code, which tests/run knows.
SKIPPED = 77


def skip(why):
    print(f"skipped: {why}", file=sys.stderr)
    sys.exit(SKIPPED)


def eventually(what, probe, patience=PATIENCE):
    """The first value of `probe` that is true; it may fail until then."""
    deadline = time.monotonic() + patience
    last = None
    while time.monotonic() < deadline:
        try:
            found = probe()
            if found:
                return found
            last = found
        except (OSError, ValueError, KeyError, IndexError) as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"not within {patience} s: {what} (last: {last!r})")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=20) as response:
        return response.read().decode()


class Metrics(dict):
    """A scrape: every series by its text, such as `icr_bridge_deliveries_held` or `…{app="default"}`."""

    def __init__(self, text):
        super().__init__()
        for line in text.splitlines():
            if line and not line.startswith("#"):
                series, value = line.rsplit(" ", 1)
                self[series] = float(value)

    def sum(self, name, **labels):
        """Over all series of a metric that have these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            value
            for series, value in self.items()
            if (series == name or series.startswith(name + "{")) and all(one in series for one in wanted)
        )


class Bridge:
    """The real binary; `settings` without their prefix."""

    def __init__(self, folder, binary, **settings):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.binary = str(binary)
        self.secret_file = self.folder / "secret"
        if not self.secret_file.exists():
            self.secret_file.write_text(SECRET + "\n")
        self.settings = {
            "LISTEN": f"127.0.0.1:{free_port()}",
            "ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
            "WEBHOOK_SECRET_FILE": str(self.secret_file),
            "JOURNAL_DIR": str(self.folder / "journal"),
            "JOURNAL_SEGMENT_BYTES": "1MiB",
            "JOURNAL_LOW_WATER_BYTES": "1MiB",
            **settings,
        }
        self.process = None

    @property
    def ingress(self):
        return f"http://{self.settings['LISTEN']}/webhook"

    @property
    def admin(self):
        return f"http://{self.settings['ADMIN_LISTEN']}"

    def environment(self):
        settings = {f"ICR_BRIDGE_{name}": value for name, value in self.settings.items()}
        return {"PATH": os.environ["PATH"], **settings}

    def start(self, **options):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([self.binary, "serve"], env=self.environment(), stderr=log, stdin=subprocess.DEVNULL, **options)
        eventually("the bridge is ready", lambda: get(f"{self.admin}/readyz"))
        return self

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def metrics(self):
        return Metrics(get(f"{self.admin}/metrics"))

    def send(self, *arguments, secret=None, check=True):
        """`icr-bridge send`, as an operator runs it; its report."""
        secret_file = self.folder / "sender-secret"
        secret_file.write_text(secret or SECRET)
        command = [self.binary, "send", "--json", "--secret-file", str(secret_file), *map(str, arguments), self.ingress]
        done = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=600)
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Kafka:
    """A broker of one's own, from tests/kafka/start."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.environment = {}

    def start(self):
        said = subprocess.run([ROOT / "tests/kafka/start", self.folder], check=True, capture_output=True, text=True).stdout
        for line in said.splitlines():
            name, _, value = line.partition("=")
            self.environment[name] = shlex.split(value)[0]
        return self

    @property
    def bootstrap(self):
        return self.environment["KAFKA_BOOTSTRAP"]

    def stop(self, how=None):
        subprocess.run([ROOT / "tests/kafka/stop", self.folder, *([how] if how else [])], check=True)

    def admin(self, *arguments):
        environment = {**os.environ, **self.environment}
        command = [ROOT / "tests/kafka/admin", *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    def create(self, topic, *settings):
        settings = [part for setting in ("cleanup.policy=delete", *settings) for part in ("--config", setting)]
        self.admin("topic", "--create", "--if-not-exists", "--topic", topic, "--partitions", "3", "--replication-factor", "1", *settings)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop("--remove")


class Prometheus:
    """A real one, with the rules of deploy/prometheus, that scrapes every second."""

    def __init__(self, folder, binary, targets):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.binary = binary
        self.targets = targets
        self.process = None
        self.url = f"http://127.0.0.1:{free_port()}"

    def rules(self):
        return [str(ROOT / "deploy/prometheus" / name) for name in ("recording.yml", "alerts.yml")]

    def start(self):
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": list(self.rules()),
            "scrape_configs": [{"job_name": "icr-bridge", "static_configs": [{"targets": self.targets}]}],
        }
        # JSON is YAML too.
        (self.folder / "prometheus.yml").write_text(json.dumps(config))
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    self.binary,
                    f"--config.file={self.folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self.folder / 'data'}",
                    f"--web.listen-address={self.url.removeprefix('http://')}",
                ],
                stdout=log,
                stderr=log,
            )
        eventually("Prometheus is ready", lambda: get(f"{self.url}/-/ready"))
        return self

    def ask(self, path, **parameters):
        query = urllib.parse.urlencode(parameters, doseq=True)
        try:
            answer = json.loads(get(f"{self.url}/api/v1/{path}?{query}"))
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression, **parameters):
        """An instant vector: `[(labels, value)]`."""
        result = self.ask("query", query=expression, **parameters)["result"]
        return [(one["metric"], float(one["value"][1])) for one in result]

    def range(self, expression, start, end, step):
        """`[(labels, [(time, value)])]`."""
        result = self.ask("query_range", query=expression, start=start, end=end, step=step)["result"]
        return [(one["metric"], [(at, float(value)) for at, value in one["values"]]) for one in result]

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)


def anchors(markdown):
    """The anchors that GitHub gives to the headings of a document."""
    headings = re.findall(r"(?m)^#+ (.+)$", markdown)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@contextlib.contextmanager
def work_folder(name):
    """A fresh folder; kept where the suite fails, for whoever looks why."""
    folder = pathlib.Path(os.environ.get("OPERATORS_WORK", ROOT / "target")) / f"{name}-{os.getpid()}"
    folder.mkdir(parents=True)
    yield folder
    subprocess.run(["rm", "-rf", folder], check=True)
