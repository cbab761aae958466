//! The name of a widget for screen readers, where it is set while the app runs.
//!
//! The function exists since GTK 4.0; the bindings have it from 4.10 on, when the interface could be implemented outside
//! GTK.

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

/// Sets the name that a screen reader reads.
pub(crate) fn set_name(widget: &impl IsA<gtk::Widget>, name: &str) {
    let value = name.to_value();
    let property = gtk::ffi::GTK_ACCESSIBLE_PROPERTY_LABEL;
    // SAFETY: every widget implements GtkAccessible; one property and one string value are passed, and GTK copies both
    // before it returns. Widgets exist only on the thread of GTK.
    unsafe {
        gtk_accessible_update_property_value(
            widget.as_ref().as_ptr(),
            1,
            &raw const property,
            std::ptr::from_ref(&value).cast(),
        );
    }
}
