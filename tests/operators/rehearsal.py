"""An incident on the real stack: Kafka goes away, a disk fills, the secret is changed at ICR first. Who would have been called?

The bridge, Kafka, the disk and the deliveries are real, and so are the rules, unchanged. Time is not: the incident is played in some minutes, a sample of every
metric being taken each second, and the recording is then read as one sample a *minute*: what takes 30 s here takes half an hour there, with timestamps among the metrics moved alike.
Three quiet days are put in front, made by going on backwards with what the quiet beginning recorded. promtool evaluates the rules over that, and
must find exactly the alerts that each act calls for, and no other in all the time.

Usage: rehearsal.py BINARY PROMTOOL
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

from stack import Bridge, Kafka, ROOT, SECRET, eventually, get, skip, work_folder

# A second of the recording is a minute of the rules.
STRETCH = 60
PRELUDE = 3 * 24 * 60
NEW_SECRET = "what somebody typed at ICR, and told nobody"
MEBIBYTE = 1 << 20
VOLUME, LOW_WATER = 320 * MEBIBYTE, 80 * MEBIBYTE


class Recorder(threading.Thread):
    """Scrapes each second; a sample that comes late stands where it should have."""

    def __init__(self, bridge):
        super().__init__(daemon=True)
        self.bridge, self.samples, self.kinds, self.acts = bridge, [], {}, []
        self.ended = threading.Event()
        self.began = time.time()

    def run(self):
        while not self.ended.wait(max(0, self.began + len(self.samples) - time.time())):
            text = get(f"{self.bridge.admin}/metrics")
            self.kinds.update(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", text))
            sample = {}
            for line in text.splitlines():
                if line and not line.startswith("#"):
                    series, value = line.rsplit(" ", 1)
                    sample[series] = float(value)
            self.samples.append(sample)

    def act(self, name):
        self.acts.append((name, len(self.samples)))
        print(f"{len(self.samples):4d} s  {name}", flush=True)

    def wait(self, seconds):
        goal = len(self.samples) + seconds
        eventually(f"{seconds} more samples", lambda: len(self.samples) >= goal, 10 * seconds + 60)


class Traffic(threading.Thread):
    """Five deliveries a second, signed with the secret that ICR has."""

    def __init__(self, bridge):
        super().__init__(daemon=True)
        self.bridge, self.secret, self.ended, self.failed = bridge, SECRET, threading.Event(), None

    def run(self):
        try:
            while not self.ended.is_set():
                self.bridge.send("--rate", 5, "--duration", "1s", secret=self.secret, check=False)
        except Exception as error:  # noqa: BLE001: told in the end
            self.failed = error


class Volume:
    """A small filesystem for the journal."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    def __enter__(self):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={VOLUME}", "icr-bridge-rehearsal", self.folder], capture_output=True, text=True)
        if done.returncode != 0:
            skip(f"a filesystem of its own takes root: {done.stderr.strip()}")
        return self

    def free(self):
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def fill(self, mebibytes):
        with open(self.folder / "filler", "ab") as filler:
            filler.write(b"x" * mebibytes * MEBIBYTE)

    def empty(self):
        (self.folder / "filler").unlink()

    def __exit__(self, *_):
        subprocess.run(["umount", "--lazy", self.folder], check=False)


def play(bridge, kafka, volume):
    """The incident; its recording."""
    traffic, recorder = Traffic(bridge), Recorder(bridge)
    traffic.start()
    recorder.start()
    recorder.act("quiet")
    recorder.wait(20)
    recorder.act("Kafka is away")
    kafka.stop("--kill")
    # Longer than an hour of the rules: on a slow machine Kafka needs a while to come back, which must not decide what fires.
    recorder.wait(75)
    recorder.act("Kafka is back")
    kafka.start()
    eventually("everything is published", lambda: bridge.metrics()["icr_bridge_journal_pending_deliveries"] < 10)
    recorder.wait(60)
    recorder.act("the disk fills")
    while volume.free() > LOW_WATER - 24 * MEBIBYTE:
        volume.fill(10)
        recorder.wait(1)
    recorder.wait(8)
    recorder.act("the disk is mended")
    volume.empty()
    recorder.wait(20)
    recorder.act("the secret is changed at ICR")
    traffic.secret = NEW_SECRET
    recorder.wait(20)
    recorder.act("the secret is added here")
    fresh = bridge.folder / "secret.new"
    fresh.write_text(f"{NEW_SECRET}\n{SECRET}\n")
    fresh.rename(bridge.secret_file)
    eventually("deliveries match again", lambda: bridge.metrics().sum("icr_bridge_secret_matched_total", position="0") > 0)
    recorder.wait(60)
    recorder.act("the end")
    traffic.ended.set()
    traffic.join()
    recorder.ended.set()
    recorder.join()
    assert not traffic.failed, traffic.failed
    assert bridge.metrics()["icr_bridge_unaccounted_deliveries"] == 0
    assert bridge.metrics().sum("icr_bridge_deliveries_refused_total") == 0, "nothing had to be refused"
    return recorder


def kind(recorder, series):
    name = series.partition("{")[0]
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    return recorder.kinds.get(name) or recorder.kinds.get(base)


def number(value):
    return repr(int(value)) if value == int(value) else repr(value)


def series_of(recorder, name):
    """One series of the recording, quiet days in front, as promtool reads it."""
    values = [sample.get(name) for sample in recorder.samples]
    quiet = recorder.acts[1][1]
    first = next(value for value in values if value is not None)
    if "timestamp_seconds" in name or "start_time" in name:
        moved = [None if value is None else (value - recorder.began) * STRETCH + PRELUDE * 60 for value in values]
        # A delivery each minute; what is absent at first was absent before.
        front = [f"0+60x{PRELUDE - 1}"] if values[0] is not None and "accepted" in name else [f"_x{PRELUDE}"]
        if "start_time" in name:
            front = [f"0x{PRELUDE - 1}"]
            moved = [0.0] * len(moved)
        shift = 0
    elif kind(recorder, name) in ("counter", "histogram"):
        step = ((values[quiet] or 0) - (values[0] or 0)) / max(quiet, 1)
        shift = step * PRELUDE
        front, moved = [f"{number(first)}+{step!r}x{PRELUDE - 1}"], values
    else:
        front, moved, shift = [f"{number(first)}x{PRELUDE - 1}"] if values[0] is not None else [f"_x{PRELUDE}"], values, 0
    written, was = [], values[0]
    for value in moved:
        if value is None:
            written.append("stale" if was is not None else "_")
        else:
            written.append(number(value + shift))
        was = value
    labels = name.partition("{")[2].removesuffix("}")
    labels = ", ".join(part for part in ('job="icr-bridge"', 'instance="rehearsal"', labels) if part)
    return {"series": f"{name.partition('{')[0]}{{{labels}}}", "values": " ".join(front + written)}


# What each act calls for, at its end. Afterwards it is over, or ends by itself within the time that its rule looks back.
EXPECTED = {
    "quiet": [],
    "Kafka is away": ["IcrBridgeNoBroker", "IcrBridgeOldestPending", "IcrBridgePublishingLateFast", "IcrBridgePublishingLateSlow"],
    # The ticket stays for six hours; nothing else of that act does.
    "the disk fills": ["IcrBridgeDiskRunwayShort", "IcrBridgeLowWater", "IcrBridgePublishingLateSlow"],
    "the secret is changed at ICR": ["IcrBridgePublishingLateSlow", "IcrBridgeSecretStoppedMatching"],
    "the secret is added here": ["IcrBridgePublishingLateSlow"],
}


def rehearse(recorder, folder, promtool):
    rules = ROOT / "deploy/prometheus"
    # What no rule asks for would only take time.
    asked = set(re.findall(r"\b(?:icr_bridge|process)_[a-z0-9_]+", "".join((rules / name).read_text() for name in ("recording.yml", "alerts.yml"))))
    names = sorted({name for sample in recorder.samples for name in sample if name.partition("{")[0] in asked})
    length = len(recorder.samples)
    tests = []
    ends = [at for _, at in recorder.acts[1:]]
    for (act, _), end in zip(recorder.acts, ends):
        if act in EXPECTED:
            samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in EXPECTED[act]]
            minute = PRELUDE + end - 1
            tests.append({"expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": f"{minute}m", "exp_samples": samples})
    ever = sorted({name for names in EXPECTED.values() for name in names})
    tests.append(
        {
            "expr": f'count by (alertname) (max_over_time(ALERTS{{alertstate="firing"}}[{PRELUDE + length}m]))',
            "eval_time": f"{PRELUDE + length - 1}m",
            "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in ever],
        }
    )
    up = {"series": 'up{job="icr-bridge", instance="rehearsal"}', "values": f"1x{PRELUDE + length}"}
    series = [up] + [series_of(recorder, name) for name in names]
    order = re.findall(r"(?m)^  - name: (\S+)$", (rules / "recording.yml").read_text() + (rules / "alerts.yml").read_text())
    test = {
        "rule_files": [str(rules / "recording.yml"), str(rules / "alerts.yml")],
        "evaluation_interval": "1m",
        "group_eval_order": order,
        "tests": [{"name": "the incident", "interval": "1m", "input_series": series, "promql_expr_test": tests}],
    }
    # JSON is YAML too.
    written = folder / "rehearsal.json"
    written.write_text(json.dumps(test, indent=1))
    done = subprocess.run([promtool, "test", "rules", written], capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    for act, alerts in EXPECTED.items():
        print(f"{act}: {', '.join(alerts) or 'nobody is called'}")


def main():
    binary, promtool = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    with work_folder("rehearsal") as folder, Volume(folder / "volume") as volume, Kafka(folder / "kafka") as kafka:
        kafka.create("icr.webhooks")
        kafka.create("icr.webhooks.quarantine")
        settings = {"JOURNAL_DIR": str(folder / "volume/journal"), "JOURNAL_LOW_WATER_BYTES": str(LOW_WATER), "KAFKA_BROKERS": kafka.bootstrap}
        with Bridge(folder / "bridge", binary, **settings) as bridge:
            bridge.send("--count", 7)
            recorder = play(bridge, kafka, volume)
        rehearse(recorder, folder, promtool)


if __name__ == "__main__":
    main()
