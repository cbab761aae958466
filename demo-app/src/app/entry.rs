//! One entry of a job's result: a file's sum, a picture, or the reason why there is none.

use gtk::{gdk, glib, prelude::*, subclass::prelude::*};
use legwork_demo::jobs::{FileSum, Picture};

mod imp {
    use std::cell::{Cell, OnceCell};

    use super::*;

    #[derive(Default, glib::Properties)]
    #[properties(wrapper_type = super::Entry)]
    pub(crate) struct Entry {
        /// The path below the folder.
        #[property(get, construct_only)]
        name: OnceCell<String>,
        /// In bytes; 0 if there is no result.
        #[property(get, construct_only)]
        size: Cell<u64>,
        /// The sum's 64 digits, or a picture's width and height.
        #[property(get, construct_only)]
        value: OnceCell<String>,
        /// Why there is no result; empty if there is one.
        #[property(get, construct_only)]
        error: OnceCell<String>,
        #[property(get, construct_only)]
        texture: OnceCell<Option<gdk::Texture>>,
        /// Its line in a list of sums.
        pub(super) line: OnceCell<Vec<u8>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Entry {
        const NAME: &'static str = "LegworkDemoEntry";
        type Type = super::Entry;
    }

    #[glib::derived_properties]
    impl ObjectImpl for Entry {}
}

glib::wrapper! {
    /// An entry of a job's result, for lists.
    pub(crate) struct Entry(ObjectSubclass<imp::Entry>);
}

impl Entry {
    /// A file and its sum.
    pub(crate) fn sum(file: &FileSum) -> Self {
        let (size, value, error) = match &file.sum {
            Ok(sum) => (sum.size, sum.hex(), String::new()),
            Err(error) => (0, String::new(), error.to_string()),
        };
        let entry: Self = glib::Object::builder()
            .property("name", file.path.to_string_lossy().into_owned())
            .property("size", size)
            .property("value", value)
            .property("error", error)
            .build();
        if let Ok(sum) = &file.sum {
            let mut line = sum.line(&file.path);
            line.push(b'\n');
            entry.imp().line.set(line).expect("a new entry");
        }
        entry
    }

    /// Its line in a list of sums; `None` if it has no sum.
    pub(crate) fn line(&self) -> Option<Vec<u8>> {
        self.imp().line.get().cloned()
    }

    /// A picture. The texture uses the memory that the worker filled; nothing is copied.
    pub(crate) fn picture(picture: &Picture) -> Self {
        let builder =
            glib::Object::builder().property("name", picture.path.to_string_lossy().into_owned());
        match &picture.thumbnail {
            Ok(small) => {
                let texture = gdk::MemoryTexture::new(
                    small.width.cast_signed(),
                    small.height.cast_signed(),
                    gdk::MemoryFormat::R8g8b8a8,
                    &small.pixels.to_bytes(),
                    small.width as usize * 4,
                );
                let (width, height) = small.original;
                builder
                    .property("value", format!("{width} × {height}"))
                    .property("error", "")
                    .property("texture", texture)
            }
            Err(error) => builder
                .property("value", "")
                .property("error", error.to_string()),
        }
        .build()
    }
}
