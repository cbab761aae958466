//! An app that dies, and whose `main` does not check whether it is a worker: its programs have no guardian.

fn main() {
    legwork_tests::death::app();
}
