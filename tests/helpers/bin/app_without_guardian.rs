//! An app that dies, and whose `main` does not look whether it is a worker: nobody watches over its programs.

fn main() {
    legwork_tests::death::app();
}
