//! Compressed bodies of a given size that put out nothing, or next to nothing, and keep a decoder as busy as they can.

/// A body for one content encoding.
pub struct Hollow {
    pub name: &'static str,
    pub encoding: &'static str,
    pub body: Vec<u8>,
}

/// All of them, each of `size` bytes.
pub fn all(size: usize) -> Vec<Hollow> {
    let deflate = |name, body| Hollow {
        name,
        encoding: "deflate",
        body,
    };
    let gzip = |name, body| Hollow {
        name,
        encoding: "gzip",
        body,
    };
    let fixed = repeat(size, |bits| bits.put(0b010, 10));
    let member = [
        &GZIP[..],
        &[3, 0],
        // The checksum and the length of nothing.
        &[0; 8],
    ]
    .concat();
    vec![
        deflate("empty fixed blocks", fixed.clone()),
        deflate(
            "empty fixed blocks in zlib",
            framed(&[0x78, 0x9c], &fixed, size),
        ),
        gzip("empty fixed blocks in gzip", framed(&GZIP, &fixed, size)),
        deflate("empty stored blocks", repeat(size, |bits| bits.stored(b""))),
        deflate(
            "stored blocks of a byte",
            repeat(size, |bits| bits.stored(b" ")),
        ),
        deflate(
            "fixed blocks of a byte",
            repeat(size, |bits| {
                bits.put(0b010, 3);
                // A space, most significant bit first.
                bits.put(0x50_u64.reverse_bits() >> 56, 8);
                bits.put(0, 7);
            }),
        ),
        deflate(
            "small dynamic tables",
            repeat(size, |bits| bits.dynamic(&small_table())),
        ),
        deflate(
            "large dynamic tables",
            repeat(size, |bits| bits.dynamic(&large_table())),
        ),
        gzip(
            "large dynamic tables in gzip",
            framed(
                &GZIP,
                &repeat(size, |bits| bits.dynamic(&large_table())),
                size,
            ),
        ),
        gzip("empty gzip members", repeated(&member, size)),
        gzip(
            "a gzip name without end",
            framed(&GZIP_NAME, &vec![b'a'; size], size),
        ),
        gzip("gzip extra fields", {
            let mut extra = GZIP_EXTRA.to_vec();
            extra.resize(GZIP_EXTRA.len() + 0xffff, b'x');
            extra.extend_from_slice(&member[GZIP.len()..]);
            repeated(&extra, size)
        }),
    ]
}

const GZIP: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
const GZIP_NAME: [u8; 10] = [0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 255];
/// With the length of the field, the largest that there is.
const GZIP_EXTRA: [u8; 12] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 255, 255];

fn framed(frame: &[u8], stream: &[u8], size: usize) -> Vec<u8> {
    let mut body = [frame, stream].concat();
    body.truncate(size);
    body
}

fn repeated(part: &[u8], size: usize) -> Vec<u8> {
    part.repeat(size / part.len())
}

/// Blocks until there are so many bytes; none of them is the last one.
fn repeat(size: usize, block: impl Fn(&mut Bits)) -> Vec<u8> {
    let mut bits = Bits::default();
    while bits.bytes.len() < size {
        block(&mut bits);
    }
    bits.bytes.truncate(size);
    bits.bytes
}

/// Lengths of codes: of the end of the block alone.
fn small_table() -> Vec<u8> {
    let mut lengths = vec![0; 257];
    lengths[256] = 1;
    lengths
}

/// A code for each byte, so that the decoder's tables are as large as they get.
fn large_table() -> Vec<u8> {
    let mut lengths = vec![8; 257];
    lengths[255] = 9;
    lengths[256] = 9;
    lengths
}

/// Bits, the least significant first, as deflate (RFC 1951) has them.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    waiting: u64,
    count: u32,
}

/// In this order a block gives the lengths of the codes that its table is written in.
const ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

impl Bits {
    fn put(&mut self, bits: u64, count: u32) {
        self.waiting |= bits << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.waiting as u8);
            self.waiting >>= 8;
            self.count -= 8;
        }
    }

    fn stored(&mut self, content: &[u8]) {
        self.put(0, 3);
        if self.count > 0 {
            self.put(0, 8 - self.count);
        }
        self.put(content.len() as u64, 16);
        self.put(!content.len() as u64 & 0xffff, 16);
        content.iter().for_each(|byte| self.put((*byte).into(), 8));
    }

    /// An empty block with this table of literals, and one of distances without any.
    fn dynamic(&mut self, literals: &[u8]) {
        let all = [literals, &[0]].concat();
        let symbols = run_lengths(&all);
        let lengths = code_lengths(&symbols);
        let words = codes(&lengths);
        let given = ORDER.iter().rposition(|symbol| lengths[*symbol] > 0);
        let given = (given.unwrap() + 1).max(4);
        self.put(0b100, 3);
        self.put((literals.len() - 257) as u64, 5);
        self.put(0, 5);
        self.put((given - 4) as u64, 4);
        for symbol in &ORDER[..given] {
            self.put(lengths[*symbol].into(), 3);
        }
        for (symbol, extra, count) in symbols {
            self.put(words[symbol], lengths[symbol].into());
            self.put(extra, count);
        }
        self.put(codes(literals)[256], literals[256].into());
    }
}

/// The canonical codes of these lengths, ready to be put.
fn codes(lengths: &[u8]) -> Vec<u64> {
    let mut next = [0_u64; 17];
    for length in 1..=15 {
        let shorter = lengths.iter().filter(|it| usize::from(**it) == length);
        next[length + 1] = (next[length] + shorter.count() as u64) << 1;
    }
    let mut code = |length: &u8| {
        let length = usize::from(*length);
        if length == 0 {
            return 0;
        }
        let code = next[length];
        next[length] += 1;
        code.reverse_bits() >> (64 - length)
    };
    lengths.iter().map(&mut code).collect()
}

/// Lengths as symbols, each with extra bits and their number.
fn run_lengths(lengths: &[u8]) -> Vec<(usize, u64, u32)> {
    let mut symbols = Vec::new();
    for run in lengths.chunk_by(|one, other| one == other) {
        let mut left = run.len();
        let value = usize::from(run[0]);
        if value > 0 {
            symbols.push((value, 0, 0));
            left -= 1;
        }
        while left > 0 {
            let (symbol, taken, first, count) = match left {
                11.. if value == 0 => (18, left.min(138), 11, 7),
                3.. if value == 0 => (17, left, 3, 3),
                3.. => (16, left.min(6), 3, 2),
                _ => (value, 1, 1, 0),
            };
            symbols.push((symbol, (taken - first) as u64, count));
            left -= taken;
        }
    }
    symbols
}

/// A complete code for the symbols that occur: 1, 2, 3 … bits, the most frequent first.
fn code_lengths(symbols: &[(usize, u64, u32)]) -> Vec<u8> {
    let mut counts = [0; 19];
    symbols.iter().for_each(|(symbol, ..)| counts[*symbol] += 1);
    let mut used: Vec<usize> = (0..19).filter(|symbol| counts[*symbol] > 0).collect();
    used.sort_by_key(|symbol| std::cmp::Reverse(counts[*symbol]));
    assert!((2..=8).contains(&used.len()));
    let mut lengths = vec![0; 19];
    for (place, symbol) in used.iter().enumerate() {
        lengths[*symbol] = (place + 1).min(used.len() - 1) as u8;
    }
    lengths
}
