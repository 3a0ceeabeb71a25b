import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.cloudevents.CloudEvent;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.ArrayList;
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

    private static final ObjectMapper JSON = new ObjectMapper().enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS);

    /** Throws {@link Unproven} unless ICR has signed what this event says. */
    static void verify(String secret, Headers headers, CloudEvent event, JsonNode data) throws Exception {
        byte[] signedData = value(headers, "icr_signed_data");
        if (!MessageDigest.isEqual(hex(hmac(secret, signedData)), value(headers, "icr_signature"))) {
            throw new Unproven("the signature is missing or wrong");
        }
        byte[] fingerprint = hex(MessageDigest.getInstance("SHA-256").digest(signedData));
        if (!new String(fingerprint, StandardCharsets.US_ASCII).equals(event.getExtension("fingerprint"))) {
            throw new Unproven("the fingerprint is that of other data");
        }
        // The signature covers signedData, so the record must say the same.
        var signed = (ObjectNode) JSON.readTree(decode(signedData));
        signed.set("organization", signed.path("installation").path("organization"));
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

    /** What this consumer acts upon. */
    private static List<String> statement(JsonNode payload) {
        List<String> said = new ArrayList<>();
        said.add(payload.path("event").asText());
        for (String name : List.of("installation", "organization", "transaction")) {
            said.add(payload.path(name).path("id").asText());
        }
        JsonNode transaction = payload.path("transaction");
        for (String name : List.of("creditId", "type", "status")) {
            said.add(transaction.path(name).asText());
        }
        JsonNode amount = transaction.path("amount");
        said.add(amount.isValueNode() && !amount.isNull() ? new BigDecimal(amount.asText()).stripTrailingZeros().toString() : null);
        return said;
    }
}
