// A consumer of icr-bridge's records: KafkaJS, the CloudEvents SDK, SQLite.
//
//     node consumer.mjs BOOTSTRAP TOPIC GROUP DATABASE
//
// The database has the tables of schema.sql. Ends at SIGINT or SIGTERM. Types are those of event.d.ts; tsc checks them.

import { Kafka as CloudEventsKafka } from "cloudevents";
import { Decimal } from "decimal.js";
import kafkajs from "kafkajs";
import Database from "libsql";
import { compressFrame, decompressFrame } from "lz4-napi";

const DATASCHEMA = "urn:icr-bridge:event:1";
const TRANSACTION_EVENTS = new Set(["warehouseTransaction", "organizationTransaction"]);
const STATES = new Set(["installed", "uninstalled", "suspended", "unsuspended"]);
const OTHER_LIFECYCLE_EVENTS = new Set(["newPermissionsAccepted"]);
const RANKS = new Map([["pending_queue", 0], ["processed", 2], ["failed", 2]]);

// An amount has up to 100 characters before or behind the point: never round.
Decimal.set({ precision: 300, toExpPos: 9e15, toExpNeg: -9e15 });

// The bridge compresses with lz4, which KafkaJS leaves to others.
kafkajs.CompressionCodecs[kafkajs.CompressionTypes.LZ4] = () => ({
  compress: (encoder) => compressFrame(encoder.buffer),
  decompress: (buffer) => decompressFrame(buffer),
});

const [bootstrap, topic, groupId, path] = process.argv.slice(2);
const database = new Database(path);

const enterId = database.prepare("INSERT OR IGNORE INTO processed VALUES (?)");
const enterFingerprint = database.prepare("INSERT OR IGNORE INTO processed_transaction_events VALUES (?, ?)");
// Events come in any order: what is pending never replaces what is final, and of equals the later one counts.
const putTransaction = database.prepare(`
  INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET type = excluded.type, amount = excluded.amount, status = excluded.status,
    rank = excluded.rank, ce_id = excluded.ce_id
  WHERE (excluded.rank, excluded.ce_id) > (rank, ce_id)`);
const putInstallation = database.prepare(`
  INSERT INTO installations VALUES (?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET state = excluded.state, ce_id = excluded.ce_id WHERE excluded.ce_id > ce_id`);
const getTotal = database.prepare("SELECT processed FROM totals WHERE (source, organization, event) = (?, ?, ?)");
const putTotal = database.prepare(`
  INSERT INTO totals VALUES (?, ?, ?, 1, ?)
  ON CONFLICT DO UPDATE SET events = events + 1, processed = excluded.processed`);
const setAside = database.prepare("INSERT OR IGNORE INTO set_aside VALUES (?, ?, ?, ?, ?)");

/** @typedef {import("cloudevents").CloudEventV1<any> & { fingerprint?: string }} CloudEvent */
/** @typedef {import("./event.js").Event} Event */

/**
 * Enters the event among those that were processed; false where it was there already.
 * @param {CloudEvent} event
 * @param {boolean} isTransaction
 */
function isNew(event, isTransaction) {
  if (enterId.run(event.id).changes === 0) return false;
  // Not for lifecycle events: suspended, unsuspended, suspended are three, of which two may have the same fingerprint.
  return !isTransaction || enterFingerprint.run(event.source, event.fingerprint).changes > 0;
}

// The effect of an event, in one database transaction.
const apply = database.transaction((/** @type {CloudEvent} */ cloudEvent, /** @type {Event} */ event) => {
  const { event: name, organization, installation, transaction } = event;
  const isTransaction = TRANSACTION_EVENTS.has(name);
  // There will be more events; those that we don't know are none of our business.
  if (!isTransaction && !STATES.has(name) && !OTHER_LIFECYCLE_EVENTS.has(name)) return;
  if (!isNew(cloudEvent, isTransaction)) return;
  if (!organization || !installation) throw new Error("an event without organization or installation");
  const { id, source } = cloudEvent;
  let amount = new Decimal(0);
  if (isTransaction) {
    if (!transaction) throw new Error("a transaction event without transaction");
    const status = transaction.status ?? "";
    if (status === "processed") amount = new Decimal(transaction.amount ?? 0);
    putTransaction.run(
      source, transaction.id, transaction.creditId ?? "", installation.id, organization.id, transaction.type ?? "",
      transaction.amount, status, RANKS.get(status) ?? 1, id,
    );
  } else if (STATES.has(name)) {
    putInstallation.run(source, installation.id, organization.id, name, id);
  }
  const total = /** @type {{ processed: string } | undefined} */ (getTotal.get(source, organization.id, name));
  putTotal.run(source, organization.id, name, amount.plus(total?.processed ?? 0).toFixed());
});

function processRecord(partition, message) {
  try {
    // The SDK wants header values as text.
    const headers = Object.fromEntries(Object.entries(message.headers).map(([name, value]) => [name, value.toString()]));
    const record = /** @type {any} */ ({ headers, value: message.value.toString() });
    const event = /** @type {CloudEvent} */ (CloudEventsKafka.toEvent(record));
    if (event.dataschema !== DATASCHEMA) {
      console.error(`${event.dataschema} is a version of the data that this program does not know`);
      process.exit(1);
    }
    apply(event, typeof event.data === "string" ? JSON.parse(event.data) : event.data);
  } catch (error) {
    setAside.run(topic, partition, Number(message.offset), String(error), message.value);
  }
}

const kafka = new kafkajs.Kafka({ brokers: bootstrap.split(","), logLevel: kafkajs.logLevel.WARN });
// After the session's time the others take over what a consumer had that has crashed.
const consumer = kafka.consumer({ groupId, sessionTimeout: 10_000 });
await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => consumer.disconnect());
await consumer.run({
  autoCommit: false,
  eachBatch: async ({ batch, heartbeat, isRunning, isStale }) => {
    let next;
    for (const message of batch.messages) {
      if (!isRunning() || isStale()) break;
      processRecord(batch.partition, message);
      next = (BigInt(message.offset) + 1n).toString();
      await heartbeat();
    }
    // Only now: what is repeated after a crash is recognised, what is skipped would be lost.
    if (next) await consumer.commitOffsets([{ topic, partition: batch.partition, offset: next }]);
  },
});
