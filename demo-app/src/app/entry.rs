//! One entry of a job's result: a file's sum, a picture, or the reason why there is none.

use std::{
    cell::{Cell, OnceCell},
    path::Path,
};

use gtk::{gdk, glib, prelude::*, subclass::prelude::*};
use legwork_demo::jobs::{FileSum, Picture};

mod imp {
    use super::*;

    #[derive(Default, glib::Properties)]
    #[properties(wrapper_type = super::Entry)]
    pub(crate) struct Entry {
        /// The path below the folder.
        #[property(get, construct_only)]
        name: OnceCell<String>,
        /// In bytes; 0 if there is no result.
        #[property(get, construct_only)]
        #[property(name = "size-text", type = Option<String>, get = Self::size_text)]
        size: Cell<u64>,
        /// The sum's 64 digits, or a picture's width and height.
        #[property(get, construct_only)]
        value: OnceCell<String>,
        /// Why there is no result; empty if there is one.
        #[property(get, construct_only)]
        #[property(name = "text", type = String, get = Self::text)]
        #[property(name = "text-classes", type = Vec<String>, get = Self::text_classes)]
        #[property(name = "tooltip", type = String, get = Self::tooltip)]
        #[property(name = "page", type = String, get = Self::page)]
        error: OnceCell<String>,
        #[property(get, construct_only)]
        texture: OnceCell<Option<gdk::Texture>>,
        /// Its line in a list of sums.
        pub(super) line: OnceCell<Vec<u8>>,
    }

    impl Entry {
        fn failed(&self) -> bool {
            !self.obj().error().is_empty()
        }

        fn size_text(&self) -> Option<String> {
            (!self.failed()).then(|| glib::format_size(self.size.get()).into())
        }

        fn text(&self) -> String {
            let entry = self.obj();
            if self.failed() {
                entry.error()
            } else {
                entry.value()
            }
        }

        fn text_classes(&self) -> Vec<String> {
            let class = if self.failed() {
                "warning"
            } else {
                "monospace"
            };
            vec!["caption".into(), class.into()]
        }

        fn tooltip(&self) -> String {
            let entry = self.obj();
            format!("{}\n{}", entry.name(), entry.error())
                .trim_end()
                .to_owned()
        }

        fn page(&self) -> String {
            if self.failed() {
                "error".into()
            } else {
                "picture".into()
            }
        }
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
    fn new(
        path: &Path,
        size: u64,
        value: Result<String, String>,
        texture: Option<gdk::MemoryTexture>,
    ) -> Self {
        let error = value.as_ref().err().cloned().unwrap_or_default();
        glib::Object::builder()
            .property("name", path.to_string_lossy().into_owned())
            .property("size", size)
            .property("value", value.unwrap_or_default())
            .property("error", error)
            .property("texture", texture)
            .build()
    }

    /// A file and its sum.
    pub(crate) fn sum(file: &FileSum) -> Self {
        let sum = file.sum.as_ref().map_err(ToString::to_string);
        let size = sum.as_ref().map_or(0, |sum| sum.size);
        let entry = Self::new(&file.path, size, sum.map(|sum| sum.hex()), None);
        if let Ok(sum) = &file.sum {
            let line = [&*sum.line(&file.path), b"\n"].concat();
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
        let thumbnail = picture.thumbnail.as_ref().map_err(ToString::to_string);
        let texture = thumbnail.as_ref().ok().map(|thumbnail| {
            gdk::MemoryTexture::new(
                thumbnail.width.cast_signed(),
                thumbnail.height.cast_signed(),
                gdk::MemoryFormat::R8g8b8a8,
                &thumbnail.pixels.to_bytes(),
                thumbnail.width as usize * 4,
            )
        });
        let size = thumbnail.map(|thumbnail| {
            let (width, height) = thumbnail.original;
            format!("{width} × {height}")
        });
        Self::new(&picture.path, 0, size, texture)
    }
}
