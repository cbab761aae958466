//! Dialogs that ask for a folder or a file, by the desktop's portal where there is one.

use std::path::PathBuf;

use gtk::{gio, prelude::*};

/// Asks for a folder; `None` if the dialog was cancelled.
pub(super) async fn folder(parent: &impl IsA<gtk::Window>, title: &str) -> Option<PathBuf> {
    let chooser = chooser(title, gtk::FileChooserAction::SelectFolder, "_Select");
    run(&chooser, parent).await?.path()
}

/// Asks for a video or audio file; `None` if the dialog was cancelled.
pub(super) async fn media(parent: &impl IsA<gtk::Window>) -> Option<PathBuf> {
    let title = "Choose a Video or Audio File";
    let chooser = chooser(title, gtk::FileChooserAction::Open, "_Select");
    let media = gtk::FileFilter::new();
    media.set_name(Some("Video and Audio"));
    media.add_mime_type("video/*");
    media.add_mime_type("audio/*");
    let all = gtk::FileFilter::new();
    all.set_name(Some("All Files"));
    all.add_pattern("*");
    chooser.add_filter(&media);
    chooser.add_filter(&all);
    run(&chooser, parent).await?.path()
}

/// Asks where to save a file, and suggests `name`; `None` if the dialog was cancelled.
pub(super) async fn save(
    parent: &impl IsA<gtk::Window>,
    title: &str,
    name: &str,
) -> Option<gio::File> {
    let chooser = chooser(title, gtk::FileChooserAction::Save, "_Save");
    chooser.set_current_name(name);
    run(&chooser, parent).await
}

fn chooser(title: &str, action: gtk::FileChooserAction, accept: &str) -> gtk::FileChooserNative {
    let parent = None::<&gtk::Window>;
    gtk::FileChooserNative::new(Some(title), parent, action, Some(accept), Some("_Cancel"))
}

async fn run(
    chooser: &gtk::FileChooserNative,
    parent: &impl IsA<gtk::Window>,
) -> Option<gio::File> {
    chooser.set_transient_for(Some(parent));
    chooser.set_modal(true);
    let accepted = chooser.run_future().await == gtk::ResponseType::Accept;
    chooser.file().filter(|_| accepted)
}
