//! The worker of the tests that links GLib.

fn main() {
    legwork_tests::with_glib::WITH_GLIB.run_worker()
}
