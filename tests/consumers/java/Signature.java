import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.JavaType;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.deser.DeserializationProblemHandler;
import io.cloudevents.CloudEvent;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.kafka.common.header.Headers;

/**
 * ICR's own signature, verified by a consumer that holds the webhook secret: then it need not trust the bridge, nor Kafka. Needs
 * {@code SIGNATURE_HEADERS=true} at the bridge.
 */
class Signature {
    /** The record is not what ICR has signed. */
    static class Unproven extends Exception {
        Unproven(String why) {
            super(why);
        }
    }

    /** What ICR signed, read as the bridge does: a number or a boolean counts as its text, an object or an array as nothing. */
    private static final ObjectMapper JSON = new ObjectMapper().addHandler(new DeserializationProblemHandler() {
        @Override
        public Object handleUnexpectedToken(
                DeserializationContext context, JavaType wanted, JsonToken token, JsonParser parser, String message) throws IOException {
            parser.skipChildren();
            return null;
        }
    });

    /** The payload, in which the organization stands inside the installation. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    record Signed(String event, Installation installation, Event.Transaction transaction) {
        @JsonIgnoreProperties(ignoreUnknown = true)
        record Installation(String id, Event.Identified organization) {}

        Event understood() {
            if (installation == null) {
                return new Event(event, null, null, transaction);
            }
            return new Event(event, installation.organization(), new Event.Identified(installation.id()), transaction);
        }
    }

    /** Throws {@link Unproven} unless ICR has signed what this event says. */
    static void verify(String secret, Headers headers, CloudEvent event, Event data) throws Exception {
        byte[] signedData = value(headers, "icr_signed_data");
        if (!MessageDigest.isEqual(hex(hmac(secret, signedData)), value(headers, "icr_signature"))) {
            throw new Unproven("the signature is missing or wrong");
        }
        byte[] fingerprint = hex(MessageDigest.getInstance("SHA-256").digest(signedData));
        if (!new String(fingerprint, StandardCharsets.US_ASCII).equals(event.getExtension("fingerprint"))) {
            throw new Unproven("the fingerprint is that of other data");
        }
        // The signature covers signedData, so the record must say the same.
        Event signed = JSON.readValue(decode(signedData), Signed.class).understood();
        if (!statement(signed).equals(statement(data))) {
            throw new Unproven("the record says something else than what was signed");
        }
    }

    private static byte[] value(Headers headers, String name) {
        var header = headers.lastHeader(name);
        return header == null ? new byte[0] : header.value();
    }

    private static byte[] hmac(String secret, byte[] message) throws GeneralSecurityException {
        var mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
        return mac.doFinal(message);
    }

    private static byte[] hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes).getBytes(StandardCharsets.US_ASCII);
    }

    /** Base64 in either alphabet, padding optional, white space skipped. */
    private static byte[] decode(byte[] signedData) {
        String compact = new String(signedData, StandardCharsets.US_ASCII).replaceAll("[\\s=]", "");
        return Base64.getDecoder().decode(compact.replace('-', '+').replace('_', '/'));
    }

    /** What this consumer acts upon: all of it, but that an amount may be spelled otherwise. */
    private static List<Object> statement(Event event) {
        var transaction = event.transaction();
        if (transaction == null) {
            return Arrays.asList(event.event(), event.organization(), event.installation());
        }
        BigDecimal amount = transaction.amount() == null ? null : new BigDecimal(transaction.amount()).stripTrailingZeros();
        return Arrays.asList(event.event(), event.organization(), event.installation(), transaction.id(), transaction.creditId(),
            transaction.type(), transaction.status(), amount);
    }
}
