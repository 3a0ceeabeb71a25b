//! Where error codes stand in Kafka's answers (clients/src/main/resources/common/message/*Response.json of Kafka).

/// A field that holds a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Of a partition, in the answer to records.
    Produce,
    /// Of a topic, in metadata.
    Topic,
    /// Of a partition, in metadata.
    Partition,
    /// Of a producer id.
    ProducerId,
    /// Of a topic that is to be created.
    Creation,
    /// Of the answer to the question for versions.
    Versions,
}

impl Field {
    /// Whether answers to this request have it.
    pub fn is_of(self, api: i16) -> bool {
        let number = match self {
            Self::Produce => 0,
            Self::Topic | Self::Partition => 3,
            Self::Versions => 18,
            Self::Creation => 19,
            Self::ProducerId => 22,
        };
        number == api
    }
}

/// Where such fields stand in an answer (without its length) of that version.
pub fn places(field: Field, version: i16, answer: &[u8]) -> Vec<usize> {
    let mut walk = Walk {
        answer,
        at: 4,
        flexible: match field {
            Field::Produce | Field::Topic | Field::Partition => version >= 9,
            Field::Creation => version >= 5,
            Field::ProducerId => version >= 2,
            // Its head never has tags.
            Field::Versions => false,
        },
    };
    walk.tags();
    let mut places = Vec::new();
    match field {
        Field::Produce => walk.each(|walk| {
            walk.text();
            walk.each(|walk| {
                walk.skip(4);
                places.push(walk.at);
                walk.skip(2 + 8 + 8 + 8);
                if version >= 8 {
                    walk.each(|walk| {
                        walk.skip(4);
                        walk.text();
                        walk.tags();
                    });
                    walk.text();
                }
                walk.tags();
            });
            walk.tags();
        }),
        Field::Topic | Field::Partition => {
            walk.skip(4);
            walk.each(|walk| {
                walk.skip(4);
                walk.text();
                walk.skip(4);
                walk.text();
                walk.tags();
            });
            walk.text();
            walk.skip(4);
            walk.each(|walk| {
                if field == Field::Topic {
                    places.push(walk.at);
                }
                walk.skip(2);
                walk.text();
                walk.skip(if version >= 10 { 16 + 1 } else { 1 });
                walk.each(|walk| {
                    if field == Field::Partition {
                        places.push(walk.at);
                    }
                    walk.skip(2 + 4 + 4 + if version >= 7 { 4 } else { 0 });
                    walk.each(|walk| walk.skip(4));
                    walk.each(|walk| walk.skip(4));
                    if version >= 5 {
                        walk.each(|walk| walk.skip(4));
                    }
                    walk.tags();
                });
                walk.skip(if version >= 8 { 4 } else { 0 });
                walk.tags();
            });
        }
        Field::ProducerId => places.push(walk.at + 4),
        Field::Versions => places.push(walk.at),
        Field::Creation => {
            walk.skip(4);
            // The first topic: the bridge asks for one at a time.
            walk.length();
            walk.text();
            walk.skip(if version >= 7 { 16 } else { 0 });
            places.push(walk.at);
        }
    }
    assert!(walk.at <= answer.len(), "{field:?} of version {version}");
    places
}

struct Walk<'a> {
    answer: &'a [u8],
    at: usize,
    flexible: bool,
}

impl Walk<'_> {
    fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    fn varint(&mut self) -> usize {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = self.answer[self.at];
            self.at += 1;
            value |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }

    /// Of an array.
    fn length(&mut self) -> usize {
        if self.flexible {
            return self.varint().saturating_sub(1);
        }
        let bytes = self.answer[self.at..self.at + 4].try_into().unwrap();
        self.at += 4;
        usize::try_from(i32::from_be_bytes(bytes)).unwrap_or(0)
    }

    fn text(&mut self) {
        let length = if self.flexible {
            self.varint().saturating_sub(1)
        } else {
            let bytes = self.answer[self.at..self.at + 2].try_into().unwrap();
            self.at += 2;
            usize::try_from(i16::from_be_bytes(bytes)).unwrap_or(0)
        };
        self.at += length;
    }

    fn tags(&mut self) {
        if self.flexible {
            for _ in 0..self.varint() {
                self.varint();
                let length = self.varint();
                self.at += length;
            }
        }
    }

    fn each(&mut self, mut item: impl FnMut(&mut Self)) {
        for _ in 0..self.length() {
            item(self);
        }
    }
}
