//! Packs templates, style and icons into one resource.

fn main() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/resources");
    glib_build_tools::compile_resources(
        &[folder],
        &format!("{folder}/legwork-demo.gresource.xml"),
        "legwork-demo.gresource",
    );
}
