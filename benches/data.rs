//! The bytes that are transferred, and the work that either end does on them.

/// The bytes of one call, and of its answer: 64. Two arrays, because serde stops at 32.
pub type Call = [[u8; 32]; 2];

/// The bytes of one message of a stream: 128.
pub type Note = [[u8; 32]; 4];

/// Writes every byte of `bytes` once, at the speed of memory: the producer's part of a transfer.
pub fn fill(bytes: &mut [u8], seed: u64) {
    let mut value = seed;
    for word in bytes.chunks_exact_mut(8) {
        word.copy_from_slice(&value.to_ne_bytes());
        value = value.wrapping_add(1);
    }
}

/// Reads every byte of `bytes` once: the consumer's part. The result depends on all of them.
pub fn sum(bytes: &[u8]) -> u64 {
    bytes.chunks_exact(8).fold(0, |sum, word| {
        sum.wrapping_add(u64::from_ne_bytes(
            word.try_into().expect("chunks of eight"),
        ))
    })
}

/// What [`sum`] returns for `len` bytes of [`fill`] with `seed`, without touching memory.
pub fn expected_sum(len: usize, seed: u64) -> u64 {
    let words = (len / 8) as u128;
    let total = words * u128::from(seed) + words * words.saturating_sub(1) / 2;
    total as u64
}
