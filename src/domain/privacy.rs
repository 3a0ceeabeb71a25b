//! What of a delivery may be shown to somebody who did not ask for personal data.
//!
//! ICR names a person in `sender`, but any field that comes in the future may do so too. Hence, wherever it stands:
//! - the whole of a `sender` (also `_sender`, as a record may call it), and of every field whose name speaks of a person
//!   (`PERSONAL`), is masked;
//! - so is every text that has the form of an e-mail address, or repeats what a `sender` of the same delivery says, a number included:
//!   a record holds it as a text;
//! - `signedData` is withheld, since it holds all of this, encoded;
//! - a text that is not JSON is withheld altogether: nobody knows what is what in it.
//!
//! Organizations are no persons: an organization's `fullName` is its name.

use super::delivery::Delivery;
use super::json::{self, Token};
use super::printable::printable_json;
use std::borrow::Cow;

/// What stands for masked values.
pub const MASKED: &str = "(masked)";

/// Parts of field names that speak of a person, in lower case and without `_` and `-`.
const PERSONAL: [&str; 17] = [
    "email",
    "fullname",
    "firstname",
    "lastname",
    "middlename",
    "givenname",
    "familyname",
    "surname",
    "username",
    "displayname",
    "nickname",
    "profilepicture",
    "avatar",
    "phone",
    "birth",
    "passport",
    "socialsecurity",
];

/// Members of a sender whose values are looked for elsewhere.
const IDENTIFYING: [&str; 3] = ["id", "name", "url"];

/// Texts shorter than this are too common to be looked for.
const SHORTEST: usize = 4;

/// So many are looked for, more than a delivery has: each costs time for every text that is shown.
const MOST: usize = 256;

/// Deeper than this nobody reads a text by its indentation, which would only make it longer.
const MAX_INDENTED: usize = 64;

/// How a JSON text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Without white space.
    Compact,
    /// A member a line, each after so many spaces; compact where it is nested so deeply that nobody could read it.
    Pretty(usize),
}

/// Decides what is shown of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Whether everything is shown.
    open: bool,
    /// Texts that name the delivery's senders, in lower case.
    known: Vec<String>,
}

impl Mask {
    /// Shows everything: somebody asked for it.
    pub fn nothing() -> Self {
        Self {
            open: true,
            known: Vec::new(),
        }
    }

    /// Masks the personal data of a delivery.
    pub fn of(delivery: &Delivery<'_>) -> Self {
        let mut known = Vec::new();
        gather(text_of(delivery.body), &mut known);
        if let Ok(verified) = delivery.verified() {
            let payload = verified.envelope().payload().unwrap_or_default();
            gather(text_of(&payload), &mut known);
            remember(verified.envelope().signed_data(), &mut known);
        }
        known.sort();
        known.dedup();
        known.truncate(MOST);
        Self { open: false, known }
    }

    /// Masks what has the form of personal data, where no delivery is known.
    pub fn blind() -> Self {
        Self {
            open: false,
            known: Vec::new(),
        }
    }

    /// Whether everything is shown.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// A text as it is, or masked. It may hold control characters.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        Cow::Borrowed(if self.hides(text) { MASKED } else { text })
    }

    /// A JSON text, fit for a terminal; `None` for what is not JSON, which must be withheld.
    pub fn json(&self, text: &str, layout: Layout) -> Option<String> {
        json::is_json(text).then(|| self.rewrite(text, layout))
    }

    fn hides(&self, text: &str) -> bool {
        if self.open {
            return false;
        }
        if holds_address(text) {
            return true;
        }
        let text = text.to_lowercase();
        self.known.iter().any(|known| mentions(&text, known))
    }

    fn rewrite(&self, text: &str, layout: Layout) -> String {
        let mut out = Writer::new(text, layout);
        let mut tokens = json::tokens(text);
        // For each level, whether it is an organization.
        let mut levels = vec![false];
        let mut is_organization = false;
        while let Some(token) = tokens.next() {
            match token {
                Token::Open(bracket) => {
                    levels.push(is_organization);
                    out.open(bracket);
                }
                Token::Close(bracket) => {
                    levels.pop();
                    out.close(bracket);
                }
                Token::Comma => out.comma(),
                Token::Colon => out.colon(),
                Token::Literal(literal) if is_number(literal) => self.string(literal, &mut out),
                Token::Literal(literal) => out.atom(literal),
                Token::String(string) => self.string(string, &mut out),
                Token::Key(key) => {
                    let name = json::unescape(key);
                    is_organization = name == "organization";
                    self.string(key, &mut out);
                    let within = levels.last().copied().unwrap_or(false);
                    if !self.open
                        && let Some(shown) = hidden(&name, within)
                    {
                        out.colon();
                        let value = tokens.value();
                        out.atom(if value == "null" { value } else { shown });
                    }
                    continue;
                }
            }
            if token != Token::Colon {
                is_organization = false;
            }
        }
        out.text
    }

    fn string(&self, token: &str, out: &mut Writer) {
        if self.hides(&json::unescape(token)) {
            out.atom(MASKED_TOKEN);
        } else {
            out.atom(&printable_json(token));
        }
    }
}

const MASKED_TOKEN: &str = "\"(masked)\"";
const WITHHELD_TOKEN: &str = "\"(withheld: it encodes the payload)\"";

/// What is shown instead of the value of a field of this name, if not the value.
fn hidden(name: &str, within_organization: bool) -> Option<&'static str> {
    let plain = plain(name);
    if plain == "signeddata" || plain == "icrsigneddata" {
        return Some(WITHHELD_TOKEN);
    }
    let own_name = within_organization && plain == "fullname";
    let personal = plain == "sender" || PERSONAL.iter().any(|part| plain.contains(part));
    (personal && !own_name).then_some(MASKED_TOKEN)
}

/// A field's name as it is compared.
fn plain(name: &str) -> String {
    let mut plain = name.to_lowercase();
    plain.retain(|character| !matches!(character, '_' | '-' | ' '));
    plain
}

/// Whether something like `person@example.org` stands in a text, the sign perhaps as in an address of the web.
fn holds_address(text: &str) -> bool {
    let around = |before: &str, after: &str| {
        let fits = |character: char| character.is_alphanumeric() || "._+-\"'[".contains(character);
        before.chars().next_back().is_some_and(fits) && after.chars().next().is_some_and(fits)
    };
    ["@", "%40", "\u{ff20}"].iter().any(|sign| {
        text.match_indices(sign).any(|(at, sign)| {
            let (before, after) = text.split_at(at);
            around(before, after.get(sign.len()..).unwrap_or_default())
        })
    })
}

/// Whether a text says another one in words of their own.
fn mentions(text: &str, words: &str) -> bool {
    let ends = |neighbour: Option<char>| !neighbour.is_some_and(char::is_alphanumeric);
    text.match_indices(words).any(|(at, _)| {
        let (before, after) = text.split_at(at);
        let after = after.get(words.len()..).unwrap_or_default();
        ends(before.chars().next_back()) && ends(after.chars().next())
    })
}

/// Notes what the senders in a JSON text say of themselves.
fn gather(text: &str, known: &mut Vec<String>) {
    let mut tokens = json::tokens(text);
    while let Some(token) = tokens.next() {
        let Token::Key(key) = token else { continue };
        if plain(&json::unescape(key)) != "sender" {
            continue;
        }
        let value = tokens.value();
        for member in json::members(value) {
            let name = plain(&json::unescape(member.key));
            let identifies =
                IDENTIFYING.contains(&&*name) || PERSONAL.iter().any(|part| name.contains(part));
            if identifies {
                remember_text(member.value, known);
            }
        }
        remember_text(value, known);
    }
}

/// A string, or a number as it is spelled: `true` and `false` tell nobody from another.
fn remember_text(token: &str, known: &mut Vec<String>) {
    if json::is_string(token) || is_number(token) {
        remember(&json::text(token).unwrap_or_default(), known);
    }
}

fn is_number(token: &str) -> bool {
    token.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

fn remember(text: &str, known: &mut Vec<String>) {
    let text = text.trim().to_lowercase();
    if text.chars().count() >= SHORTEST {
        known.push(text);
    }
}

fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Writes tokens in a layout.
struct Writer {
    text: String,
    /// Spaces before each line; `None` where there is one line.
    margin: Option<usize>,
    depth: usize,
    /// Whether the next token begins a line.
    line: bool,
}

impl Writer {
    fn new(text: &str, layout: Layout) -> Self {
        let margin = match layout {
            Layout::Pretty(margin) if depth(text) <= MAX_INDENTED => Some(margin),
            _ => None,
        };
        Self {
            text: String::with_capacity(text.len() * 2),
            margin,
            depth: 0,
            line: false,
        }
    }

    fn open(&mut self, bracket: char) {
        self.begin();
        self.text.push(bracket);
        self.depth += 1;
        self.line = true;
    }

    fn close(&mut self, bracket: char) {
        self.depth = self.depth.saturating_sub(1);
        // Nothing was written since it was opened: `{}`.
        let empty = std::mem::take(&mut self.line);
        self.line = !empty;
        self.begin();
        self.text.push(bracket);
    }

    fn comma(&mut self) {
        self.text.push(',');
        self.line = true;
    }

    fn colon(&mut self) {
        self.text.push(':');
        if self.margin.is_some() {
            self.text.push(' ');
        }
    }

    fn atom(&mut self, token: &str) {
        self.begin();
        self.text.push_str(token);
    }

    fn begin(&mut self) {
        if std::mem::take(&mut self.line)
            && let Some(margin) = self.margin
        {
            let spaces = margin + 2 * self.depth;
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n(' ', spaces));
        }
    }
}

/// How many levels a text has.
fn depth(text: &str) -> usize {
    let (mut depth, mut most) = (0_usize, 0);
    for token in json::tokens(text) {
        match token {
            Token::Open(_) => depth += 1,
            Token::Close(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

#[cfg(test)]
mod tests;
