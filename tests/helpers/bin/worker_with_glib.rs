//! The worker of the tests that uses GLib.

fn main() {
    legwork_tests::with_glib::WITH_GLIB.run_worker()
}
