//! Programs in the window: their output, their input, and their end.

use std::path::Path;

use crate::{desktop::Desktop, media};

/// Types a command into the dialog and starts it.
fn run(desktop: &mut Desktop, line: &str) {
    desktop.press("ctrl+r");
    desktop.wait("the dialog", |desktop| desktop.windows().len() == 2);
    desktop.wait_for("Command");
    desktop.types(line);
    desktop.press("Return");
    desktop.wait("the list", |desktop| desktop.windows().len() == 1);
}

/// Waits for the row of `line` with this text, and opens it.
fn open(desktop: &mut Desktop, line: &str, says: &str) {
    let start = format!("{line}, {says}");
    let mut found = None;
    desktop.wait(&format!("row “{start}”"), |desktop| {
        found = desktop
            .rows()
            .into_iter()
            .find(|row| row.starts_with(&start));
        found.is_some()
    });
    desktop.click(&found.unwrap());
}

#[test]
fn the_output_of_a_program_is_shown_with_its_colours() {
    let mut desktop = Desktop::with_app(&[]);
    let line = r"printf '10%%\r100%%\n\033[31mred\033[0m \033[5Aplain\n'";
    run(&mut desktop, line);
    open(&mut desktop, line, "Finished in ");
    desktop.wait("the output", |desktop| {
        desktop.reads("Output").trim_end() == "100%\nred plain"
    });
    let (red, plain) = (desktop.colour("Output", 6), desktop.colour("Output", 10));
    assert!(red.is_some() && plain.is_none(), "{red:?} {plain:?}");

    // Escape ends a search first, and then leaves the page.
    desktop.press("ctrl+f");
    desktop.wait_for("Search Output");
    desktop.types("red");
    desktop.press("Escape");
    desktop.press("Escape");
    desktop.wait_for("Finished");
}

#[test]
fn a_program_that_fails_or_does_not_exist_is_shown_with_the_reason() {
    let mut desktop = Desktop::with_app(&[]);
    run(&mut desktop, "ls /no/such/place");
    let outcome =
        "Failed with exit code 2: ls: cannot access '/no/such/place': No such file or directory";
    desktop.wait_for(&format!("ls /no/such/place, {outcome}"));
    run(&mut desktop, "frobnicate --now");
    open(
        &mut desktop,
        "frobnicate --now",
        "There is no program “frobnicate”",
    );
    desktop.wait_for("Check the spelling, or install it. Then try again.");

    // A line that is not a command is not started.
    desktop.press("Escape");
    desktop.press("ctrl+r");
    desktop.wait_for("Command");
    desktop.types("echo 'open");
    desktop.wait_for("A quotation mark or a backslash is not closed");
    desktop.press("Return");
    desktop.press("Escape");
    desktop.wait("no dialog", |desktop| desktop.windows().len() == 1);
    assert_eq!(
        desktop
            .rows()
            .iter()
            .filter(|row| row.contains("open"))
            .count(),
        0
    );
}

#[test]
fn a_running_program_is_answered_paused_and_stopped() {
    let mut desktop = Desktop::with_app(&[]);
    let line = "sh -c 'echo I am $$; read word; echo heard $word; sleep 1000'";
    run(&mut desktop, line);
    open(&mut desktop, line, "running");
    let mut pid = None;
    desktop.wait("its number", |desktop| {
        let said = desktop.reads("Output");
        pid = said
            .trim()
            .strip_prefix("I am ")
            .and_then(|pid| pid.parse::<u32>().ok());
        pid.is_some()
    });
    let process = format!("/proc/{}", pid.unwrap());

    desktop.click("Answer the Program");
    desktop.types("hello");
    desktop.press("Return");
    desktop.wait("its answer", |desktop| {
        desktop.reads("Output").contains("heard hello")
    });

    let state = || {
        let stat = std::fs::read_to_string(format!("{process}/stat")).unwrap_or_default();
        stat.rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next())
    };
    desktop.click("Pause");
    desktop.wait_for("Paused");
    desktop.wait("the program stopped in its tracks", |_| {
        state() == Some('T')
    });
    desktop.click("Resume");
    desktop.wait("the program going on", |_| state() != Some('T'));

    desktop.click("Stop");
    desktop.wait_for("Stopped");
    desktop.wait("the end of the program", |_| !Path::new(&process).exists());
}

#[test]
fn a_running_program_is_opened_and_answered_by_keyboard() {
    let mut desktop = Desktop::with_app(&[]);
    run(&mut desktop, "true");
    desktop.wait_for("Finished");
    run(&mut desktop, "cat");
    desktop.wait_for("cat, running");
    desktop.press_until("Tab", "true, Finished in ");
    desktop.press_until("Up", "cat, running");
    desktop.press("Return");
    desktop.press_until("Tab", "Answer the Program");
    desktop.types("hello");
    desktop.press("Return");
    desktop.wait("the line and its echo", |desktop| {
        desktop.reads("Output").matches("hello").count() == 2
    });
}

/// The last size that a program has printed: columns, rows.
fn last_size(desktop: &mut Desktop) -> Option<(u32, u32)> {
    let said = desktop.reads("Output");
    let (rows, columns) = said.trim_end().lines().last()?.split_once(' ')?;
    Some((columns.parse().ok()?, rows.parse().ok()?))
}

#[test]
fn the_terminal_of_a_program_has_the_size_of_its_view() {
    let mut desktop = Desktop::with_app(&[]);
    let line =
        "sh -c 'trap \"stty size\" WINCH; stty size; while :; do sleep 1000 & wait $!; done'";
    desktop.resize(900, 800);
    run(&mut desktop, line);
    open(&mut desktop, line, "");
    let mut large = (0, 0);
    desktop.wait("another size than every terminal has at first", |desktop| {
        large = last_size(desktop).unwrap_or_default();
        large.0 > 80 && large.1 > 24
    });
    desktop.resize(400, 500);
    let mut small = large;
    desktop.wait("a smaller terminal", |desktop| {
        small = last_size(desktop).unwrap_or(large);
        small.0 < large.0 && small.1 < large.1
    });
    assert!(small.0 >= 20 && small.1 >= 5, "{small:?}");
    desktop.resize(900, 800);
    desktop.wait("the size that it had before", |desktop| {
        last_size(desktop) == Some(large)
    });
    desktop.click("Stop");
    desktop.wait_for("Stopped");

    // The next one starts with it.
    desktop.press("Escape");
    run(&mut desktop, "stty size");
    open(&mut desktop, "stty size", "Finished in ");
    desktop.wait("that size again", |desktop| {
        last_size(desktop) == Some(large)
    });
}

#[test]
fn a_file_that_is_dropped_is_converted_and_can_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let file = media::tone(folder.path(), 2);
    let mut desktop = Desktop::with_app(&[&file]);
    desktop.click("Format");
    // By keyboard: GTK 4.8 reports wrong positions for the rows of a popover.
    desktop.wait_for("Ogg Vorbis Audio");
    desktop.press("Down");
    desktop.press("Return");
    desktop.wait("the list of formats gone", |desktop| {
        !desktop.sees("Opus Audio")
    });
    desktop.click("Start");
    open(&mut desktop, "Conversion of tone.wav", "tone.ogg, ");
    desktop.wait_for("Show in Folder");
    let made = std::fs::read(folder.path().join("tone.ogg")).unwrap();
    assert!(made.starts_with(b"OggS"));
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        2,
        "and nothing else"
    );
}

#[test]
fn a_file_that_is_not_a_recording_is_shown_with_the_reason_and_leaves_no_output() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "no sound").unwrap();
    let mut desktop = Desktop::with_app(&[&file]);
    desktop.click("Start");
    let outcome = "Could not be converted. notes.txt: Invalid data found when processing input";
    open(&mut desktop, "Conversion of notes.txt", outcome);
    desktop.wait_for("No New File");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn closing_stops_a_conversion_and_keeps_what_can_be_played() {
    let folder = tempfile::tempdir().unwrap();
    let file = media::long_recording(folder.path());
    let mut desktop = Desktop::with_app(&[&file]);
    desktop.click("Start");
    desktop.wait("what is done", |desktop| {
        desktop
            .texts()
            .iter()
            .any(|text| text.contains(" of 6:17:55"))
    });
    desktop.click("Close");
    desktop.click("Stop Jobs");
    assert!(desktop.app_ends());
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["tone.mp3", "tone.wav"], "nothing half done");
}
