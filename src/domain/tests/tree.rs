//! Arbitrary JSON as trees of raw tokens, so that a test can tell what must survive byte by byte.

use proptest::collection::vec;
use proptest::prelude::*;

/// A JSON value; scalars are raw tokens, keys are (decoded, raw token).
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    Scalar(String),
    Array(Vec<Tree>),
    Object(Vec<(String, String, Tree)>),
}

impl Tree {
    pub fn scalar(token: &str) -> Self {
        Self::Scalar(token.to_owned())
    }

    pub fn null() -> Self {
        Self::scalar("null")
    }

    /// An object with plainly spelled keys.
    pub fn object(members: impl IntoIterator<Item = (&'static str, Tree)>) -> Self {
        Self::Object(
            members
                .into_iter()
                .map(|(key, value)| (key.to_owned(), format!("\"{key}\""), value))
                .collect(),
        )
    }

    pub fn is_null(&self) -> bool {
        *self == Self::null()
    }

    pub fn members(&self) -> Option<&[(String, String, Tree)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    pub fn get(&self, name: &str) -> Option<&Tree> {
        self.members()?
            .iter()
            .find(|(key, _, _)| key == name)
            .map(|(_, _, value)| value)
    }

    /// Adds a member under this key, and takes away the one that was there.
    pub fn set(&mut self, at: usize, name: &str, value: Tree) {
        if let Self::Object(members) = self {
            members.retain(|(key, _, _)| key != name);
            members.insert(
                at % (members.len() + 1),
                (name.to_owned(), format!("\"{name}\""), value),
            );
        }
    }

    /// The text with `space()` between all tokens.
    pub fn text(&self, space: &mut dyn FnMut() -> &'static str) -> String {
        let mut out = String::new();
        self.write(space, &mut out);
        out
    }

    pub fn compact(&self) -> String {
        self.text(&mut || "")
    }

    fn write(&self, space: &mut dyn FnMut() -> &'static str, out: &mut String) {
        out.push_str(space());
        match self {
            Self::Scalar(token) => out.push_str(token),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(space, out);
                }
                out.push_str(space());
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (_, key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    out.push_str(space());
                    out.push_str(key);
                    out.push_str(space());
                    out.push(':');
                    value.write(space, out);
                }
                out.push_str(space());
                out.push('}');
            }
        }
        out.push_str(space());
    }
}

/// Keys that mean something somewhere, to be met at every level.
const NAMES: [&str; 34] = [
    "event",
    "state",
    "organization",
    "installation",
    "transaction",
    "sender",
    "_organization",
    "_sender",
    "__sender",
    "_installation",
    "_state",
    "_id",
    "__id",
    "_name",
    "_createdAt",
    "__createdAt",
    "_permissions",
    "_status",
    "id",
    "name",
    "fullName",
    "url",
    "appId",
    "appNameId",
    "createdAt",
    "updatedAt",
    "permissions",
    "accessTokensUrl",
    "status",
    "type",
    "amount",
    "creditId",
    "email",
    "profilePicture",
];

/// A few characters of any kind.
fn texts() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..6).prop_map(String::from_iter)
}

/// Texts that are times, and no others are.
pub const TIMES: [&str; 4] = [
    "2024-09-02T08:15:00.120Z",
    "2024-02-29T23:59:59-05:30",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999+14:00",
];

/// Texts that look like times and are none.
const NO_TIMES: [&str; 8] = [
    "2024-09-02T08:15:00.120",
    "2024-09-02t08:15:00z",
    "2024-13-02T08:15:00Z",
    "2023-02-29T08:15:00Z",
    "2016-12-31T23:59:60Z",
    "2024-09-02T08:15:00.1234567890Z",
    "2024-09-02T08:15:00+14:30",
    "9999-12-31T23:59:59-00:01",
];

/// A scalar's raw token: odd numbers, escapes, lone surrogates included.
pub fn scalars() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(vec![
            "null", "true", "false", "0", "-0", "-0.0", "1.50", "1E+3", "1e400000000", "1e-1000000", "12345678901234567890123",
            r#""""#, r#""\u0000""#, r#""\ud800""#, r#""\udc00\ud800""#, r#""\ud83d\ude00""#, r#""a\"b\\c\/d""#, r#"" : , ] } ""#, "\"é😀\u{2028}\"",
        ]).prop_map(str::to_owned),
        1 => prop::sample::select([&TIMES[..], &NO_TIMES[..]].concat()).prop_map(|text| format!("\"{text}\"")),
        1 => "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,9})?",
        2 => texts().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ]
}

/// A key and one of its spellings.
fn keys() -> impl Strategy<Value = (String, String)> {
    let plain = prop_oneof![
        3 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned),
        1 => texts(),
        1 => "[a-c]{0,2}",
    ];
    (plain, prop::bool::weighted(0.2)).prop_map(|(key, escaped)| {
        let token = if escaped {
            let units: String = key
                .encode_utf16()
                .map(|unit| format!("\\u{unit:04x}"))
                .collect();
            format!("\"{units}\"")
        } else {
            serde_json::to_string(&key).unwrap()
        };
        (key, token)
    })
}

/// An object of such members, no key twice.
fn object(members: Vec<((String, String), Tree)>) -> Tree {
    let mut unique: Vec<(String, String, Tree)> = Vec::new();
    for ((key, token), value) in members {
        if unique.iter().all(|(known, _, _)| *known != key) {
            unique.push((key, token, value));
        }
    }
    Tree::Object(unique)
}

pub fn trees() -> impl Strategy<Value = Tree> {
    scalars()
        .prop_map(Tree::Scalar)
        .prop_recursive(4, 12, 5, |inner| {
            prop_oneof![
                1 => vec(inner.clone(), 0..5).prop_map(Tree::Array),
                2 => vec((keys(), inner), 0..8).prop_map(object),
            ]
        })
}

/// Objects with many of the names that mean something.
pub fn objects() -> impl Strategy<Value = Tree> {
    vec((keys(), trees()), 0..9).prop_map(object)
}
