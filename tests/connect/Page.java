import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.StringReader;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Calendar;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TimeZone;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.kafka.common.config.ConfigTransformer;
import org.apache.kafka.common.config.provider.ConfigProvider;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.header.ConnectHeaders;
import org.apache.kafka.connect.header.Headers;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.storage.Converter;
import org.apache.kafka.connect.storage.HeaderConverter;
import org.apache.kafka.connect.storage.SimpleHeaderConverter;
import org.apache.kafka.connect.transforms.Cast;
import org.apache.kafka.connect.transforms.Transformation;

/**
 * Does what CONNECT.md shows, with the golden records, and compares what comes of it with what the page says.
 *
 * <p>Usage: {@code java -cp 'LIBS/*' Page.java CONTRACT} (UPDATE_CONTRACT=1 writes the results into the page). Converters and transforms are
 * those of Kafka Connect's jars, configured by the page's own properties; rows go into a real PostgreSQL, as a JDBC sink would put
 * them there. Blocks of the page are told apart by the words behind their language:
 *
 * <ul>
 *   <li>{@code properties worker}: configuration providers; {@code properties NAME}: a connector, called a recipe here
 *   <li>{@code sql create}: run once, in order; {@code sql query NAME}: run when everything has been loaded
 *   <li>{@code text row RECIPE GOLDEN}, {@code text query NAME}, {@code text refused RECIPE}, {@code text headers CONVERTER}: results
 * </ul>
 */
public class Page {
    static final ObjectMapper JSON = new ObjectMapper();
    static final Calendar UTC = Calendar.getInstance(TimeZone.getTimeZone("UTC"));
    static final Pattern BLOCK = Pattern.compile("^```(\\w+) ([^\\n]+)\\n(.*?)^```$", Pattern.MULTILINE | Pattern.DOTALL);

    /** How a suite says that it could not run. */
    static final int SKIPPED = 77;

    final Path contract;
    final Map<String, String> blocks = new LinkedHashMap<>();
    final Map<String, String> results = new LinkedHashMap<>();
    final List<String> failures = new ArrayList<>();

    Page(Path contract) throws IOException {
        this.contract = contract;
        Matcher matcher = BLOCK.matcher(Files.readString(contract.resolve("CONNECT.md")));
        while (matcher.find()) {
            String name = matcher.group(1) + " " + matcher.group(2);
            if (blocks.put(name, matcher.group(3)) != null && !name.equals("sql create")) {
                throw new IllegalStateException("two blocks are called " + name);
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        Page page = new Page(Path.of(arguments[0]).toAbsolutePath());
        EmbeddedPostgres postgres;
        try {
            postgres = EmbeddedPostgres.start();
        } catch (IOException | RuntimeException error) {
            System.err.println("skipped: no PostgreSQL can be started here: " + error);
            System.exit(SKIPPED);
            return;
        }
        try (postgres;
                Connection database = postgres.getPostgresDatabase().getConnection()) {
            page.run(database);
        }
        page.compare();
        page.failures.forEach(failure -> System.err.println("FAILED " + failure));
        System.exit(page.failures.isEmpty() ? 0 : 1);
    }

    // ---- what the page shows -------------------------------------------------------------------------------------------------

    void run(Connection database) throws Exception {
        try (Statement statement = database.createStatement()) {
            for (String sql : all("sql create")) {
                statement.execute(sql);
            }
        }
        Map<String, List<String>> tables = new HashMap<>();
        for (String recipe : names("properties ")) {
            if (recipe.equals("worker")) {
                continue;
            }
            Recipe connector = new Recipe(recipe);
            // Kafka and Connect deliver at least once, and nobody knows in which order two partitions are read.
            List<Golden> records = connector.records();
            List<Golden> again = new ArrayList<>(records);
            Collections.reverse(again);
            Map<String, String> refused = new TreeMap<>();
            try (Statement statement = database.createStatement()) {
                statement.execute("TRUNCATE " + connector.table());
            }
            load(database, connector, records, refused);
            List<String> once = dump(database, connector.table());
            load(database, connector, again, refused);
            check(once.equals(dump(database, connector.table())), recipe + ": records that come twice change the table");
            check(once.size() + refused.size() == records.size() && !once.isEmpty(),
                    recipe + ": " + records.size() + " records, " + once.size() + " rows, " + refused.size() + " refused");
            System.out.println(recipe + ": " + records.size() + " golden records, " + once.size() + " rows in " + connector.table());
            results.put("text refused " + recipe, lines(refused));
            List<String> other = tables.put(connector.table(), once);
            check(other == null || other.equals(once), recipe + ": not the rows of the recipe before");
        }
        for (String query : names("sql query ")) {
            results.put("text query " + query, query(database, blocks.get("sql query " + query)));
        }
        for (String row : names("text row ")) {
            String[] words = row.split(" ");
            results.put("text row " + row, lines(new Recipe(words[0]).row(new Golden(words[1]))));
        }
        for (String converter : names("text headers ")) {
            results.put("text headers " + converter, headers(converter));
        }
        keysAreWhatThePageSays(database);
        amountsAreExact(database);
        whatThePageSaysOfConnect();
        whatIsPendingNeverOverwrites(database);
    }

    /** Even if it were the last to come. Comes at the end, since it changes the table. */
    void whatIsPendingNeverOverwrites(Connection database) throws Exception {
        String states = "SELECT transaction_id, transaction_status FROM icr_transactions ORDER BY 1";
        String both = "SELECT count(*) FROM (SELECT transaction_id FROM icr_events GROUP BY transaction_id, transaction_credit_id"
                + " HAVING bool_or(transaction_status = 'pending_queue') AND bool_or(transaction_status = 'processed')) t";
        check(!query(database, both).contains("\n0\n"), "some transaction is both pending and processed");
        String before = query(database, states);
        try (Statement statement = database.createStatement()) {
            statement.execute("UPDATE icr_events SET accepted_at = '2099-01-01' WHERE transaction_status = 'pending_queue'");
        }
        check(before.equals(query(database, states)), "a pending event that came last changes a final status");
    }

    /** The sentences of the page that no result shows. */
    void whatThePageSaysOfConnect() throws Exception {
        Recipe binary = new Recipe("binary");
        Golden golden = new Golden("matrix_warehouseTransaction_processed_transfer");
        String status = "\"status\":\"processed\"";
        check("processed".equals(binary.row(golden).get("transaction_status")), "the status is a column");
        Golden odd = golden.with(status, "\"status\":null,\"_status\":[7]").with("\"permissions\":\\{[^}]*\\}",
                "\"permissions\":{\"organization_info\":\"VIEW\",\"new\":\"X\"},\"_permissions\":{\"new\":[]}");
        check(binary.row(odd).get("transaction_status") == null, "what does not fit its field is no column");
        Golden further = golden.with("\"event\":", "\"further\":\"x\",\"event\":");
        check(binary.row(further).equals(binary.row(golden)), "a field that the schema does not name is left out");

        JsonConverter converter = new JsonConverter();
        converter.configure(Map.of("schemas.enable", "true", "schema.content", "{\"type\":\"bytes\",\"name\":"
                + "\"org.apache.kafka.connect.data.Decimal\",\"parameters\":{\"scale\":\"18\"},\"optional\":true}"), false);
        byte[] amount = "\"1250\"".getBytes(StandardCharsets.UTF_8);
        Object taken = converter.toConnectData("t", amount).value();
        byte[] base64 = java.util.Base64.getDecoder().decode("1250");
        check(new BigDecimal(new BigInteger(base64), 18).equals(taken), "a string is taken to be base64: " + taken);
        check(refuses(() -> new Cast.Value<SinkRecord>().configure(Map.of("spec", "amount:decimal"))), "Cast knows no decimals");

        SimpleHeaderConverter headers = new SimpleHeaderConverter();
        byte[] fingerprint = "1234567890".repeat(7).substring(0, 64).getBytes(StandardCharsets.UTF_8);
        Object guessed = headers.toConnectHeader("t", "ce_fingerprint", fingerprint).value();
        check(guessed instanceof Number, "a fingerprint of digits is a number: " + guessed);

        // HeaderToValue keeps the fields of the first record.
        Recipe quarantine = new Recipe("quarantine");
        Golden without = new Golden("event_missing");
        without.headers.remove("ce_reason");
        quarantine.row(without);
        check(refuses(() -> quarantine.row(new Golden("event_missing"))), "a header that the first record lacked is not taken later");
    }

    interface Attempt {
        void make() throws Exception;
    }

    static boolean refuses(Attempt attempt) throws Exception {
        try {
            attempt.make();
            return false;
        } catch (RuntimeException error) {
            return true;
        }
    }

    /** The generated column against the keys of the records themselves. */
    void keysAreWhatThePageSays(Connection database) throws Exception {
        try (PreparedStatement statement = database.prepareStatement("SELECT record_key FROM icr_events WHERE id = ?")) {
            int compared = 0;
            for (Golden golden : new Recipe("binary").records()) {
                statement.setString(1, golden.header("ce_id"));
                ResultSet row = statement.executeQuery();
                if (row.next()) {
                    check(row.getString(1).equals(golden.key), golden.name + ": record_key is " + row.getString(1));
                    compared++;
                }
            }
            check(compared > 70, "only " + compared + " keys were compared");
        }
    }

    /** Decimals in the database are those of the records, digit by digit. */
    void amountsAreExact(Connection database) throws Exception {
        try (PreparedStatement statement = database.prepareStatement("SELECT amount FROM icr_events WHERE id = ?")) {
            int compared = 0;
            for (Golden golden : new Recipe("binary").records()) {
                JsonNode amount = JSON.readTree(golden.value).path("transaction").path("amount");
                statement.setString(1, golden.header("ce_id"));
                ResultSet row = statement.executeQuery();
                if (amount.isTextual() && row.next()) {
                    check(row.getBigDecimal(1).toPlainString().equals(amount.textValue()), golden.name + ": " + row.getBigDecimal(1));
                    compared++;
                }
            }
            check(compared > 40, "only " + compared + " amounts were compared");
        }
    }

    /** What a header converter makes of the headers of one record. */
    String headers(String converter) throws Exception {
        HeaderConverter headers = create("org.apache.kafka.connect.storage." + converter);
        headers.configure(Map.of("converter.type", "header"));
        Map<String, Object> made = new LinkedHashMap<>();
        Golden golden = new Golden("doc_example_installed.replay");
        golden.headers.forEach((name, value) -> {
            SchemaAndValue header = headers.toConnectHeader(golden.topic, name, value.getBytes(StandardCharsets.UTF_8));
            String type = header.schema() == null ? "null" : header.schema().name() != null
                    ? header.schema().name().replaceAll(".*\\.", "") : header.schema().type().getName();
            Object shown = header.value() instanceof java.util.Date date ? date.toInstant() : header.value();
            made.put(name, String.format("%-10s %s", type, shown));
        });
        return lines(made);
    }

    // ---- a connector ---------------------------------------------------------------------------------------------------------

    /** A sink connector as the page configures it. */
    class Recipe {
        final String name;
        final Map<String, String> properties;
        final Converter key;
        final Converter value;
        final HeaderConverter header;
        final List<Transformation<SinkRecord>> transforms = new ArrayList<>();

        Recipe(String name) throws Exception {
            this.name = name;
            properties = resolved(parsed("properties " + name));
            key = create(properties.get("key.converter"));
            key.configure(prefixed("key.converter."), true);
            value = create(properties.get("value.converter"));
            value.configure(prefixed("value.converter."), false);
            header = create(properties.get("header.converter"));
            Map<String, String> config = prefixed("header.converter.");
            config.put("converter.type", "header");
            header.configure(config);
            for (String alias : properties.get("transforms").split(",")) {
                Transformation<SinkRecord> transform = create(properties.get("transforms." + alias + ".type"));
                Map<String, String> settings = prefixed("transforms." + alias + ".");
                settings.remove("type");
                transform.configure(settings);
                transforms.add(transform);
            }
        }

        String table() {
            return properties.get("table.name.format");
        }

        List<String> primaryKey() {
            return List.of(properties.get("pk.fields").split(","));
        }

        /** The golden records of its topics, each delivery once. */
        List<Golden> records() throws IOException {
            List<String> topics = List.of(properties.get("topics").split(","));
            String suffix = name.startsWith("structured") ? ".structured.json" : ".json";
            List<Golden> records = new ArrayList<>();
            try (var files = Files.list(contract.resolve("golden"))) {
                for (Path file : files.sorted().toList()) {
                    String text = file.getFileName().toString();
                    if (text.endsWith(suffix) && text.indexOf('.') == text.length() - suffix.length()) {
                        Golden golden = new Golden(text.substring(0, text.length() - ".json".length()));
                        if (topics.contains(golden.topic)) {
                            records.add(golden);
                        }
                    }
                }
            }
            return records;
        }

        /** The columns that a record ends up as. */
        Map<String, Object> row(Golden golden) throws Exception {
            RecordHeaders raw = new RecordHeaders();
            Headers headers = new ConnectHeaders();
            golden.headers.forEach((name, text) -> {
                byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
                raw.add(new RecordHeader(name, bytes));
                headers.add(name, header.toConnectHeader(golden.topic, name, bytes));
            });
            byte[] keyBytes = golden.key == null ? null : golden.key.getBytes(StandardCharsets.UTF_8);
            SchemaAndValue keyData = key.toConnectData(golden.topic, raw, keyBytes);
            SchemaAndValue valueData = value.toConnectData(golden.topic, raw, golden.value.getBytes(StandardCharsets.UTF_8));
            SinkRecord record = new SinkRecord(golden.topic, 3, keyData.schema(), keyData.value(), valueData.schema(),
                    valueData.value(), 42, golden.timestamp, TimestampType.CREATE_TIME, headers);
            for (Transformation<SinkRecord> transform : transforms) {
                record = transform.apply(record);
            }
            Map<String, Object> row = new LinkedHashMap<>();
            Struct struct = (Struct) record.value();
            for (Field field : struct.schema().fields()) {
                row.put(field.name(), struct.get(field));
            }
            return row;
        }

        Map<String, String> prefixed(String prefix) {
            Map<String, String> found = new HashMap<>();
            properties.forEach((name, text) -> {
                if (name.startsWith(prefix)) {
                    found.put(name.substring(prefix.length()), text);
                }
            });
            return found;
        }
    }

    @SuppressWarnings("unchecked")
    static <T> T create(String type) throws ReflectiveOperationException {
        return (T) Class.forName(type).getDeclaredConstructor().newInstance();
    }

    Map<String, String> parsed(String block) throws IOException {
        Properties properties = new Properties();
        properties.load(new StringReader(blocks.get(block).replace("/etc/icr-bridge", contract.resolve("connect").toString())));
        return properties.stringPropertyNames().stream().collect(Collectors.toMap(name -> name, properties::getProperty));
    }

    /** Looks up what `${provider:path:key}` stands for, as a worker does. */
    Map<String, String> resolved(Map<String, String> properties) throws Exception {
        Map<String, String> worker = parsed("properties worker");
        Map<String, ConfigProvider> providers = new HashMap<>();
        for (String name : worker.get("config.providers").split(",")) {
            ConfigProvider provider = create(worker.get("config.providers." + name + ".class"));
            String prefix = "config.providers." + name + ".param.";
            Map<String, String> parameters = new HashMap<>();
            worker.forEach((key, value) -> {
                if (key.startsWith(prefix)) {
                    parameters.put(key.substring(prefix.length()), value);
                }
            });
            provider.configure(parameters);
            providers.put(name, provider);
        }
        return new ConfigTransformer(providers).transform(properties).data();
    }

    // ---- the database --------------------------------------------------------------------------------------------------------

    /** What a JDBC sink does with `insert.mode=upsert`; a row that the database refuses is noted with the reason. */
    void load(Connection database, Recipe recipe, List<Golden> records, Map<String, String> refused) throws Exception {
        check("upsert".equals(recipe.properties.get("insert.mode")) && "record_value".equals(recipe.properties.get("pk.mode")),
                recipe.name + ": rows are upserted by fields of the value");
        for (Golden golden : records) {
            Map<String, Object> row;
            try {
                row = recipe.row(golden);
            } catch (RuntimeException error) {
                refused.put(golden.name, String.valueOf(error.getMessage()).lines().findFirst().orElse(""));
                continue;
            }
            String columns = row.keySet().stream().map(name -> '"' + name + '"').collect(Collectors.joining(","));
            String marks = row.keySet().stream().map(name -> "?").collect(Collectors.joining(","));
            String updates = row.keySet().stream().filter(name -> !recipe.primaryKey().contains(name))
                    .map(name -> '"' + name + "\"=excluded.\"" + name + '"').collect(Collectors.joining(","));
            String sql = "INSERT INTO " + recipe.table() + " (" + columns + ") VALUES (" + marks + ") ON CONFLICT ("
                    + String.join(",", recipe.primaryKey()) + ") DO UPDATE SET " + updates;
            try (PreparedStatement statement = database.prepareStatement(sql)) {
                int index = 1;
                for (Object column : row.values()) {
                    if (column instanceof java.util.Date date) {
                        statement.setTimestamp(index++, new java.sql.Timestamp(date.getTime()), UTC);
                    } else {
                        statement.setObject(index++, column);
                    }
                }
                statement.executeUpdate();
            } catch (SQLException error) {
                refused.put(golden.name, error.getMessage().lines().findFirst().orElse(""));
            }
        }
    }

    static List<String> dump(Connection database, String table) throws SQLException {
        try (Statement statement = database.createStatement();
                ResultSet rows = statement.executeQuery("SELECT t::text FROM " + table + " t ORDER BY 1")) {
            List<String> found = new ArrayList<>();
            while (rows.next()) {
                found.add(rows.getString(1));
            }
            return found;
        }
    }

    static String query(Connection database, String sql) throws SQLException {
        try (Statement statement = database.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            int count = rows.getMetaData().getColumnCount();
            List<String[]> table = new ArrayList<>();
            String[] names = new String[count];
            for (int column = 0; column < count; column++) {
                names[column] = rows.getMetaData().getColumnLabel(column + 1);
            }
            table.add(names);
            while (rows.next()) {
                String[] row = new String[count];
                for (int column = 0; column < count; column++) {
                    row[column] = String.valueOf(rows.getString(column + 1));
                }
                table.add(row);
            }
            int[] widths = new int[count];
            table.forEach(row -> Arrays.setAll(widths, column -> Math.max(widths[column], row[column].length())));
            StringBuilder text = new StringBuilder();
            for (String[] row : table) {
                StringBuilder line = new StringBuilder();
                for (int column = 0; column < count; column++) {
                    line.append(String.format("%-" + (widths[column] + 2) + "s", row[column]));
                }
                text.append(line.toString().stripTrailing()).append('\n');
            }
            return text.toString();
        }
    }

    // ---- the page ------------------------------------------------------------------------------------------------------------

    /** The names of blocks that begin so, without that. */
    List<String> names(String prefix) {
        return blocks.keySet().stream().filter(name -> name.startsWith(prefix)).map(name -> name.substring(prefix.length())).toList();
    }

    /** All blocks of that name, in order. */
    List<String> all(String name) throws IOException {
        Matcher matcher = BLOCK.matcher(Files.readString(contract.resolve("CONNECT.md")));
        List<String> found = new ArrayList<>();
        while (matcher.find()) {
            if ((matcher.group(1) + " " + matcher.group(2)).equals(name)) {
                found.add(matcher.group(3));
            }
        }
        return found;
    }

    static String lines(Map<String, ?> columns) {
        int width = columns.keySet().stream().mapToInt(String::length).max().orElse(0);
        return columns.entrySet().stream().map(column -> {
            Object value = column.getValue() instanceof java.util.Date date ? date.toInstant() : column.getValue();
            return String.format("%-" + width + "s  %s\n", column.getKey(), value);
        }).collect(Collectors.joining());
    }

    /** Every result that the page shows is what has come of it. */
    void compare() throws IOException {
        Path file = contract.resolve("CONNECT.md");
        String page = Files.readString(file);
        boolean update = "1".equals(System.getenv("UPDATE_CONTRACT"));
        int compared = 0;
        for (String name : names("text ")) {
            String result = results.get("text " + name);
            String shown = blocks.get("text " + name);
            check(result != null, "nothing produces the block `text " + name + "`");
            compared++;
            if (result != null && !result.equals(shown)) {
                page = page.replace("```text " + name + "\n" + shown, "```text " + name + "\n" + result);
                check(update, "text " + name + " is\n" + result + "and not\n" + shown + "UPDATE_CONTRACT=1 writes it anew");
            }
        }
        for (String name : results.keySet()) {
            boolean nothing = results.get(name).isEmpty();
            check(nothing || blocks.containsKey(name), "the page does not show `" + name + "`:\n" + results.get(name));
        }
        if (update) {
            Files.writeString(file, page);
        }
        System.out.println(compared + " results compared with the page");
    }

    void check(boolean good, String otherwise) {
        if (!good) {
            failures.add(otherwise);
        }
    }

    /** A golden record. */
    class Golden {
        final String name;
        final String topic;
        final String key;
        final String value;
        final long timestamp;
        final Map<String, String> headers = new LinkedHashMap<>();

        Golden(String name) throws IOException {
            JsonNode record = JSON.readTree(contract.resolve("golden").resolve(name + ".json").toFile());
            this.name = name;
            topic = record.get("topic").textValue();
            key = record.get("key").textValue();
            value = record.get("value").textValue();
            timestamp = record.get("timestamp").longValue();
            record.get("headers").forEach(header -> headers.put(header.get(0).textValue(), header.get(1).textValue()));
        }

        /** The same record with a part of its value replaced. */
        Golden with(String pattern, String replacement) throws IOException {
            String changed = value.replaceFirst(pattern, Matcher.quoteReplacement(replacement));
            check(!changed.equals(value), name + ": nothing matches " + pattern);
            return new Golden(this, changed);
        }

        private Golden(Golden other, String value) {
            name = other.name;
            topic = other.topic;
            key = other.key;
            this.value = value;
            timestamp = other.timestamp;
            headers.putAll(other.headers);
        }

        String header(String name) {
            return headers.get(name);
        }
    }
}
