"""deploy/systemd under a real systemd: `systemd.py BRIDGE`, as root, with Kafka in the environment.

The units are taken as they stand, but for the socket's address. A load of signed deliveries goes on while the service is restarted, and none may fail.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import uuid

from stack import ROOT, Metrics, eventually, free_port, get, work_folder

UNITS = ROOT / "deploy/systemd"
SOCKET, SERVICE = "icr-bridge.socket", "icr-bridge.service"
BOOT = ROOT / "tests/operators/systemd-boot"
SECRET, NEXT_SECRET = "a secret of the systemd suite", "the secret that comes after it"
# Of systemd's own scale from 0 to 10.
EXPOSURE = 1.5
RESTARTS = 5
# What the units refer to, and stands for a whole system here.
TARGETS = ("sysinit", "basic", "sockets", "network-online", "multi-user", "shutdown", "umount")
CGROUPS = [path for path in map(pathlib.Path, ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")) if (path / "cgroup.procs").exists()]


def check_units():
    """What systemd's own tools say of them."""
    secure = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={round(EXPOSURE * 10)}", UNITS / SERVICE]
    said = subprocess.run(secure, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
    (exposure,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", said.stdout)
    assert float(exposure) < EXPOSURE
    return exposure


class Systemd:
    """A real one as process 1 of namespaces of its own; see systemd-boot."""

    def __init__(self, folder, binary):
        self.folder = pathlib.Path(folder)
        self.upper = self.folder / "upper"
        self.ingress, self.admin = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        self.cgroups = [path / f"icr-bridge-test-{os.getpid()}" for path in CGROUPS]
        units = self.upper / "etc/icr-units"
        units.mkdir(parents=True)
        for target in TARGETS:
            (units / f"{target}.target").write_text("[Unit]\nDescription=Nothing here\n")
        (units / "default.target").write_text(f"[Unit]\nDescription=What is tested\nRequires={SOCKET}\nAfter={SOCKET}\n")
        socket = (UNITS / SOCKET).read_text()
        assert socket.count("0.0.0.0:4040") == 1
        (units / SOCKET).write_text(socket.replace("0.0.0.0:4040", self.ingress))
        shutil.copy(UNITS / SERVICE, units)
        # There is no journald here to take it.
        log = units / f"{SERVICE}.d"
        log.mkdir()
        (log / "log.conf").write_text("[Service]\nStandardOutput=append:/var/log/icr-bridge.log\nStandardError=inherit\n")
        (self.upper / "var/log").mkdir(parents=True)
        program = self.upper / "usr/local/bin/icr-bridge"
        program.parent.mkdir(parents=True)
        shutil.copy(binary, program)
        etc = self.upper / "etc/icr-bridge"
        etc.mkdir()
        settings = {
            "ADMIN_LISTEN": self.admin,
            "KAFKA_BROKERS": os.environ["KAFKA_BOOTSTRAP"],
            "KAFKA_TOPIC": f"systemd-{uuid.uuid4().hex[:8]}",
            "KAFKA_QUARANTINE_TOPIC": f"systemd-{uuid.uuid4().hex[:8]}",
            "KAFKA_CREATE_TOPICS": "true",
        }
        (etc / "icr-bridge.env").write_text("".join(f"ICR_BRIDGE_{name}={value}\n" for name, value in settings.items()))
        self.write_secret(SECRET)

    def write_secret(self, secret):
        path = self.upper / "etc/icr-bridge/webhook-secret"
        if hasattr(self, "one"):
            path = pathlib.Path(f"/proc/{self.one}/root/etc/icr-bridge/webhook-secret")
        path.write_text(secret + "\n")
        path.chmod(0o600)

    def __enter__(self):
        spaces = ["--mount", "--pid", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child", "--propagation", "private"]
        for cgroup in self.cgroups:
            cgroup.mkdir()

        def into_cgroups():
            # Its own, so that it takes none of the machine's processes for its own.
            for cgroup in self.cgroups:
                (cgroup / "cgroup.procs").write_text("0")

        with open(self.folder / "boot.log", "wb") as said:
            self.process = subprocess.Popen(
                ["unshare", *spaces, BOOT, self.folder], preexec_fn=into_cgroups, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.one = int(eventually("systemd is started", lambda: children.read_text().split())[0])
        eventually("systemd answers", lambda: self.run("systemctl", "is-active", "default.target").stdout.strip() == "active")
        return self

    def __exit__(self, *_):
        # The first process of its namespace takes all others with it.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.one, signal.SIGKILL)
        self.process.wait(30)
        for cgroup in self.cgroups:
            def gone(cgroup=cgroup):
                for path in sorted(cgroup.rglob("*/"), reverse=True):
                    path.rmdir()
                cgroup.rmdir()
                return True

            eventually("its control groups are empty", gone)

    def run(self, *command, check=False):
        """A command inside."""
        inside = ["nsenter", "--target", str(self.one), "--mount", "--pid", "--", *command]
        done = subprocess.run(inside, capture_output=True, text=True, timeout=120)
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}\n{self.log()}"
        return done

    def main_process(self):
        """The bridge's, as seen from outside."""
        inside = self.run("systemctl", "show", "--property=MainPID", "--value", SERVICE, check=True).stdout.strip()
        status = {}
        for path in pathlib.Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                lines = dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line)
                if lines["NSpid"].split()[1:2] == [inside] and lines["Name"].strip() == "icr-bridge":
                    status = lines
        return status

    def metrics(self):
        return Metrics(get(f"http://{self.admin}/metrics"))

    def log(self):
        path = self.upper / "var/log/icr-bridge.log"
        return path.read_text()[-3000:] if path.exists() else (self.folder / "log").read_text(errors="replace")[-3000:]


def load(systemd, binary, secret, *arguments):
    """`icr-bridge send`, under way."""
    file = systemd.folder / "sender-secret"
    file.write_text(secret)
    command = [binary, "send", "--json", "--secret-file", file, *map(str, arguments), f"http://{systemd.ingress}/webhook"]
    return subprocess.Popen(command, env={"PATH": os.environ["PATH"]}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def report(sending):
    """How many it has sent, each of which was answered 202."""
    out, words = sending.communicate(timeout=300)
    assert sending.returncode == 0, out + words
    said = json.loads(out)
    assert said["as_expected"] and said["statuses"] == {"202": said["deliveries"]} and not said["no_answer"], said
    return said["deliveries"]


def restart_under_load(systemd, binary):
    """No delivery fails, however often the service is restarted."""
    sending = load(systemd, binary, SECRET, "--rate", 300, "--duration", "25s")
    generations = set()
    for _ in range(RESTARTS):
        before = eventually("deliveries are accepted", lambda: systemd.metrics().sum("icr_bridge_deliveries_accepted_total") > 100)
        assert before
        generations.add(systemd.main_process()["NSpid"])
        systemd.run("systemctl", "restart", SERVICE, check=True)
    generations.add(systemd.main_process()["NSpid"])
    assert len(generations) == RESTARTS + 1, generations
    assert sending.poll() is None, "the load goes on over all restarts"
    return report(sending)


def main(binary):
    exposure = check_units()
    with work_folder("systemd") as folder, Systemd(folder, binary) as systemd:
        verified = systemd.run("env", "-u", "SYSTEMD_UNIT_PATH", "systemd-analyze", "verify", f"/etc/icr-units/{SOCKET}", f"/etc/icr-units/{SERVICE}")
        complaints = [line for line in verified.stderr.splitlines() if "icr-bridge" in line]
        assert verified.returncode == 0 and not complaints, verified.stderr
        # Nobody has started the service: the first connection does.
        sent = report(load(systemd, binary, SECRET, "--count", 20))
        status = systemd.main_process()
        assert "0" not in status["Uid"].split() and status["NoNewPrivs"].strip() == "1", status
        assert status["Seccomp"].strip() == "2" and int(status["CapEff"], 16) == 0 and int(status["CapBnd"], 16) == 0, status
        sent += restart_under_load(systemd, binary)
        # A changed secret is read at the next start.
        systemd.write_secret(NEXT_SECRET)
        systemd.run("systemctl", "restart", SERVICE, check=True)
        sent += report(load(systemd, binary, NEXT_SECRET, "--count", 20))
        eventually("all is published", lambda: systemd.metrics()["icr_bridge_journal_pending_deliveries"] == 0)
        stats = systemd.run("env", "ICR_BRIDGE_JOURNAL_DIR=/var/lib/icr-bridge/journal", "/usr/local/bin/icr-bridge", "stats", "--json", check=True)
        ledger = json.loads(stats.stdout)
        assert ledger["published"] == sent and ledger["unaccounted"] == 0, (ledger, sent)
        systemd.run("systemctl", "stop", SOCKET, SERVICE, check=True)
        assert systemd.run("systemctl", "is-failed", SERVICE).stdout.strip() == "inactive", "it leaves in order"
    print(f"exposure {exposure}; {sent} deliveries over {RESTARTS + 1} restarts of the real service, each answered 202 and published")


if __name__ == "__main__":
    main(sys.argv[1])
