import com.fasterxml.jackson.annotation.JsonIgnoreProperties;

/** The record's value, as far as this program needs it. Each field that the contract names is of its one type, or null. */
@JsonIgnoreProperties(ignoreUnknown = true)
record Event(String event, Identified organization, Identified installation, Transaction transaction) {
    @JsonIgnoreProperties(ignoreUnknown = true)
    record Identified(String id) {}

    /** The amount is a decimal in plain notation: never a float. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    record Transaction(String id, String creditId, String type, String status, String amount) {}
}
