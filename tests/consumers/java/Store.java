import static java.util.Objects.requireNonNullElse;

import io.cloudevents.CloudEvent;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** What the consumer keeps. */
class Store implements AutoCloseable {
    static final Set<String> TRANSACTION_EVENTS = Set.of("warehouseTransaction", "organizationTransaction");
    static final Set<String> STATES = Set.of("installed", "uninstalled", "suspended", "unsuspended");
    static final Set<String> OTHER_LIFECYCLE_EVENTS = Set.of("newPermissionsAccepted");
    static final Map<String, Integer> RANKS = Map.of("pending_queue", 0, "processed", 2, "failed", 2);

    private final Connection database;

    Store(String path) throws SQLException {
        database = DriverManager.getConnection("jdbc:sqlite:" + path);
        database.setAutoCommit(false);
    }

    /** Stores the effect of an event and that it was processed: both or neither. */
    void apply(CloudEvent event, Event data) throws SQLException {
        String name = data.event();
        boolean isTransaction = TRANSACTION_EVENTS.contains(name);
        if (!isTransaction && !STATES.contains(name) && !OTHER_LIFECYCLE_EVENTS.contains(name)) {
            return; // There will be more; those that we don't know are none of our business.
        }
        try {
            if (isNew(event, isTransaction)) {
                effect(event, data, name);
            }
            database.commit();
        } catch (SQLException | RuntimeException error) {
            database.rollback();
            throw error;
        }
    }

    /** Enters the event among those that were processed; false where it was there already. */
    private boolean isNew(CloudEvent event, boolean isTransaction) throws SQLException {
        if (update("INSERT OR IGNORE INTO processed VALUES (?)", event.getId()) == 0) {
            return false;
        }
        // Not for lifecycle events: suspended, unsuspended, suspended are three, of which two may have the same fingerprint.
        return !isTransaction
            || update("INSERT OR IGNORE INTO processed_transaction_events VALUES (?, ?)",
                event.getSource().toString(), event.getExtension("fingerprint")) > 0;
    }

    private void effect(CloudEvent event, Event data, String name) throws SQLException {
        String source = event.getSource().toString();
        String installation = data.installation().id();
        String organization = data.organization().id();
        BigDecimal processed = BigDecimal.ZERO;
        if (TRANSACTION_EVENTS.contains(name)) {
            Event.Transaction transaction = data.transaction();
            String status = text(transaction.status());
            String amount = transaction.amount();
            if (amount != null && status.equals("processed")) {
                processed = new BigDecimal(amount);
            }
            // Events come in any order: what is pending never replaces what is final, and of equals the later one counts.
            update("""
                INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET type = excluded.type, amount = excluded.amount, status = excluded.status,
                    rank = excluded.rank, ce_id = excluded.ce_id
                WHERE (excluded.rank, excluded.ce_id) > (rank, ce_id)""",
                source, transaction.id(), text(transaction.creditId()), installation, organization,
                text(transaction.type()), amount, status, RANKS.getOrDefault(status, 1), event.getId());
        } else if (STATES.contains(name)) {
            update("""
                INSERT INTO installations VALUES (?, ?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET state = excluded.state, ce_id = excluded.ce_id WHERE excluded.ce_id > ce_id""",
                source, installation, organization, name, event.getId());
        }
        BigDecimal total = total(source, organization, name).add(processed);
        update("""
            INSERT INTO totals VALUES (?, ?, ?, 1, ?)
            ON CONFLICT DO UPDATE SET events = events + 1, processed = excluded.processed""",
            source, organization, name, total.toPlainString());
    }

    private BigDecimal total(String... key) throws SQLException {
        try (var statement = database.prepareStatement(
                "SELECT processed FROM totals WHERE (source, organization, event) = (?, ?, ?)")) {
            for (int index = 0; index < key.length; index++) {
                statement.setString(index + 1, key[index]);
            }
            var row = statement.executeQuery();
            return row.next() ? new BigDecimal(row.getString(1)) : BigDecimal.ZERO;
        }
    }

    /** Keeps a record that could not be processed. */
    void setAside(ConsumerRecord<byte[], byte[]> record, Exception reason) throws SQLException {
        update("INSERT OR IGNORE INTO set_aside VALUES (?, ?, ?, ?, ?)",
            record.topic(), record.partition(), record.offset(), reason.toString(), record.value());
        database.commit();
    }

    private int update(String sql, Object... values) throws SQLException {
        try (var statement = database.prepareStatement(sql)) {
            for (int index = 0; index < values.length; index++) {
                statement.setObject(index + 1, values[index]);
            }
            return statement.executeUpdate();
        }
    }

    private static String text(String value) {
        return requireNonNullElse(value, "");
    }

    @Override
    public void close() throws SQLException {
        database.close();
    }
}
