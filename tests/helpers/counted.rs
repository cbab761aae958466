//! Numbered blocks that reveal any byte that is missing, duplicated or moved.

/// The length of a block.
pub const BLOCK: usize = 4096;

/// Returns block number `at` of one of the two outputs of the writer `seed`. The block starts with these three numbers,
/// and every other byte depends on its position.
pub fn block(seed: u64, which: u64, at: u64) -> [u8; BLOCK] {
    let mut block = PLACES;
    block[..8].copy_from_slice(&(seed << 40 | which << 32 | at).to_le_bytes());
    block
}

const PLACES: [u8; BLOCK] = {
    let mut places = [0; BLOCK];
    let mut at = 0;
    while at < BLOCK {
        places[at] = (at ^ (at >> 4)) as u8;
        at += 1;
    }
    places
};

/// Reads blocks as they arrive, in pieces of any length.
#[derive(Debug)]
pub struct Counter {
    seed: u64,
    which: u64,
    bytes: usize,
}

impl Counter {
    /// Creates a reader for one output of one writer.
    pub fn new(seed: u64, which: u64) -> Self {
        Counter {
            seed,
            which,
            bytes: 0,
        }
    }

    /// Checks the next bytes; panics if they are not the expected ones.
    pub fn look(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (at, place) = (self.bytes / BLOCK, self.bytes % BLOCK);
            let length = bytes.len().min(BLOCK - place);
            let (piece, rest) = bytes.split_at(length);
            let wanted = block(self.seed, self.which, at as u64);
            assert!(
                piece == &wanted[place..place + length],
                "not the next: {self:?}"
            );
            self.bytes += length;
            bytes = rest;
        }
    }

    /// Returns how many blocks there were.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
