//! The window, tested by real clicks on a display of its own, and by what a screen reader reads there.

#[path = "window/desktop.rs"]
mod desktop;
mod media;
#[path = "window/programs.rs"]
mod programs;

use std::{fs, path::Path};

use desktop::Desktop;

/// A folder with this name.
fn folder(name: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join(name);
    fs::create_dir(&folder).unwrap();
    (parent, folder)
}

/// A folder that takes longer to read than any test waits, and no space on the disk.
fn endless(name: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let (parent, folder) = folder(name);
    for n in 0..64 {
        fs::File::create(folder.join(n.to_string()))
            .unwrap()
            .set_len(1 << 34)
            .unwrap();
    }
    (parent, folder)
}

fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn a_job_is_started_and_its_sums_are_read() {
    let (_parent, folder) = folder("Letters");
    fs::write(folder.join("abc"), "abc").unwrap();
    std::os::unix::fs::symlink("nothing", folder.join("link")).unwrap();
    let mut desktop = Desktop::with_app(&[&folder]);
    desktop.click("Start");
    let row = "Checksums of Letters, 1 sum, 1 could not be read";
    desktop.wait_for(row);

    desktop.click(row);
    desktop.wait_for("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let texts = desktop.texts();
    assert!(
        texts
            .iter()
            .any(|text| text == "The target of the link does not exist"),
        "{texts:?}"
    );
    desktop.click("Back");
    desktop.wait_for("Finished");
}

#[test]
fn jobs_are_listed_for_other_programs_until_that_is_switched_off() {
    const LIST: &str = "org.legwork.Demo.LegworkJobs";
    let (_parent, folder) = endless("Old Disk");
    let mut desktop = Desktop::with_app(&[]);
    desktop.activate("checksum", &folder);
    desktop.wait("the list", |desktop| desktop.has_owner(LIST));
    desktop.click("Stop Checksums of Old Disk");
    desktop.wait("no list", |desktop| !desktop.has_owner(LIST));

    desktop.press("ctrl+comma");
    desktop.click("Other Programs");
    desktop.wait("what is kept", |desktop| {
        let kept = desktop.preferences();
        kept.contains("session=false") && kept.contains("awake=true")
    });
    desktop.press("Escape");
    desktop.wait("no preferences", |desktop| !desktop.sees("Other Programs"));
    desktop.activate("checksum", &folder);
    desktop.wait_for("Checksums of Old Disk, running");
    assert!(!desktop.has_owner(LIST));
}

#[test]
fn a_running_job_shows_its_progress_and_is_stopped_by_its_button() {
    let (_parent, folder) = endless("Old Disk");
    let mut desktop = Desktop::with_app(&[&folder]);
    desktop.click("Start");
    desktop.wait_for("Checksums of Old Disk, running");
    desktop.wait("a speed and an end", |desktop| {
        desktop
            .texts()
            .iter()
            .any(|text| text.contains("/s · About "))
    });
    let workers = desktop.workers();
    assert_eq!(workers.len(), 1);

    desktop.click("Stop Checksums of Old Disk");
    desktop.wait_for("Checksums of Old Disk, Stopped");
    desktop.wait("the end of the worker", |_| {
        !workers.iter().any(|pid| exists(*pid))
    });
    assert!(desktop.sees("Try Checksums of Old Disk Again"));
}

#[test]
fn every_misdeed_is_explained_and_the_window_survives() {
    let misdeeds = [
        ("Panic", "Detected an internal error and stopped"),
        ("Abort", "Aborted itself at once"),
        (
            "Memory Fault",
            "Accessed memory that is not its own; the system ended it",
        ),
        ("Exit Without a Result", "Ended without giving a result"),
        ("Out of Memory", "Asked for more memory than it is allowed"),
        ("Hang", "Did not finish; it was ended after 10 seconds"),
    ];
    let mut desktop = Desktop::with_app(&[]);
    for (misdeed, _) in misdeeds {
        desktop.start(misdeed);
        desktop.wait("the list", |desktop| desktop.windows().len() == 1);
    }
    for (misdeed, outcome) in misdeeds {
        desktop.wait_for(&format!("Misbehave: {misdeed}, {outcome}"));
    }
    assert!(desktop.app_runs());
    let jargon: Vec<_> = desktop
        .rows()
        .into_iter()
        .filter(|row| row.contains("SIG") || row.contains("panic"))
        .collect();
    assert_eq!(jargon, [""; 0]);

    // The technical details are in an expander.
    desktop
        .click("Misbehave: Memory Fault, Accessed memory that is not its own; the system ended it");
    desktop.click("Details");
    desktop.wait("the signal's name", |desktop| {
        desktop
            .texts()
            .iter()
            .any(|text| text.contains("SIGSEGV") && text.contains("write_to_unmapped_memory"))
    });
}

#[test]
fn pictures_are_shown_and_invalid_ones_with_the_reason() {
    let (_parent, folder) = folder("Holiday");
    image::RgbImage::from_pixel(64, 32, image::Rgb([200, 80, 0]))
        .save(folder.join("beach.png"))
        .unwrap();
    fs::write(folder.join("bad.jpg"), "no picture").unwrap();
    let mut desktop = Desktop::with_app(&[&folder]);
    desktop.click("Thumbnails");
    desktop.click("Start");
    let row = "Thumbnails of Holiday, 1 picture, 1 could not be read";
    desktop.wait_for(row);
    desktop.click(row);
    for text in [
        "beach.png",
        "64 × 32",
        "bad.jpg",
        "It is not a picture that can be opened",
    ] {
        desktop.wait_for(text);
    }
}

#[test]
fn a_job_page_shows_the_descriptors_and_the_log() {
    let (_parent, folder) = endless("Old Disk");
    let mut desktop = Desktop::with_app(&[&folder]);
    desktop.click("Start");
    desktop.click("Checksums of Old Disk, running");
    desktop.click("Isolation");
    for text in [
        "Control socket to the app",
        "Session bus",
        "X11 display",
        "Wakeup of a main loop",
    ] {
        desktop.wait_for(text);
    }
    desktop.click("Log");
    desktop.wait("what was logged", |desktop| {
        desktop
            .texts()
            .iter()
            .any(|text| text.starts_with("64 entries"))
    });
}

#[test]
fn a_long_log_opens_at_its_end_and_can_be_scrolled() {
    let (_parent, folder) = folder("Links");
    for n in 0..600 {
        std::os::unix::fs::symlink("nothing", folder.join(format!("link-{n:03}"))).unwrap();
    }
    let mut desktop = Desktop::with_app(&[&folder]);
    desktop.click("Start");
    desktop.click("Checksums of Links, 0 sums, 600 could not be read");
    desktop.click("Log");
    // Several threads read the folder: this is one of the last records.
    desktop.wait_for("link-599: The target of the link does not exist");
    // A list may have rows that are not drawn.
    let area = |picture: image::RgbImage| {
        image::imageops::crop_imm(&picture, 200, 320, 500, 280).to_image()
    };
    let dark = |pixel: &image::Rgb<u8>| pixel.0.iter().all(|value| *value < 100);
    desktop.wait("records in sight", |desktop| {
        area(desktop.picture())
            .pixels()
            .filter(|pixel| dark(pixel))
            .count()
            > 1000
    });
    let end = area(desktop.picture());
    desktop.wait("earlier records", |desktop| {
        desktop.wheel_up();
        let picture = area(desktop.picture());
        picture != end && picture.pixels().filter(|pixel| dark(pixel)).count() > 1000
    });
}

#[test]
fn closing_while_a_job_runs_asks_and_stop_ends_its_process() {
    let (_parent, folder) = endless("Old Disk");
    let mut desktop = Desktop::with_app(&[&folder]);
    desktop.click("Start");
    desktop.wait_for("Checksums of Old Disk, running");
    let workers = desktop.workers();
    assert_eq!(workers.len(), 1);
    desktop.click("Close");
    desktop.click("Cancel");
    desktop.wait("the question gone", |desktop| desktop.windows().len() == 1);
    assert!(desktop.app_runs());

    desktop.click("Close");
    desktop.click("Stop Jobs");
    assert!(desktop.app_ends());
    desktop.wait("the end of the worker", |_| {
        !workers.iter().any(|pid| exists(*pid))
    });
}

#[test]
fn a_job_that_ends_without_the_window_is_shown_when_it_is_opened_again() {
    let mut desktop = Desktop::with_app(&[]);
    desktop.start("Hang");
    desktop.wait_for("Misbehave: Hang, running");
    let workers = desktop.workers();
    desktop.click("Close");
    desktop.click("Keep Running");
    desktop.wait("no window", |desktop| !desktop.sees("Main Menu"));
    desktop.wait("the end of the job", |_| {
        !workers.iter().any(|pid| exists(*pid))
    });
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(desktop.app_runs(), "the result was not seen yet");

    desktop.show_window();
    desktop.wait_for("Misbehave: Hang, Did not finish; it was ended after 10 seconds");
    desktop.click("Close");
    assert!(desktop.app_ends());
}

#[test]
fn a_long_table_is_searched_by_keyboard() {
    let (_parent, folder) = folder("Letters");
    for n in 0..600 {
        fs::write(folder.join(format!("letter-{n}")), n.to_string()).unwrap();
    }
    let mut desktop = Desktop::with_app(&[]);
    desktop.press("ctrl+n");
    desktop.wait("the dialog", |desktop| desktop.windows().len() == 2);
    desktop.press("Escape");
    desktop.wait("no dialog", |desktop| desktop.windows().len() == 1);

    desktop.activate("checksum", &folder);
    desktop.wait("all sums", |desktop| {
        desktop
            .rows()
            .iter()
            .any(|row| row.starts_with("Checksums of Letters, 600 sums"))
    });
    let row = desktop
        .rows()
        .into_iter()
        .find(|row| row.starts_with("Checksums"))
        .unwrap();
    desktop.click(&row);
    desktop.wait_for("letter-0");
    assert!(!desktop.sees("letter-599"), "the last one is out of sight");
    desktop.press("ctrl+f");
    desktop.wait_for("Search Names");
    desktop.types("letter-599");
    desktop.wait_for("letter-599");
    // The first Escape ends the search, and what was found stays visible beside its neighbours; the second one leaves.
    desktop.press("Escape");
    desktop.wait("what was found among the others", |desktop| {
        desktop.sees("letter-599") && (desktop.sees("letter-598") || desktop.sees("letter-6"))
    });
    desktop.press("Escape");
    desktop.wait_for("Finished");
}

#[test]
fn a_long_list_that_is_copied_can_be_pasted_elsewhere() {
    let (_parent, folder) = folder("Letters");
    for n in 0..4_000 {
        fs::write(folder.join(format!("letter-{n}")), "").unwrap();
    }
    let mut desktop = Desktop::with_app(&[&folder]);
    desktop.click("Start");
    let mut row = None;
    desktop.wait("all sums", |desktop| {
        let rows = desktop.rows();
        row = rows
            .into_iter()
            .find(|row| row.starts_with("Checksums of Letters, 4,000 sums"));
        row.is_some()
    });
    desktop.click(&row.unwrap());
    desktop.click("Copy");

    let _other = desktop.another_app();
    let before = desktop.picture();
    desktop.wait("the other window", |desktop| desktop.picture() != before);
    let empty = desktop.picture();
    desktop.press("ctrl+r");
    desktop.wait("its dialog", |desktop| desktop.picture() != empty);
    let dialog = desktop.picture();
    desktop.press("ctrl+v");
    // Some 300 KB, in pieces, from an app that still answers.
    desktop.wait("the sums in its entry", |desktop| {
        desktop.picture() != dialog
    });
    assert!(desktop.sees("Back"));
}

#[test]
fn the_doctor_names_the_descriptors_that_a_fork_of_the_app_would_inherit() {
    let desktop = Desktop::with_app(&[]);
    // The command of another package, next to the app when everything is built.
    let doctor = Path::new(env!("CARGO_BIN_EXE_legwork-demo")).with_file_name("legwork");
    let output = std::process::Command::new(&doctor)
        .args(["doctor", "--json", "--fork"])
        .arg(desktop.app_pid().to_string())
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "{}, which `cargo xtask test` builds: {error}",
                doctor.display()
            )
        });
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let descriptors = report["descriptors"].as_array().unwrap();
    let scene_of = |field: &str, value: &str| {
        let found = descriptors.iter().find(|one| one[field] == value);
        let found = found.unwrap_or_else(|| panic!("no {value}: {descriptors:#?}"));
        found["harm"]["scene"].clone()
    };
    assert_eq!(scene_of("kind", "eventfd"), "S1");
    assert_eq!(scene_of("service", "session bus"), "S2");
    assert_eq!(scene_of("service", "X11 display"), "S3");
    let ignored = report["signals"]["ignored"].as_array().unwrap();
    assert!(
        ignored.iter().any(|signal| signal == "SIGPIPE"),
        "Rust ignores it: {ignored:?}"
    );
}
