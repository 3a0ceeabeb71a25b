//! `deploy/contract/REFERENCE.md`: the AsyncAPI document as a page to read.

use super::documents::assert_current;
use super::generator::asyncapi;
use super::generator::open::{KNOWN_PROPERTIES, KNOWN_VALUES};
use serde_json::Value;
use std::fmt::Write;

/// The text, with a backslash before what would end a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// A schema without references. In this dialect one stands alone, or alone in an `allOf`.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').unwrap();
        return resolve(document, document.pointer(pointer).unwrap());
    }
    match schema["allOf"].as_array().map(Vec::as_slice) {
        Some([one]) if schema.get("type").is_none() => resolve(document, one),
        _ => schema,
    }
}

/// A line of a table.
struct Row {
    field: String,
    kind: String,
    meaning: String,
}

struct Reference<'a> {
    document: &'a Value,
    text: String,
}

/// What a schema says of a value's type.
#[derive(Default)]
struct Kind {
    /// `string`, `null` …
    types: Vec<String>,
    /// Documented values, each with what it means.
    values: Vec<(String, String)>,
    /// The object behind it, if it is one.
    object: Option<Value>,
    constant: Option<String>,
}

impl Reference<'_> {
    fn kind(&self, schema: &Value) -> Kind {
        let schema = resolve(self.document, schema);
        let mut kind = Kind::default();
        match &schema["type"] {
            Value::String(one) => kind.types.push(one.clone()),
            Value::Array(several) => {
                let several = several.iter().filter_map(Value::as_str);
                kind.types.extend(several.map(str::to_owned));
            }
            _ => {}
        }
        if schema.get("properties").is_some() || schema.get(KNOWN_PROPERTIES).is_some() {
            kind.object = Some(schema.clone());
        }
        kind.constant = schema.get("const").map(ToString::to_string);
        for (value, meaning) in schema[KNOWN_VALUES].as_object().into_iter().flatten() {
            let meaning = meaning.as_str().unwrap_or_default();
            kind.values
                .push((Value::from(value.as_str()).to_string(), meaning.to_owned()));
        }
        for one in schema["anyOf"].as_array().into_iter().flatten() {
            let part = self.kind(one);
            kind.types.extend(part.types);
            kind.object = kind.object.or(part.object);
        }
        kind
    }

    fn rows(&self, prefix: &str, schema: &Value, rows: &mut Vec<Row>) {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let mut shown = Vec::new();
        // The entries of a map are described together.
        let entry = |(name, meaning): (&String, &Value)| {
            let mut entry = schema["additionalProperties"].clone();
            entry["description"] = meaning.clone();
            (name.clone(), entry)
        };
        let known = schema[KNOWN_PROPERTIES].as_object().into_iter().flatten();
        let named = schema["properties"].as_object().into_iter().flatten();
        let named = named.map(|(name, property)| (name.clone(), property.clone()));
        for (name, property) in &named.chain(known.map(entry)).collect::<Vec<_>>() {
            let kind = self.kind(property);
            let mut text = match &kind.constant {
                Some(constant) => format!("`{constant}`"),
                None => kind.types.join(" or "),
            };
            if !kind.values.is_empty() {
                text += " †";
            }
            if !required.contains(&Value::from(name.as_str())) {
                text += ", if present";
            }
            let mut meaning = cell(property["description"].as_str().unwrap_or_default());
            if !kind.values.is_empty() && kind.values == shown {
                meaning += "<br>Values as above.";
            } else {
                for (value, about) in &kind.values {
                    write!(meaning, "<br>`{value}`: {}", cell(about)).unwrap();
                }
            }
            let examples = property["examples"].as_array().into_iter().flatten();
            let known = |text: &String| kind.values.iter().any(|(value, _)| value == text);
            let examples: Vec<String> = examples
                .map(Value::to_string)
                .filter(|text| !known(text))
                .map(|example| format!("`{example}`"))
                .collect();
            if !examples.is_empty() {
                write!(meaning, "<br>For example {}", examples.join(", ")).unwrap();
            }
            shown = kind.values;
            let field = format!("{prefix}{name}");
            rows.push(Row {
                field: field.clone(),
                kind: text,
                meaning,
            });
            // The event has a table of its own.
            if let Some(object) = kind.object.filter(|_| field != "data") {
                self.rows(&format!("{field}."), &object, rows);
            }
        }
    }

    fn table(&mut self, schema: &Value) {
        let schema = resolve(self.document, schema);
        writeln!(self.text, "{}\n", schema["description"].as_str().unwrap()).unwrap();
        let mut rows = Vec::new();
        self.rows("", schema, &mut rows);
        self.text += "| field | type | meaning |\n|---|---|---|\n";
        for row in rows {
            writeln!(
                self.text,
                "| `{}` | {} | {} |",
                row.field, row.kind, row.meaning
            )
            .unwrap();
        }
        self.text += "\n";
    }

    fn channel(&mut self, channel: &Value) {
        let kafka = &channel["bindings"]["kafka"];
        let text = |value: &Value| match value {
            Value::Null => "none".to_owned(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let configuration = kafka["topicConfiguration"].as_object().unwrap();
        let configuration: Vec<String> = configuration
            .iter()
            .map(|(name, value)| match value.as_array() {
                Some(values) => {
                    let values: Vec<_> = values.iter().filter_map(Value::as_str).collect();
                    format!("`{name}={}`", values.join(","))
                }
                None => format!("`{name}={value}`"),
            })
            .collect();
        write!(
            self.text,
            "### `{}`\n\n{} {}\n\n| | |\n|---|---|\n",
            channel["address"].as_str().unwrap(),
            channel["summary"].as_str().unwrap(),
            channel["description"].as_str().unwrap(),
        )
        .unwrap();
        for (what, value) in [
            ("key", text(&kafka["x-key"])),
            ("partitioner", text(&kafka["x-partitioner"])),
            (
                "delivery",
                text(&kafka["x-delivery-guarantee"]).replace('`', ""),
            ),
            ("order", text(&kafka["x-order"]).replace('`', "")),
            (
                "partitions of a topic that the bridge makes",
                kafka["partitions"].to_string(),
            ),
            ("replicas in production", kafka["replicas"].to_string()),
            (
                "topic configuration in production",
                configuration.join(", "),
            ),
        ] {
            writeln!(self.text, "| {what} | {value} |").unwrap();
        }
        self.text += "\n";
    }

    fn message(&mut self, message: &Value) {
        let text = |name: &str| message[name].as_str().unwrap();
        write!(
            self.text,
            "## {}\n\n{}\n\n### Headers\n\n",
            text("title"),
            text("summary")
        )
        .unwrap();
        self.table(&message["headers"]);
        self.text += "### Value\n\n";
        self.table(&message["payload"]);
        let payload = resolve(self.document, &message["payload"]);
        for guarantee in payload["allOf"].as_array().into_iter().flatten() {
            writeln!(
                self.text,
                "- {}",
                guarantee["description"].as_str().unwrap()
            )
            .unwrap();
        }
        self.text += "\n### Examples\n\nThey are [golden records](golden/); here without topic, key and timestamp.\n\n";
        for example in message["examples"].as_array().unwrap() {
            let name = example["name"].as_str().unwrap();
            let summary = example["summary"].as_str().unwrap();
            let shown =
                serde_json::json!({"headers": example["headers"], "value": example["payload"]});
            let json = serde_json::to_string_pretty(&shown).unwrap();
            write!(
                self.text,
                "<details><summary>{summary} (<code>{name}</code>)</summary>\n\n```json\n{json}\n```\n\n</details>\n\n"
            )
            .unwrap();
        }
    }
}

/// The page.
fn page(document: &Value) -> String {
    let mut reference = Reference {
        document,
        text: String::new(),
    };
    let info = &document["info"];
    write!(
        reference.text,
        "<!-- Made from asyncapi.yaml; UPDATE_CONTRACT=1 cargo test contract writes it anew. -->\n\n# {}\n\nVersion {} of the contract. {}\n## Topics\n\n",
        info["title"].as_str().unwrap(),
        info["version"].as_str().unwrap(),
        info["description"].as_str().unwrap(),
    )
    .unwrap();
    for channel in document["channels"].as_object().unwrap().values() {
        reference.channel(channel);
    }
    reference.text += "## How to read the tables\n\n\
        A field that is not marked \"if present\" is always there, and every field is of its type. `†` marks an open set: the values that are \
        known today are listed, and others are to be expected. Any object may have further fields, of any type; those of \
        `permissions` are strings.\n\n";
    for message in document["components"]["messages"]
        .as_object()
        .unwrap()
        .values()
    {
        reference.message(message);
    }
    let text = reference.text.trim_end().to_owned();
    text + "\n"
}

#[test]
fn the_reference_is_made_from_the_asyncapi_document() {
    assert_current("REFERENCE.md", &page(&asyncapi::document()));
}

#[test]
fn the_reference_names_every_field_header_and_documented_value() {
    let page = page(&asyncapi::document());
    for word in [
        "| `transaction.amount` | string or null |",
        "| `transaction.status` | string or null † |",
        "| `transaction.createdAt` | string or null |",
        "| `installation.permissions` | object or null |",
        "| `installation.permissions.organization_info` | string †, if present |",
        "| `event` | string † |",
        "| `ce_dataschema` | `\"urn:icr-bridge:event:1\"` |",
        "| `ce_subject` | string, if present |",
        "| `data` | object | The event: ",
        "<br>`\"pending_queue\"`: Waits to be processed: not final.",
        "<br>`\"too_deep\"`: ",
        "| key | `{event}:{organization}` |",
        "| key | none |",
        "murmur2_random",
        "at-least-once",
    ] {
        assert!(page.contains(word), "{word}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    for row in rows {
        let cells = row.replace("\\|", "").matches('|').count();
        assert_eq!(cells, 4, "{row}");
    }
}
