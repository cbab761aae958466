//! The real xdg-desktop-portal, with a mock of a back end behind it.

use std::process::Command;

use legwork_service_tests::{services_or_skip, skipped};

#[test]
fn the_real_portal_inhibits_for_the_app_by_its_id() {
    if !services_or_skip("it needs xdg-desktop-portal, which runs for some seconds") {
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/portal.sh");
    let run = Command::new(script)
        .args(["surfaces_app", "surfaces_desktop"].map(legwork_tests::program))
        .output()
        .expect("bash");
    if run.status.code() == Some(3) {
        skipped("as xdg-desktop-portal is not installed");
        return;
    }
    let said = String::from_utf8_lossy(&run.stdout);
    println!("{said}\n{}", String::from_utf8_lossy(&run.stderr));
    assert!(said.contains("available inhibit Available"));
    let asked = said
        .lines()
        .find(|line| line.starts_with("backend Inhibit"));
    let asked = asked.expect("the portal asks its back end");
    assert!(asked.contains(", 5, {'reason': <'copying'>}"), "{asked}");
    if said.contains("host.portal.Registry") {
        assert!(asked.contains("'org.example.App'"), "{asked}");
    } else {
        eprintln!("This portal has no registry: it is older than 1.20.");
    }
    assert!(!said.contains("WRONG"));
    // Outside of a sandbox the portal refuses it.
    assert!(said.contains("available background Unavailable"));
    assert!(said.contains("ended well"));
}
