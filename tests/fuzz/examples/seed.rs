//! Writes the corpus's seeds from `tests/fixtures/deliveries.json`, and a few by hand: `cargo run --example seed`. (What stands in the
//! corpus is less: of seeds that cover the same one was kept.)

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;
use std::path::Path;

const FIXTURES: &str = include_str!("../../fixtures/deliveries.json");

fn seed(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    std::fs::create_dir_all(&folder).expect("the corpus can be written");
    std::fs::write(folder.join(name), bytes).expect("the corpus can be written");
}

fn main() {
    let fixtures: Vec<Value> = serde_json::from_str(FIXTURES).expect("the fixtures are JSON");
    for fixture in &fixtures {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let (Some(name), Some(body)) = (text(&fixture["name"]), text(&fixture["body"])) else {
            continue;
        };
        if body.len() > 8192 {
            continue;
        }
        seed("envelope", &name, body.as_bytes());
        seed(
            "encoding",
            &name,
            &[&[0, 0, 0, 1], body.as_bytes()].concat(),
        );
        let signature = text(&fixture["headers"]["x-icr-signature-256"]).unwrap_or_default();
        let outer: Value = serde_json::from_str(&body).unwrap_or_default();
        let Some(signed_data) = text(&outer["signedData"]) else {
            continue;
        };
        seed("signed_data", &name, signed_data.as_bytes());
        let lines = format!(
            "{signature}\n{}\nsecret\r\n",
            text(&fixture["secret"]).unwrap_or_default()
        );
        seed("signature", &name, lines.as_bytes());
        let Ok(payload) = BASE64_STANDARD.decode(&signed_data) else {
            continue;
        };
        seed("normalize", &name, &payload);
        let amount =
            serde_json::from_slice(&payload).unwrap_or(Value::Null)["transaction"]["amount"]
                .to_string();
        seed("decimal", &name, amount.trim_matches('"').as_bytes());
    }
    for (index, number) in [
        "-0.0",
        "1e-7",
        "1.50e1",
        "0.0010e2",
        "1e400000000",
        "-1e98",
        "9007199254740993.000000000000000001",
    ]
    .into_iter()
    .enumerate()
    {
        seed("decimal", &format!("number-{index}"), number.as_bytes());
    }
    for kind in 0..8u8 {
        let edit = [
            kind, 3, 0, 0, 4, 0, 0, 0, 0x21, 0, 200, 0, 0, 7, 9, 0, 0x24, 0,
        ];
        seed(
            "journal",
            &format!("edit-{kind}"),
            &[&[2, 0, 0][..], &edit, &edit].concat(),
        );
    }
    for levels in [63, 64] {
        let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let payload = format!("{{\"event\":\"x\",\"a\":{deep}}}");
        seed("normalize", &format!("levels-{levels}"), payload.as_bytes());
    }
    let keys: Vec<String> = (0..20).map(|key| format!("\"k{key}\":{key}")).collect();
    let many = format!("{{\"event\":\"x\",{},\"\\u006b7\":0}}", keys.join(","));
    seed("normalize", "many-keys", many.as_bytes());
    seed("record", "tag", &[1, 1, 0, 0]);
    let mut record = vec![1, 0, 7, 1];
    record.extend([0; 56]);
    record.extend([13, 0, 0, 0, 16, 0, 0, 0, 19, 0, 0, 0]);
    record.extend(b"default\x0a\x01\x00user-agentx{\"signedData\":\"a\"}");
    seed("record", "delivery", &record);
}
