//! Addresses where no bus answers, or not as one: an error that names what was tried and the step, and no hang.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use legwork::bus::{self, ConnectError, ConnectStep};
use legwork_tests::bus::SessionBus;
use legwork_tests::context::run;

fn refused(address: &str) -> ConnectError {
    let error = run(|| async {
        let open = bus::address(address).timeout(Duration::from_millis(500));
        open.await.unwrap_err()
    });
    println!("{:?}: {error}", error.step());
    error
}

#[test]
fn a_malformed_address_is_named() {
    for address in [
        "",
        "unix",
        "unix:",
        "unix:path",
        "unix:path=%zz",
        "carrier-pigeon:name=x",
        "\u{1F68C}:",
        "unix:path=\u{0}",
        "tcp:host=localhost,port=99999",
        "unixexec:path=/bin/true",
    ] {
        let error = refused(address);
        let step = error.step();
        assert!(
            matches!(step, ConnectStep::Address | ConnectStep::Connect),
            "{address:?}: {step:?}"
        );
        assert!(
            error.to_string().contains(&format!("{address:?}")),
            "{error}"
        );
    }
}

#[test]
fn what_is_refused_or_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus");
    let address = format!("unix:path={}", path.display());
    for (prepare, says) in [
        (None, "No such file"),
        (Some("socket"), "Connection refused"),
        (Some("file"), "Connection refused"),
    ] {
        let _ = std::fs::remove_file(&path);
        match prepare {
            Some("socket") => drop(UnixListener::bind(&path).unwrap()),
            Some(_) => std::fs::write(&path, "").unwrap(),
            None => (),
        }
        let error = refused(&address);
        assert_eq!(error.step(), ConnectStep::Connect);
        assert!(error.to_string().contains(says), "{error}");
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }
    let long = format!("unix:path=/{}", "x".repeat(200));
    assert_eq!(refused(&long).step(), ConnectStep::Connect);
    assert_eq!(
        refused("unix:abstract=legwork-nobody").step(),
        ConnectStep::Connect
    );
    assert_eq!(
        refused("tcp:host=127.0.0.1,port=1").step(),
        ConnectStep::Connect
    );
}

/// A server that does this with whoever connects.
fn server(path: &Path, serve: impl Fn(UnixStream) + Send + 'static) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            serve(client.unwrap());
        }
    });
}

#[test]
fn a_server_that_answers_garbage_or_nothing_is_an_error_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let serve = |name: &str, serve: fn(UnixStream)| {
        let path = folder.path().join(name);
        server(&path, serve);
        refused(&format!("unix:path={}", path.display()))
    };
    let closes = serve("closes", drop);
    assert_eq!(closes.step(), ConnectStep::Authenticate);
    let silent = serve("silent", |client| {
        thread::sleep(Duration::from_secs(2));
        drop(client);
    });
    assert_eq!(silent.step(), ConnectStep::Timeout);
    assert!(silent.to_string().contains("500ms"), "{silent}");
    let rejects = serve("rejects", |mut client| {
        let _ = client.read(&mut [0; 100]);
        let _ = client.write_all(b"REJECTED KERBEROS_V4\r\n");
    });
    assert_eq!(rejects.step(), ConnectStep::Authenticate);
    let web = serve("web", |mut client| {
        let _ = client.read(&mut [0; 1000]);
        let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    assert_eq!(web.step(), ConnectStep::Authenticate);
    // What makes zbus 6.2.1 panic.
    let line = serve("line", |mut client| {
        let _ = client.read(&mut [0; 1000]);
        let _ = client.write_all(b"\n");
    });
    assert_eq!(line.step(), ConnectStep::Authenticate);
    // For ever, without an end of line.
    let noise = serve(
        "noise",
        |mut client| while client.write_all(&[b'x'; 4096]).is_ok() {},
    );
    assert!(matches!(
        noise.step(),
        ConnectStep::Authenticate | ConnectStep::Timeout
    ));
    // Authenticates, and then says that Hello is no method, or sends what is no message.
    for (name, last) in [("hello", &b"l\x03nonsense"[..]), ("message", &[b'l'; 64])] {
        let path = folder.path().join(name);
        server(&path, move |mut client| {
            let _ = client.read(&mut [0; 1000]);
            let _ = client.write_all(b"OK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n");
            let _ = client.write_all(last);
        });
        let error = refused(&format!("unix:path={}", path.display()));
        assert_ne!(error.step(), ConnectStep::Connect);
    }
}

#[test]
fn a_name_that_is_taken_or_malformed_is_an_error_of_the_bus() {
    let bus = SessionBus::get();
    run(|| async {
        let named = |name: &'static str| {
            bus::address(bus.address())
                .configure(move |builder| builder.name(name).replace_existing_names(false))
        };
        let _first = named("org.legwork.Taken").await.unwrap();
        for name in ["org.legwork.Taken", "not a name", "nodots", ""] {
            let error = named(name).await.unwrap_err();
            println!("{error}");
            assert_eq!(error.step(), ConnectStep::Register, "{name:?}");
        }
    });
}
