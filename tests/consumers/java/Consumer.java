import com.fasterxml.jackson.databind.ObjectMapper;
import io.cloudevents.CloudEvent;
import io.cloudevents.kafka.KafkaMessageFactory;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A consumer of icr-bridge's records: kafka-clients, the CloudEvents SDK, SQLite.
 *
 * <pre>java -cp … Consumer BOOTSTRAP TOPIC GROUP DATABASE</pre>
 *
 * The database has the tables of schema.sql. With WEBHOOK_SECRET in the environment only records are believed that ICR has signed (see
 * {@link Signature}). Ends at SIGINT or SIGTERM.
 */
class Consumer {
    static final String DATA_SCHEMA = "urn:icr-bridge:event:1";
    static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] arguments) throws Exception {
        Map<String, Object> properties = Map.of(
            "bootstrap.servers", arguments[0],
            "group.id", arguments[2],
            "auto.offset.reset", "earliest",
            "enable.auto.commit", false,
            "max.poll.records", 100,
            // After this time the others take over what a consumer had that has crashed.
            "session.timeout.ms", 10_000,
            // Parsed below, record by record: a deserializer that fails would stop the whole consumer.
            "key.deserializer", ByteArrayDeserializer.class,
            "value.deserializer", ByteArrayDeserializer.class);
        String secret = System.getenv().getOrDefault("WEBHOOK_SECRET", "");
        var ended = new CountDownLatch(1);
        try (var store = new Store(arguments[3]);
                var consumer = new KafkaConsumer<byte[], byte[]>(properties)) {
            Runtime.getRuntime().addShutdownHook(new Thread(() -> {
                consumer.wakeup();
                await(ended);
            }));
            consumer.subscribe(List.of(arguments[1]));
            while (true) {
                var records = consumer.poll(Duration.ofSeconds(1));
                for (var record : records) {
                    process(store, record, secret);
                }
                // Only now: what is repeated after a crash is recognised, what is skipped would be lost.
                consumer.commitSync();
            }
        } catch (WakeupException stopped) {
            // The resources are closed: the group knows that we have left.
        } finally {
            ended.countDown();
        }
    }

    /** One record, one database transaction. */
    static void process(Store store, ConsumerRecord<byte[], byte[]> record, String secret) throws Exception {
        try {
            CloudEvent event = KafkaMessageFactory.createReader(record).toEvent();
            if (!DATA_SCHEMA.equals(String.valueOf(event.getDataSchema()))) {
                System.err.println(event.getDataSchema() + " is a version of the data that this program does not know");
                Runtime.getRuntime().halt(1);
            }
            Event data = JSON.readValue(event.getData().toBytes(), Event.class);
            if (!secret.isEmpty()) {
                Signature.verify(secret, record.headers(), event, data);
            }
            store.apply(event, data);
        } catch (Exception error) {
            store.setAside(record, error);
        }
    }

    static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
