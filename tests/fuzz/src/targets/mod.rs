//! One module a fuzz target.

pub mod decimal;
pub mod encoding;
pub mod envelope;
pub mod journal;
pub mod normalize;
pub mod record;
pub mod signature;
pub mod signed_data;

/// An endless supply of numbers from a target's input; zeros when it is used up.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((byte, rest)) => {
                self.0 = rest;
                *byte
            }
            None => 0,
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        let number = u32::from_le_bytes([self.byte(), self.byte(), self.byte(), 0]);
        number as usize % limit.max(1)
    }
}
