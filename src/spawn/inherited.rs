//! The app's own variables, as the C library has them.
//!
//! `std::env::vars_os` makes two strings of each, which for a desktop's fifty variables is a tenth
//! of the time that a start takes the calling thread. Here they are looked at where they lie.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char};

unsafe extern "C" {
    /// See environ(7).
    static environ: *const *const c_char;
}

/// Calls `look` with each variable, `NAME=value`.
///
/// Like every getenv(3) of a C library in the process, it trusts that no thread changes the
/// environment meanwhile, which is what [`std::env::set_var`] has its caller promise.
pub(super) fn each(mut look: impl FnMut(&CStr)) {
    // SAFETY: a plain read of a pointer that the C library has set before `main`.
    let mut next = unsafe { environ };
    // It is null after clearenv(3).
    while !next.is_null() {
        // SAFETY: an array that ends with a null pointer, and the end has not been seen yet.
        let variable = unsafe { *next };
        if variable.is_null() {
            return;
        }
        // SAFETY: each of them is a C string; the borrow ends with the call.
        look(unsafe { CStr::from_ptr(variable) });
        next = next.wrapping_add(1);
    }
}
