//! Reads a payload for postcard, keeps the position, and fails before the stack overflows.
//!
//! postcard decodes a recursive type (`struct Node(Option<Box<Node>>)`) as deep as the bytes say, one byte a level: a
//! megabyte from a hostile peer would overflow any stack, which cannot be reported as an error. Every level of recursion
//! reads a byte, so the depth of the stack is checked here.

use postcard::de_flavors::Flavor;
use postcard::{Error, Result};

/// How many bytes of stack the decoding of one value may use: half of what std gives to a thread.
const STACK: usize = 1 << 20;

/// The part of a payload that was not read yet.
pub(super) struct Source<'de> {
    rest: &'de [u8],
    base: usize,
    too_deep: bool,
}

/// How the reading ended.
pub(super) struct End {
    /// How many bytes were not read.
    pub(super) left: usize,
    /// Whether it ended because the value is nested too deeply.
    pub(super) too_deep: bool,
}

impl<'de> Source<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self {
            rest: bytes,
            base: stack_position(),
            too_deep: false,
        }
    }

    #[inline]
    fn check_depth(&mut self) -> Result<()> {
        if self.base.abs_diff(stack_position()) > STACK {
            self.too_deep = true;
            return Err(Error::DeserializeBadEncoding);
        }
        Ok(())
    }
}

impl<'de> Flavor<'de> for Source<'de> {
    type Remainder = End;
    type Source = &'de [u8];

    #[inline]
    fn pop(&mut self) -> Result<u8> {
        self.check_depth()?;
        let (&first, rest) = self
            .rest
            .split_first()
            .ok_or(Error::DeserializeUnexpectedEnd)?;
        self.rest = rest;
        Ok(first)
    }

    // A sequence that claims more elements than there are bytes gets no memory in advance.
    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }

    #[inline]
    fn try_take_n(&mut self, count: usize) -> Result<&'de [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(Error::DeserializeUnexpectedEnd)?;
        self.rest = rest;
        Ok(taken)
    }

    fn finalize(self) -> Result<End> {
        Ok(End {
            left: self.rest.len(),
            too_deep: self.too_deep,
        })
    }
}

/// The approximate end of this thread's stack.
#[inline(always)]
fn stack_position() -> usize {
    let here = 0u8;
    std::ptr::from_ref(std::hint::black_box(&here)).addr()
}
