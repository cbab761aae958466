//! Starts a program by its name, so that a test can set the app's folder and environment.
//!
//! `start_by_name [--own-path] [--path PATH | --no-path] [--dir FOLDER] [--nowhere] [--close FOLDER] [--not-as-root]
//! [--deny NUMBER] NAME [ARGUMENT...]` prints the output of the program and exits as it does. If the start fails, it exits
//! with 99 and prints step, error number and message.
//!
//! `--nowhere`: the app's working directory is gone. `--close`: the folder can no longer be searched. `--deny`: the system
//! call with that number fails with EPERM, as in older containers.

use legwork::{Command, Stdio};
use legwork_tests::context::run;
use legwork_tests::programs::worker;
use legwork_tests::raw;

/// The exit code if the program could not be started.
const NOT_STARTED: i32 = 99;

fn main() {
    // Found by the user who has built it: another may not search the folder.
    let worker = worker();
    let mut arguments = std::env::args_os().skip(1);
    let mut options: Vec<Box<dyn FnOnce(Command) -> Command>> = Vec::new();
    let name = loop {
        let argument = arguments.next().expect("the name of a program");
        let mut value = || arguments.next().expect("a value");
        match argument.to_str() {
            Some("--own-path") => options.push(Box::new(Command::search_own_path)),
            Some("--path") => {
                let path = value();
                options.push(Box::new(|command| command.env("PATH", path)));
            }
            Some("--no-path") => options.push(Box::new(|command| command.env_remove("PATH"))),
            Some("--not-as-root") if rustix::process::getuid().is_root() => {
                raw::become_user(54_321)
            }
            Some("--not-as-root") => (),
            Some("--nowhere") => {
                let folder = tempfile::tempdir().unwrap();
                std::env::set_current_dir(folder.path()).unwrap();
            }
            Some("--close") => {
                let nobody = std::os::unix::fs::PermissionsExt::from_mode(0o0);
                std::fs::set_permissions(value(), nobody).unwrap();
            }
            Some("--deny") => raw::deny(value().to_str().unwrap().parse().unwrap()),
            Some("--dir") => {
                let folder = value();
                options.push(Box::new(|command| command.current_dir(folder)));
            }
            _ => break argument,
        }
    };
    let command = Command::new(name)
        .args(arguments)
        .helper(&worker)
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit())
        .success(|_| true);
    let command = options
        .into_iter()
        .fold(command, |command, option| option(command));
    let outcome = run(|| async { command.spawn().await });
    let code = match outcome {
        Ok(output) => output.status.code().expect("an exit code"),
        Err(error) => {
            println!("{:?} {:?} {error}", error.step(), error.errno());
            NOT_STARTED
        }
    };
    std::process::exit(code);
}
