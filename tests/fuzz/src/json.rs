//! A second, plain reader of JSON (RFC 8259), that shares no code with the bridge's: recursive, and it keeps every raw token.

use std::ops::Range;

/// A value and where its token stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value<'a> {
    pub token: &'a str,
    pub at: usize,
    pub kind: Kind<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind<'a> {
    Literal,
    Number,
    String,
    Array(Vec<Value<'a>>),
    Object(Vec<(Value<'a>, Value<'a>)>),
}

/// The one value of a text; `None` if it is no JSON.
pub fn parse(text: &str) -> Option<Value<'_>> {
    let mut reader = Reader { text, at: 0 };
    reader.space();
    let value = reader.value()?;
    reader.space();
    (reader.at == text.len()).then_some(value)
}

/// Whether a text is a JSON number, nothing around it.
pub fn is_number(text: &str) -> bool {
    let mut reader = Reader { text, at: 0 };
    reader.number().is_some() && reader.at == text.len()
}

impl<'a> Value<'a> {
    /// The members of an object; `None` for anything else.
    pub fn members(&self) -> Option<&[(Value<'a>, Value<'a>)]> {
        match &self.kind {
            Kind::Object(members) => Some(members),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        self.token == "null"
    }

    /// The text of a string, lone surrogates replaced.
    pub fn text(&self) -> Option<String> {
        let replaced = |point| char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER);
        (self.kind == Kind::String).then(|| self.points().into_iter().map(replaced).collect())
    }

    /// The value of a member by its decoded key.
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        let named = |(key, _): &&(Value<'a>, Value<'a>)| key.says(name);
        self.members()?.iter().find(named).map(|(_, value)| value)
    }

    /// Whether a string says this and nothing else.
    pub fn says(&self, text: &str) -> bool {
        self.points() == text.chars().map(u32::from).collect::<Vec<_>>()
    }

    /// The code points of a string; a lone surrogate is one of its own.
    pub fn points(&self) -> Vec<u32> {
        let mut units = Vec::new();
        let mut characters = self.token[1..self.token.len() - 1].chars();
        while let Some(character) = characters.next() {
            let mut buffer = [0; 2];
            if character != '\\' {
                units.extend_from_slice(character.encode_utf16(&mut buffer));
                continue;
            }
            units.push(match characters.next().unwrap() {
                'b' => 8,
                'f' => 12,
                'n' => 10,
                'r' => 13,
                't' => 9,
                'u' => {
                    let digits: String = characters.by_ref().take(4).collect();
                    u16::from_str_radix(&digits, 16).unwrap()
                }
                other => other as u16,
            });
        }
        char::decode_utf16(units)
            .map(|unit| match unit {
                Ok(character) => character.into(),
                Err(lone) => lone.unpaired_surrogate().into(),
            })
            .collect()
    }

    /// Levels of arrays and objects.
    pub fn depth(&self) -> usize {
        match &self.kind {
            Kind::Array(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Kind::Object(members) => {
                let depths = members.iter().map(|(_, value)| value.depth());
                1 + depths.max().unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Whether any object has a key twice.
    pub fn repeats_a_key(&self) -> bool {
        match &self.kind {
            Kind::Array(items) => items.iter().any(Self::repeats_a_key),
            Kind::Object(members) => {
                let keys: Vec<Vec<u32>> = members.iter().map(|(key, _)| key.points()).collect();
                let mut unique = keys.clone();
                unique.sort();
                unique.dedup();
                unique.len() < keys.len() || members.iter().any(|(_, value)| value.repeats_a_key())
            }
            _ => false,
        }
    }

    /// The token without the white space between its parts.
    pub fn compact(&self) -> String {
        let joined = |parts: Vec<String>| parts.join(",");
        match &self.kind {
            Kind::Array(items) => {
                format!("[{}]", joined(items.iter().map(Self::compact).collect()))
            }
            Kind::Object(members) => {
                let member =
                    |(key, value): &(Self, Self)| format!("{}:{}", key.token, value.compact());
                format!("{{{}}}", joined(members.iter().map(member).collect()))
            }
            _ => self.token.to_owned(),
        }
    }

    pub fn range(&self) -> Range<usize> {
        self.at..self.at + self.token.len()
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Option<Value<'a>> {
        let at = self.at;
        let kind = match self.peek()? {
            b'"' => {
                self.string()?;
                Kind::String
            }
            b'[' => Kind::Array(self.array()?),
            b'{' => Kind::Object(self.object()?),
            b'-' | b'0'..=b'9' => {
                self.number()?;
                Kind::Number
            }
            _ => {
                let rest = &self.text[at..];
                let literals = ["true", "false", "null"];
                let literal = literals
                    .iter()
                    .find(|literal| rest.starts_with(**literal))?;
                self.at += literal.len();
                Kind::Literal
            }
        };
        Some(Value {
            token: &self.text[at..self.at],
            at,
            kind,
        })
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Some(()),
                0..0x20 => return None,
                b'\\' => {
                    let letter = self.peek()?;
                    self.at += 1;
                    match letter {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            for _ in 0..4 {
                                self.peek().filter(u8::is_ascii_hexdigit)?;
                                self.at += 1;
                            }
                        }
                        _ => return None,
                    }
                }
                _ => {}
            }
        }
    }

    fn digits(&mut self) -> Option<()> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > from).then_some(())
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.take(b'-');
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn array(&mut self) -> Option<Vec<Value<'a>>> {
        self.take(b'[')?;
        let mut items = Vec::new();
        self.space();
        if self.take(b']').is_some() {
            return Some(items);
        }
        loop {
            self.space();
            items.push(self.value()?);
            self.space();
            if self.take(b']').is_some() {
                return Some(items);
            }
            self.take(b',')?;
        }
    }

    fn object(&mut self) -> Option<Vec<(Value<'a>, Value<'a>)>> {
        self.take(b'{')?;
        let mut members = Vec::new();
        self.space();
        if self.take(b'}').is_some() {
            return Some(members);
        }
        loop {
            self.space();
            let at = self.at;
            self.string()?;
            let key = Value {
                token: &self.text[at..self.at],
                at,
                kind: Kind::String,
            };
            self.space();
            self.take(b':')?;
            self.space();
            members.push((key, self.value()?));
            self.space();
            if self.take(b'}').is_some() {
                return Some(members);
            }
            self.take(b',')?;
        }
    }
}
