import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** Produces a record for each key on standard input, with the default partitioner, and prints the partition that it got and the key. */
class Partitions {
    public static void main(String[] arguments) throws Exception {
        Map<String, Object> properties = Map.of(
            "bootstrap.servers", arguments[0],
            "key.serializer", StringSerializer.class,
            "value.serializer", StringSerializer.class);
        var keys = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try (var producer = new KafkaProducer<String, String>(properties)) {
            for (String key; (key = keys.readLine()) != null; ) {
                var sent = producer.send(new ProducerRecord<>(arguments[1], key, "value")).get();
                System.out.write((sent.partition() + " " + key + "\n").getBytes(StandardCharsets.UTF_8));
            }
        }
        System.out.flush();
    }
}
