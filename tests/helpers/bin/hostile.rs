//! A worker that lies: see `hostile` in the shared helpers.

fn main() {
    legwork_tests::hostile::main()
}
