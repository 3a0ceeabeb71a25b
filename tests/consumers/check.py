"""Runs the consumers against real records: `check.py BINARY WORK NAME=COMMAND…`, with Kafka in the environment.

Two replicas of the real bridge take ICR's deliveries, one in CloudEvents' binary mode and one in the structured mode; one is killed on the
way and publishes again what it was not sure of, a part is replayed, and the other replica gets repeats of ICR's own. Each consumer is killed in
the middle, reads everything again from the beginning, and reads it once more in another order. Its tables must always be the same, and those
that follow from the deliveries.
"""

import concurrent.futures
import contextlib
import decimal
import http.client
import json
import os
import pathlib
import random
import shlex
import signal
import sqlite3
import subprocess
import sys
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "operators"))
import story
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from stack import Bridge, eventually

HERE = pathlib.Path(__file__).parent
BOOTSTRAP = os.environ["KAFKA_BOOTSTRAP"]
RUN = uuid.uuid4().hex[:8]
PARTITIONS = 6
SEED = random.randrange(1 << 32)
admin = AdminClient({"bootstrap.servers": BOOTSTRAP})


def create(name):
    """A fresh topic."""
    topic = f"consumers-{RUN}-{name}"
    for made in admin.create_topics([NewTopic(topic, PARTITIONS, 1)]).values():
        made.result()
    return topic


def partitions(topic):
    return [TopicPartition(topic, number) for number in range(PARTITIONS)]


def read(topic):
    """All records of a topic."""
    reader = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": f"{topic}-reader", "enable.auto.commit": False})
    records = []
    for partition in partitions(topic):
        low, high = reader.get_watermark_offsets(partition, timeout=30)
        reader.assign([TopicPartition(topic, partition.partition, low)])
        while low < high:
            record = reader.poll(30)
            assert record and not record.error(), record and record.error()
            records.append(record)
            low = record.offset() + 1
    reader.close()
    return records


def write(topic, records):
    """Writes `(key, headers, value)`, to the partitions that the bridge would choose."""
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "partitioner": "murmur2_random", "compression.type": "lz4"})
    for key, headers, value in records:
        while True:
            try:
                producer.produce(topic, value, key, headers=headers)
                break
            except BufferError:
                producer.poll(1)
    assert producer.flush(60) == 0


def copy(record):
    return record.key(), record.headers(), record.value()


def deliver(bridge, deliveries):
    """Posts them one after the other; `(source, id, delivery)` of those that were accepted and are no repeats to the bridge."""
    connection = http.client.HTTPConnection(bridge.settings["LISTEN"])
    accepted = []
    for delivery in deliveries:
        connection.request("POST", "/webhook", delivery.body, {"x-icr-signature-256": delivery.signature})
        response = connection.getresponse()
        said = json.loads(response.read())
        assert response.status == 202, said
        if said["status"] == "accepted":
            accepted.append(("/icr/default", said["id"], delivery))
    connection.close()
    return accepted


def settled(bridge):
    eventually("all is published", lambda: bridge.metrics()["icr_bridge_journal_pending_deliveries"] == 0)
    metrics = bridge.metrics()
    assert metrics["icr_bridge_unaccounted_deliveries"] == 0
    assert metrics.sum("icr_bridge_records_quarantined_total") == 0, "the story holds nothing that is unintelligible"


def produce(binary, folder, topic):
    """Lets both replicas publish the story to a topic; what was accepted."""
    settings = {
        "KAFKA_BROKERS": BOOTSTRAP,
        "KAFKA_TOPIC": topic,
        "KAFKA_QUARANTINE_TOPIC": create("quarantine"),
        "SIGNATURE_HEADERS": "true",
    }
    with contextlib.ExitStack() as stack:
        replicas = {}
        for name, mode in (("a", "binary"), ("b", "structured")):
            replica = Bridge(folder / name, binary, INSTANCE=name, CONTENT_MODE=mode, **settings)
            replica.secret_file.write_text(story.SECRET)
            replicas[name] = stack.enter_context(replica)
        a, b = replicas.values()
        tale = story.tell(SEED)
        told = [*story.fixtures(), *tale]
        half = len(told) // 2
        accepted = deliver(a, told[:half])
        # Whatever it had in flight is published again, with the same ids.
        a.process.kill()
        a.process.wait()
        a.start()
        accepted += deliver(a, told[half:])
        settled(a)
        # ICR's own repeats, through another replica: with other ids, and in another order.
        repeats = [delivery for delivery in tale if delivery.payload["event"] in story.TRANSACTION_EVENTS]
        random.Random(SEED).shuffle(repeats)
        accepted += deliver(b, repeats[: len(repeats) // 2])
        # What nobody has told yet comes through the second replica alone.
        accepted += deliver(b, story.tell(SEED + 1, organizations=3, transactions=40))
        settled(b)
        environment = {"PATH": os.environ["PATH"], "ICR_BRIDGE_JOURNAL_DIR": a.settings["JOURNAL_DIR"]}
        subprocess.run([binary, "replay", "--event", "warehouseTransaction"], env=environment, check=True, capture_output=True, timeout=300)
        for bridge in (a, b):
            bridge.stop()
    return accepted


class Running:
    """One consumer at work, until it is stopped or killed."""

    def __init__(self, command, topic, database, group, log, secret=None):
        self.topic, self.group, self.database = topic, group, database
        environment = {**os.environ, "WEBHOOK_SECRET": secret or ""}
        with open(log, "ab") as said:
            self.process = subprocess.Popen(
                [*command, BOOTSTRAP, topic, group, str(database)], env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def alive(self):
        assert self.process.poll() is None, f"{self.group}: the consumer has ended: {self.process.returncode}"

    def count(self):
        self.alive()
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as database:
            return database.execute("SELECT count(*) FROM processed").fetchone()[0]

    def finish(self):
        """Waits until the group has committed everything, and stops it as an operator does."""
        def committed():
            self.alive()
            return lag(self.group, self.topic) == 0

        eventually(f"{self.group} has committed all", committed, patience=240)
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        assert code in (0, 143), f"{self.group} ended with {code}"


def lag(group, topic):
    """Records that the group has not committed."""
    request = [ConsumerGroupTopicPartitions(group, partitions(topic))]
    (answer,) = admin.list_consumer_group_offsets(request).values()
    committed = {one.partition: max(one.offset, 0) for one in answer.result().topic_partitions}
    reader = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": f"{group}-lag"})
    ends = {one.partition: reader.get_watermark_offsets(one, timeout=30)[1] for one in partitions(topic)}
    reader.close()
    return sum(end - committed[partition] for partition, end in ends.items())


def forget(group, topic):
    """The group has committed nothing any more."""
    for answer in admin.delete_consumer_groups([group]).values():
        answer.result()


def fresh(path):
    """An empty database, as an operator makes it."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript((HERE / "schema.sql").read_text())
    return path


def tables(path):
    """What a consumer has made of it."""
    def amount(value):
        return None if value is None else decimal.Decimal(value)

    with contextlib.closing(sqlite3.connect(path)) as database:
        ask = database.execute
        return {
            "transactions": {
                tuple(row[:4]): (row[4], row[5], amount(row[6]), row[7])
                for row in ask("SELECT source, id, credit, installation, organization, type, amount, status FROM transactions")
            },
            "installations": {tuple(row[:2]): tuple(row[2:]) for row in ask("SELECT source, id, organization, state FROM installations")},
            "totals": {
                tuple(row[:3]): (row[3], amount(row[4]))
                for row in ask("SELECT source, organization, event, events, processed FROM totals")
            },
        }


def set_aside(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT topic, value, reason FROM set_aside").fetchall()


def same(what, found, wanted):
    for table, rows in wanted.items():
        differing = [
            (key, found[table].get(key), rows.get(key))
            for key in {*rows, *found[table]}
            if found[table].get(key) != rows.get(key)
        ]
        assert not differing, f"{what}: {len(differing)} of {len(rows)} rows of {table} differ, such as {differing[0]} (key, found, wanted)"


def check(name, command, folder, topics, wanted):
    """All that is asked of one consumer."""
    database, log = fresh(folder / f"{name}.db"), folder / f"{name}.log"
    start = lambda topic, database=database, group=f"{topics.main}-{name}", **more: Running(command, topic, database, group, log, **more)
    with start(topics.main) as consumer:
        half = eventually(f"{name} has processed a third", lambda: consumer.count() > topics.distinct // 3)
        assert half
        consumer.process.kill()
        consumer.process.wait()
    with start(topics.main) as consumer:
        consumer.finish()
    same(f"{name}, killed in the middle and started again", tables(database), wanted)
    assert {value for _, value, _ in set_aside(database)} == {topics.foreign}, set_aside(database)
    forget(consumer.group, topics.main)
    with start(topics.main) as consumer:
        consumer.finish()
    same(f"{name}, everything read again", tables(database), wanted)
    with start(topics.shuffled) as consumer:
        consumer.finish()
    same(f"{name}, everything read again in another order", tables(database), wanted)
    other = fresh(folder / f"{name}-shuffled.db")
    with start(topics.shuffled, other, f"{topics.shuffled}-{name}") as consumer:
        consumer.finish()
    same(f"{name}, everything read in another order only", tables(other), wanted)
    return f"{name}: the same tables after a kill, a second reading, and a third one in another order"


def check_signature(name, command, folder, topics, wanted):
    """What a consumer that holds the secret makes of it."""
    start = lambda database, topic, secret: Running(
        command, topic, database, f"{database.stem}-{RUN}", folder / f"{name}.log", secret=secret
    )
    database = fresh(folder / f"{name}-signed.db")
    for topic in (topics.shuffled, topics.tampered):
        with start(database, topic, story.SECRET) as consumer:
            consumer.finish()
    same(f"{name}, which believes what ICR has signed", tables(database), wanted)
    aside = [(topic, value) for topic, value, _ in set_aside(database)]
    assert sorted(value for topic, value in aside if topic == topics.tampered) == sorted(topics.forged), "what was tampered with is set aside"
    assert [value for topic, value in aside if topic != topics.tampered] == [topics.foreign], "and nothing else"
    other = fresh(folder / f"{name}-other-secret.db")
    with start(other, topics.shuffled, "another secret") as consumer:
        consumer.finish()
    assert not any(tables(other).values()), "with another secret nothing is believed"
    return f"{name}: verifies ICR's signature; {len(topics.forged)} records that were tampered with are set aside"


def tamper(record):
    """The same headers, signature included, above another value; or a signature that was touched."""
    key, headers, value = copy(record)
    if len(value) % 2:
        return key, headers, value.replace(b'"status":"processed"', b'"status":"failed"')
    return key, [(name, b"0" * 64 if name == "icr_signature" else said) for name, said in headers], value


class Topics:
    """The story in three topics: as it came, in another order, and tampered with."""

    # Somebody else's record: no CloudEvent.
    foreign = b"not a CloudEvent"

    def __init__(self, binary, folder):
        self.main, self.shuffled, self.tampered = create("main"), create("shuffled"), create("tampered")
        self.accepted = produce(binary, folder, self.main)
        self.distinct = len(self.accepted)
        records = read(self.main)
        assert len(records) > self.distinct, "the replay at least stands there twice"
        foreign = (b"key", [], self.foreign)
        write(self.main, [foreign])
        order = random.Random(SEED)
        again = order.sample(records, len(records) // 3)
        shuffled = [copy(record) for record in [*records, *again]] + [foreign]
        order.shuffle(shuffled)
        write(self.shuffled, shuffled)
        processed = [record for record in records if b'"status":"processed"' in record.value()]
        forged = [tamper(record) for record in processed]
        self.forged = [value for _, _, value in forged]
        write(self.tampered, forged)
        self.records = records


def check_partitions(command, folder, topics):
    """Java's default partitioner puts every key where the bridge has put it."""
    where = {record.key().decode(): record.partition() for record in topics.records}
    keys = "".join(key + "\n" for key in where)
    done = subprocess.run(
        [*command, BOOTSTRAP, create("partitions")], input=keys, capture_output=True, text=True, timeout=120, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    from_java = {key: int(partition) for partition, key in (line.split(" ", 1) for line in done.stdout.splitlines())}
    assert from_java == where, "Java's partitioner and the bridge's disagree"
    assert len(set(where.values())) == PARTITIONS, "every partition is in use"
    return f"java: puts {len(where)} keys into the same partitions as the bridge"


def main(binary, folder, consumers):
    folder = pathlib.Path(folder)
    print(f"seed {SEED}", flush=True)
    topics = Topics(binary, folder)
    wanted = story.expected(topics.accepted)
    rows = ", ".join(f"{len(rows)} rows of {table}" for table, rows in wanted.items())
    print(f"{topics.distinct} deliveries, {len(topics.records)} records; {rows}", flush=True)
    commands = {name: shlex.split(command) for name, command in (one.split("=", 1) for one in consumers)}
    partitioner = commands.pop("java-partitions", None)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        checks = [pool.submit(check, name, command, folder, topics, wanted) for name, command in commands.items()]
        checks += [
            pool.submit(check_signature, name, commands[name], folder, topics, wanted) for name in ("python", "java") if name in commands
        ]
        if partitioner:
            checks.append(pool.submit(check_partitions, partitioner, folder, topics))
        failed = 0
        for done in concurrent.futures.as_completed(checks):
            try:
                print("ok  " + done.result(), flush=True)
            except AssertionError as error:
                failed += 1
                print(f"FAILED  {error}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
