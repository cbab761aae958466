//! An app of the scenes that is its own worker, and links GLib.

fn main() {
    legwork_tests::scene_jobs::SCENES.run_if_worker();
    let context = legwork::glib::MainContext::default();
    println!("This is the app, and it has no window: {context:?}");
}
