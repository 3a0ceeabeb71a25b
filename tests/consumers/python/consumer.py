"""A consumer of icr-bridge's records: confluent-kafka, the CloudEvents SDK, SQLite.

    consumer.py BOOTSTRAP TOPIC GROUP DATABASE

The database has the tables of `schema.sql`. With WEBHOOK_SECRET in the environment only records are believed that ICR has signed (see `signature.py`). Ends at SIGINT or SIGTERM.
"""

import decimal
import os
import signal
import sqlite3
import sys

import signature
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka
from cloudevents.core.formats.json import JSONFormat
from confluent_kafka import Consumer
from event import Event

DATASCHEMA = "urn:icr-bridge:event:1"
TRANSACTION_EVENTS = {"warehouseTransaction", "organizationTransaction"}
STATES = {"installed", "uninstalled", "suspended", "unsuspended"}
OTHER_LIFECYCLE_EVENTS = {"newPermissionsAccepted"}
RANKS = {"pending_queue": 0, "processed": 2, "failed": 2}
# An amount has up to 100 characters before or behind the point: never round.
decimal.getcontext().prec = 300
decimal.getcontext().traps[decimal.Inexact] = True


def is_new(database, cloud_event, is_transaction):
    """Enters the event among those that were processed; false where it was there already."""
    if not database.execute("INSERT OR IGNORE INTO processed VALUES (?)", [cloud_event.get_id()]).rowcount:
        return False
    # Not for lifecycle events: suspended, unsuspended, suspended are three, of which two may have the same fingerprint.
    key = [cloud_event.get_source(), cloud_event.get_extension("fingerprint")]
    return not is_transaction or bool(
        database.execute("INSERT OR IGNORE INTO processed_transaction_events VALUES (?, ?)", key).rowcount
    )


def apply(database, cloud_event, event):
    """The effect of an event, in the transaction that is open."""
    name, source = event.event, cloud_event.get_source()
    if name not in TRANSACTION_EVENTS | STATES | OTHER_LIFECYCLE_EVENTS:
        return  # There will be more; those that we don't know are none of our business.
    if not is_new(database, cloud_event, name in TRANSACTION_EVENTS):
        return
    organization, amount = event.organization_id, decimal.Decimal(0)
    if name in TRANSACTION_EVENTS:
        transaction = event.transaction
        status = transaction.status or ""
        if status == "processed":
            amount = transaction.amount or amount
        # Events come in any order: what is pending never replaces what is final, and of equals the later one counts.
        database.execute(
            """INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
               ON CONFLICT DO UPDATE SET type = excluded.type, amount = excluded.amount, status = excluded.status,
                   rank = excluded.rank, ce_id = excluded.ce_id
               WHERE (excluded.rank, excluded.ce_id) > (rank, ce_id)""",
            [
                source,
                transaction.id,
                transaction.credit_id or "",
                event.installation_id,
                organization,
                transaction.type or "",
                None if transaction.amount is None else format(transaction.amount, "f"),
                status,
                RANKS.get(status, 1),
                cloud_event.get_id(),
            ],
        )
    elif name in STATES:
        database.execute(
            """INSERT INTO installations VALUES (?, ?, ?, ?, ?)
               ON CONFLICT DO UPDATE SET state = excluded.state, ce_id = excluded.ce_id WHERE excluded.ce_id > ce_id""",
            [source, event.installation_id, organization, name, cloud_event.get_id()],
        )
    total = database.execute(
        "SELECT processed FROM totals WHERE (source, organization, event) = (?, ?, ?)", [source, organization, name]
    ).fetchone()
    amount += decimal.Decimal(total[0] if total else "0")
    database.execute(
        """INSERT INTO totals VALUES (?, ?, ?, 1, ?)
           ON CONFLICT DO UPDATE SET events = events + 1, processed = excluded.processed""",
        [source, organization, name, format(amount, "f")],
    )


def process(database, message, secret):
    """One record, one database transaction."""
    try:
        headers = dict(message.headers() or [])
        cloud_event = from_kafka(KafkaMessage(headers, None, message.value()), JSONFormat())
        if cloud_event.get_dataschema() != DATASCHEMA:
            sys.exit(f"{cloud_event.get_dataschema()!r} is a version of the data that this program does not know")
        event = Event.of(cloud_event.get_data())
        if secret:
            signature.verify(secret, headers, cloud_event, event)
        with database:
            apply(database, cloud_event, event)
    except Exception as error:
        with database:
            database.execute(
                "INSERT OR IGNORE INTO set_aside VALUES (?, ?, ?, ?, ?)",
                [message.topic(), message.partition(), message.offset(), repr(error), message.value()],
            )


def main(bootstrap, topic, group, path):
    database = sqlite3.connect(path)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            # After this time the others take over what a consumer had that has crashed.
            "session.timeout.ms": 10_000,
        }
    )
    consumer.subscribe([topic])
    running = True

    def stop(*_):
        nonlocal running
        running = False

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    secret = os.environ.get("WEBHOOK_SECRET", "").encode()
    while running:
        messages = consumer.consume(100, timeout=0.5)
        for error in filter(None, [message.error() for message in messages]):
            print(error, file=sys.stderr)
        records = [message for message in messages if not message.error()]
        for record in records:
            process(database, record, secret)
        if records:
            # Only now: what is repeated after a crash is recognised, what is skipped would be lost.
            consumer.commit(asynchronous=False)
    consumer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
