//! An inhibitor of the real logind.

use std::process::Command;

use legwork_service_tests::services_or_skip;

#[test]
fn logind_lists_the_inhibitor_of_a_job_until_that_ends_or_the_app_is_killed() {
    if !services_or_skip("it starts a logind in a namespace, and needs root") {
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/logind.sh");
    let run = Command::new(script)
        .arg(legwork_tests::program("surfaces_app"))
        .output()
        .expect("bash");
    let said = String::from_utf8_lossy(&run.stdout);
    println!("{said}");
    assert!(run.status.success(), "{}", run.status);
    let rest = |start: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(start));
        line.unwrap_or_else(|| panic!("no {start:?}")).trim()
    };
    assert!(rest("at first:").ends_with(" 0"), "nothing is held before");
    let held = rest("while a job runs:");
    assert!(
        held.contains(r#""shutdown:sleep" "surfaces_app" "copying" "block""#),
        "{held}"
    );
    let flags = u32::from_str_radix(rest("its flags:"), 8).expect("octal");
    assert_ne!(flags & 0o2_000_000, 0, "not close-on-exec");
    // Neither the job nor the guardian.
    let others: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("also in:"))
        .collect();
    assert_eq!(others, ["also in: systemd-logind"]);
    let killed = rest("the app was killed: gone after").trim_end_matches(" ms");
    assert!(killed.parse::<u32>().expect("milliseconds") < 1000);
    assert!(said.ends_with("done\n"));
}
