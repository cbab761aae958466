//! Numbered blocks, of which no byte can be missing, doubled or moved unseen.

/// How long a block is.
pub const BLOCK: usize = 4096;

/// Block number `at` of one of the two outputs of the writer `seed`: that, and then every byte tells its place.
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

/// Reads them as they come, in pieces of any length.
#[derive(Debug)]
pub struct Counter {
    seed: u64,
    which: u64,
    bytes: usize,
}

impl Counter {
    /// For one output of one writer.
    pub fn new(seed: u64, which: u64) -> Self {
        Counter {
            seed,
            which,
            bytes: 0,
        }
    }

    /// Looks at what follows; panics at what is not the next.
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

    /// How many there were.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
