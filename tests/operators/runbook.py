"""Executes every command of deploy/RUNBOOK.md: the blocks marked `sh`, in their order, in one shell as an operator has it.

A real bridge and a real Kafka stand behind them. `systemctl` and Kafka's scripts are functions: there is no service manager here, and Kafka's commands
may be jars. Before some sections the trouble that they are about is made.

Usage: runbook.py BINARY
"""

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import time

from stack import Bridge, Kafka, ROOT, SECRET, SKIPPED, eventually, work_folder

RUNBOOK = ROOT / "deploy/RUNBOOK.md"

# What the shell knows beyond the runbook's own text. The service's process is a child of this suite, not of the shell: the
# function writes what it wants to a pipe, and waits for the answer.
PRELUDE = """
systemctl() { echo "$*" >"$WORK/systemctl.in"; read -r answer <"$WORK/systemctl.out"; [ "$answer" = ok ]; }
kafka-topics.sh() { [ "$1" = --bootstrap-server ] && [ "$2" = "$KAFKA" ] && shift 2; "$ROOT/tests/kafka/admin" topic "$@"; }
kafka-configs.sh() { [ "$1" = --bootstrap-server ] && [ "$2" = "$KAFKA" ] && shift 2; "$ROOT/tests/kafka/admin" config "$@"; }
"""


def blocks():
    """`(section, commands)` of every block marked `sh`."""
    found, section, block = [], "", None
    for line in RUNBOOK.read_text().splitlines():
        if block is not None:
            if line == "```":
                found.append((section, "\n".join(block)))
                block = None
            else:
                block.append(line)
        elif line == "```sh":
            block = []
        elif line.startswith("#"):
            section = line.lstrip("# ")
    return found


class Operator:
    """The runbook's reader, and the machine that it is read at."""

    def __init__(self, folder, bridge, kafka):
        self.folder, self.bridge, self.kafka = folder, bridge, kafka
        (folder / "bin").mkdir()
        (folder / "bin/icr-bridge").symlink_to(bridge.binary)
        for name in ("systemctl.in", "systemctl.out"):
            os.mkfifo(folder / name)
        self.state = folder / "exported"
        self.state.write_text("")

    def run(self, commands):
        """Runs a block; variables and functions stay for the next. Returns exit code and what was said."""
        script = f'set -euo pipefail\n{PRELUDE}\n. "$WORK/exported"\n{commands}\ndeclare -p ADMIN INGRESS SECRET_FILE KAFKA >"$WORK/exported"\n'
        bridge = self.bridge
        environment = {
            **bridge.environment(),
            **self.kafka.environment,
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "WORK": str(self.folder),
            "ROOT": str(ROOT),
            "ADMIN": bridge.admin,
            "INGRESS": bridge.ingress.removesuffix("/webhook"),
            "SECRET_FILE": str(bridge.secret_file),
            "KAFKA": self.kafka.bootstrap,
        }
        for name in ("CARGO_TARGET_DIR", "JAVA_HOME", "DOCKER_HOST"):
            if name in os.environ:
                environment[name] = os.environ[name]
        with open(self.folder / "said", "w+", encoding="utf-8") as said:
            shell = subprocess.Popen(["bash", "-c", script], env=environment, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
            requests = os.open(self.folder / "systemctl.in", os.O_RDONLY | os.O_NONBLOCK)
            deadline = time.monotonic() + 240
            while shell.poll() is None and time.monotonic() < deadline:
                # Nothing there is an error while the shell is about to write, else an empty answer.
                with contextlib.suppress(BlockingIOError):
                    if request := os.read(requests, 100).decode().split():
                        self.systemctl(*request)
                time.sleep(0.05)
            os.close(requests)
            if shell.poll() is None:
                shell.kill()
            shell.wait()
            said.seek(0)
            return shell.returncode, said.read()

    def systemctl(self, verb, unit):
        assert unit == "icr-bridge", unit
        if verb in ("stop", "restart"):
            self.bridge.stop()
        if verb in ("start", "restart"):
            self.bridge.start()
        (self.folder / "systemctl.out").write_text("ok\n")

    def takes_the_new_secret(self):
        taken = self.bridge.send("--count", 1, secret="the new secret", check=False)["kinds"]["genuine"]["as_expected"] == 1
        self.wrong += not taken
        return taken

    # The trouble that sections are about.

    def before(self, section):
        if section == "IcrBridgeSecretStoppedMatching":
            # ICR signs with a secret that is not in the file; then the file gets it.
            self.wrong = 3
            self.bridge.send("--count", self.wrong, secret="the new secret", check=False)
            self.bridge.secret_file.write_text("the new secret\n" + self.bridge.secret_file.read_text())
            eventually("the new secret is in force", self.takes_the_new_secret)
        if section == "Repairing a journal":
            # A byte of a sealed segment rots while the bridge is down.
            self.bridge.stop()
            segment = min((self.folder / "bridge/journal").glob("*.log"))
            content = bytearray(segment.read_bytes())
            content[len(content) // 2] ^= 0xFF
            segment.write_bytes(content)
            self.bridge.start()

    def after(self, section, said):
        metrics = self.bridge.metrics()
        if section == "IcrBridgeSecretStoppedMatching":
            saved = metrics["icr_bridge_deliveries_reverified_total"]
            assert saved == self.wrong, f"{saved} of {self.wrong} rejected deliveries were saved"
            self.bridge.secret_file.write_text(SECRET + "\n")
            eventually("the old secret alone is in force", lambda: not self.takes_the_new_secret())
        if section == "Rotating a secret without a gap" and "position" in said:
            assert 'position="1"' in said, f"the old secret was not used: {said}"
        if section == "Repairing a journal":
            assert "exit code 65" in said, f"the damage was not found: {said}"
            assert "damaged.bak" in said, said
            assert metrics["icr_bridge_journal_damaged_segments"] == 0
        if section == "Replay":
            assert metrics["icr_bridge_unaccounted_deliveries"] == 0


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    skipped = 0
    with work_folder("runbook") as folder, Kafka(folder / "kafka") as kafka:
        kafka.create("icr.webhooks")
        kafka.create("icr.webhooks.quarantine")
        with Bridge(folder / "bridge", binary, KAFKA_BROKERS=kafka.bootstrap, JOURNAL_SEGMENT_BYTES="64KiB", MAX_BODY_BYTES="32KiB") as bridge:
            bridge.send("--count", 200, "--garble", "5%", check=False)
            operator = Operator(folder, bridge, kafka)
            found = blocks()
            assert len(found) > 15, found
            last = None
            for section, commands in found:
                known = subprocess.run([binary, "help"], capture_output=True, text=True, check=True).stdout
                missing = [name for name in re.findall(r"(?m)^(?:.*\| )?icr-bridge ([\w-]+)", commands) if f"  {name} " not in known and name != "--version"]
                if missing:
                    print(f"SKIPPED {section}: this bridge has no command {missing}")
                    skipped += 1
                    continue
                if section != last:
                    operator.before(section)
                last = section
                code, said = operator.run(commands)
                assert code == 0, f"\n{section}: exit code {code} of\n{commands}\n--- it said\n{said}"
                operator.after(section, said)
                print(f"ok  {section}: {len(commands.splitlines())} lines", flush=True)
            assert bridge.metrics()["icr_bridge_unaccounted_deliveries"] == 0
    print(f"{len(found) - skipped} blocks of the runbook do what they say")
    sys.exit(SKIPPED if skipped else 0)


if __name__ == "__main__":
    main()
