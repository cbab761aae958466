//! What a screen reader calls a widget, where it changes while the app runs.
//!
//! The function is as old as GTK 4, but the bindings offer it from 4.10 on, when the interface could be
//! implemented outside GTK. Calling it needs no more than 4.0.

#![allow(unsafe_code)]

use std::ffi::c_int;

use gtk::{glib, prelude::*};

unsafe extern "C" {
    /// See `gtk/gtkaccessible.h`.
    fn gtk_accessible_update_property_value(
        accessible: *mut gtk::ffi::GtkWidget,
        n_properties: c_int,
        properties: *const gtk::ffi::GtkAccessibleProperty,
        values: *const glib::gobject_ffi::GValue,
    );
}

/// Names a widget for whoever cannot see it.
pub(crate) fn set_name(widget: &impl IsA<gtk::Widget>, name: &str) {
    let value = name.to_value();
    let property = gtk::ffi::GTK_ACCESSIBLE_PROPERTY_LABEL;
    // SAFETY: every widget implements GtkAccessible; one property and one string value are handed over,
    // and GTK copies both before it returns. Widgets exist only on the thread of GTK.
    unsafe {
        gtk_accessible_update_property_value(
            widget.as_ref().as_ptr(),
            1,
            &raw const property,
            std::ptr::from_ref(&value).cast(),
        );
    }
}
