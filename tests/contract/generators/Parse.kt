package icr

import com.fasterxml.jackson.databind.DeserializationFeature

/** Reads the value of a record on each line of standard input, and writes it again. */
fun main() {
    // Records may have further fields: in Kotlin quicktype leaves it to the program to pass over them.
    mapper.configure(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES, false)
    val out = java.io.PrintStream(System.out, false, Charsets.UTF_8)
    System.`in`.bufferedReader().forEachLine { out.println(Event.fromJson(it).toJson()) }
    out.flush()
}
