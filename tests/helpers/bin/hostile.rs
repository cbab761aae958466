//! A worker that breaks the protocol: see `hostile` in the shared helpers.

fn main() {
    legwork_tests::hostile::main()
}
