//! Scene 1, for the doctor to find: a forked copy uses GLib and wakes the main loop of this program, which has nothing
//! to do, until both are killed.

use legwork::glib::{MainContext, MainLoop};
use legwork_tests::raw::ForkedCopy;
use legwork_tests::scene::tell;
use legwork_tests::with_glib::tell_the_loop;

fn main() {
    MainContext::default().iteration(false);
    let copy = ForkedCopy::new(|| {
        tell_the_loop(|| false);
        0
    });
    tell("copy", copy.pid());
    println!("ready");
    MainLoop::new(None, false).run();
}
