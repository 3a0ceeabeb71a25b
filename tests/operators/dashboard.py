"""Asks every query of the dashboard, and of its variables, of a real Prometheus that scrapes a real bridge with a real Kafka.

Deliveries of every kind are sent, Kafka goes away and comes back, a record is too large for its topic, a secret file disappears. Then every query must give
data, most must have moved, and what is known exactly must be exact: the counters under the panels say what was sent, no more and no less.

Usage: dashboard.py BINARY PROMETHEUS [--results FILE]
"""

import json
import math
import pathlib
import re
import sys
import time
import urllib.error
import urllib.request

from stack import Bridge, Kafka, Prometheus, ROOT, eventually, work_folder

DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/icr-bridge.json").read_text())

# Signed requests to a URL that takes nothing.
MISDIRECTED = 3

# What may stay at 0 here. Everything else must have shown more than that at some time.
STILL = {
    "Unaccounted",
    "Damaged segments",
    "Refused by reason",
    "Rejected ring: saved and given up",
    "Producers rebuilt, records repeated",
    "Alerts firing",
    "Burn of the objectives",
}
# Without data while free space does not shrink, which is not in the hands of this suite.
ABSENT = {"Disk runway", "Certificate: time left"}


def panels():
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def substitute(query, interval="10s"):
    """As Grafana does with everything selected."""
    for name, value in {"$__rate_interval": interval, "$job": "icr-bridge.*", "$instance": ".+", "$app": ".+"}.items():
        query = query.replace(name, value)
    assert "$" not in query, query
    return query


def counters(query):
    """The same query for the counters themselves: what `rate` takes the rate of."""
    return re.sub(r"rate\(([^\[\]]+)\[[^\]]+\]\)", r"(\1)", substitute(query))


class Impatient(Prometheus):
    """Evaluates what is usual as often as all other rules: the five minutes between two times are too long here."""

    def rules(self):
        for rule_file in super().rules():
            text = pathlib.Path(rule_file).read_text()
            here = self.folder / pathlib.Path(rule_file).name
            here.write_text(text.replace("    interval: 5m\n", ""))
            yield str(here)


def traffic(bridge, kafka):
    """Sends what there is to send; what is known of it."""
    known = {"accepted": {}, "rejected": {}, "duplicate": 0}

    def send(*arguments, **options):
        report = bridge.send(*arguments, **options)
        known["reports"] = known.get("reports", []) + [report]
        return report

    for event, count in (("installed", 7), ("organizationTransaction", 60), ("warehouseTransaction", 40), ("suspended", 5), ("newPermissionsAccepted", 2000), ("projectValidated", 9)):
        send("--event", event, "--count", count)
        known["accepted"][event if event != "projectValidated" else "other"] = count
    # The same transaction over and over.
    mixed = send("--event", "organizationTransaction", "--count", 200, "--rate", 40, "--repeat", "20%", "--forge", "15%", "--garble", "10%")
    kinds = mixed["kinds"]
    known["accepted"]["organizationTransaction"] += kinds["genuine"]["sent"]
    known["duplicate"] += kinds["repeated"]["sent"]
    known["rejected"]["signature_wrong"] = mixed["words"].get("signature_wrong", 0)
    known["rejected"]["body_not_json"] = mixed["words"].get("body_not_json", 0)
    # Too large for the topic, which takes 20,000 bytes: quarantine.
    send("--event", "organizationTransaction", "--count", 2, "--size", 60000)
    known["accepted"]["organizationTransaction"] += 2
    known["quarantined"] = {"record_too_large": 2}
    # Proven, and not understood.
    payload = bridge.folder / "payload"
    payload.write_text('{"no": "event"}')
    send("--payload", payload)
    known["accepted"]["other"] += 1
    known["quarantined"]["event_missing"] = 1
    # Signed, and sent to a URL that takes nothing.
    for _ in range(MISDIRECTED):
        try:
            urllib.request.urlopen(urllib.request.Request(f"{bridge.ingress}s", b"{}", {"x-icr-signature-256": "0" * 64}))
            raise AssertionError("taken")
        except urllib.error.HTTPError as error:
            assert error.code == 404, error
    # A secret file that is away, and comes back.
    aside = bridge.folder / "secret.aside"
    bridge.secret_file.rename(aside)
    eventually("the bridge misses its secret file", lambda: bridge.metrics()["icr_bridge_secret_reload_failures_total"] > 0)
    aside.rename(bridge.secret_file)
    # Kafka goes, deliveries do not wait for it, and Kafka comes back.
    kafka.stop()
    eventually("no broker is connected", lambda: bridge.metrics()["icr_bridge_kafka_brokers_up"] == 0)
    send("--event", "warehouseTransaction", "--count", 50, "--rate", 10)
    known["accepted"]["warehouseTransaction"] += 50
    kafka.start()
    eventually("everything is published", lambda: bridge.metrics()["icr_bridge_journal_pending_deliveries"] == 0)
    return known


def exact(prometheus, known):
    """What the panels' counters must say: `(panel, query, {labels: value})`."""
    accepted = dict(known["accepted"])
    total = sum(accepted.values())
    quarantined = sum(known["quarantined"].values())
    published = dict(accepted)
    published["organizationTransaction"] -= known["quarantined"]["record_too_large"]
    published["other"] -= known["quarantined"]["event_missing"]
    return {
        "Ledger": [{(): total}, {(): total - quarantined}, {(): quarantined}],
        "Accepted by event": [{("event", name): count for name, count in accepted.items()}],
        "Published by event": [{("event", name): count for name, count in published.items()}],
        "Quarantined by reason": [{("reason", name): count for name, count in known["quarantined"].items()}],
        "Rejected by reason": [{("reason", name): count for name, count in known["rejected"].items()}, {(): MISDIRECTED}],
        "Repeats, and bodies that differ": [{("app", "default"): known["duplicate"]}, {(): 0}],
        "Secret that matched": [{("position", "0"): total + known["duplicate"]}, {(): 1}],
        "Answers by code": [
            {
                ("code", "202"): total + known["duplicate"],
                ("code", "403"): known["rejected"]["signature_wrong"],
                ("code", "400"): known["rejected"]["body_not_json"],
                ("code", "404"): MISDIRECTED,
            },
            {(): 0},
        ],
    }


def check_exact(prometheus, known):
    wanted = exact(prometheus, known)
    by_title = {panel["title"]: panel for panel in panels()}
    for title, queries in wanted.items():
        targets = by_title[title]["targets"]
        assert len(targets) == len(queries), title
        for target, values in zip(targets, queries):
            found = prometheus.query(counters(target["expr"]))
            got = {}
            for labels, value in found:
                for key in values:
                    if key == () or labels.get(key[0]) == key[1]:
                        got[key] = got.get(key, 0) + value
            # What is not expected must be 0.
            assert got == values, f"{title}: {target['expr']}\nwanted {values}\ngot    {found}"
            assert sum(value for _, value in found) == sum(values.values()), f"{title}: {found}"
        print(f"exact  {title}", flush=True)


def check_rates(prometheus, known, since):
    """`rate` itself: over a window that holds all that was sent it says how many these were."""
    window = math.ceil(time.time() - since) + 5
    by_title = {panel["title"]: panel for panel in panels()}
    for title in ("Accepted by event", "Rejected by reason", "Published by event"):
        query = substitute(by_title[title]["targets"][0]["expr"], f"{window}s")
        rate = sum(value for _, value in prometheus.query(query))
        total = sum(value for _, value in prometheus.query(counters(by_title[title]["targets"][0]["expr"])))
        assert abs(rate * window - total) <= 0.1 * total + 1, f"{title}: {rate * window} by rate, {total} counted"
        print(f"rate   {title}: {rate * window:.1f} of {total:.0f}")


def check_gauges(prometheus, results):
    """Numbers that the suite knows by what it did."""
    by_title = {title: [series for target in targets for series in target] for title, targets in results.items()}
    most = lambda title, part="": max(  # noqa: E731
        value for labels, values in by_title[title] if part in json.dumps(labels) for _, value in values if not math.isnan(value)
    )
    # What waited while Kafka was away.
    assert most("Pending and held", "pending") >= 50, most("Pending and held", "pending")
    assert 4 < most("Oldest pending, over time") < 120
    assert most("Brokers up") == 1
    assert 0.9 < most("Published in time") <= 1
    assert most("Stored of proven") == 1
    assert most("Version") == 1
    assert 4e6 < most("Memory") < 5e8


def main():
    binary, prometheus_binary = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    with work_folder("dashboard") as folder, Kafka(folder / "kafka") as kafka:
        kafka.create("icr.webhooks", "max.message.bytes=20000")
        kafka.create("icr.webhooks.quarantine")
        with Bridge(folder / "bridge", binary, KAFKA_BROKERS=kafka.bootstrap, KAFKA_PROPERTIES="compression.type=none") as bridge:
            with Impatient(folder / "prometheus", prometheus_binary, [bridge.settings["ADMIN_LISTEN"]]) as prometheus:
                eventually("the bridge is scraped", lambda: prometheus.query('icr_bridge_build_info{job="icr-bridge"}'))
                since = time.time()
                known = traffic(bridge, kafka)
                total = sum(known["accepted"].values())
                eventually(
                    "Prometheus has the last of it",
                    lambda: prometheus.query("sum(icr_bridge_deliveries_accepted_total)")[0][1] == total
                    and prometheus.query("icr_bridge_journal_pending_deliveries")[0][1] == 0,
                )
                # A few more scrapes, so that what fell is seen to have fallen.
                scraped = time.time()
                eventually("three more scrapes", lambda: prometheus.query("timestamp(up)")[0][1] > scraped + 3)
                until = time.time()
                check_exact(prometheus, known)
                check_rates(prometheus, known, since)
                results, problems = {}, []
                for panel in panels():
                    results[panel["title"]] = []
                    for target in panel["targets"]:
                        query = substitute(target["expr"])
                        found = prometheus.range(query, since, until, 1)
                        results[panel["title"]].append(found)
                        values = [value for _, series in found for _, value in series if not math.isnan(value)]
                        if not values and panel["title"] not in ABSENT:
                            problems.append(f"{panel['title']}: no data for {query}")
                    moved = any(value > 0 for found in results[panel["title"]] for _, series in found for _, value in series)
                    if not moved and panel["title"] not in STILL | ABSENT:
                        problems.append(f"{panel['title']}: nothing but 0")
                if "--results" in sys.argv:
                    out = pathlib.Path(sys.argv[sys.argv.index("--results") + 1])
                    out.write_text(json.dumps({"since": since, "until": until, "results": results}))
                assert not problems, "\n".join(problems)
                print(f"{len(panels())} panels have data")
                check_gauges(prometheus, results)
                variables(prometheus)


def variables(prometheus):
    """Every variable finds something to choose from."""
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] != "query":
            continue
        matched = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])
        selector, label = matched.groups()
        found = prometheus.ask(f"label/{label}/values", **{"match[]": substitute(selector)})
        assert found, variable["definition"]
        print(f"variable {variable['name']}: {found}")


if __name__ == "__main__":
    main()
