//! The lean worker of the scenes.

fn main() {
    legwork_tests::scene_jobs::SCENES.run_worker()
}
