//! A mock of the desktop's services, and an observer of the bus: `surfaces_desktop SERVICE=BEHAVIOUR…`.
//!
//! Every call is said as a line, `SERVICE METHOD ARGUMENTS`; so is every signal of launchers, and every connection that
//! goes. The arguments' types are compared with those of the published interfaces. Lines on standard input are
//! signals of the last job view.

use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use gio::{
    BusType, Cancellable, DBusCallFlags, DBusConnection, DBusMessage, DBusMessageType,
    DBusSendMessageFlags,
};
use legwork::gio::{self, prelude::*};
use legwork::glib::variant::{Handle, ObjectPath};
use legwork::glib::{self, Variant};

/// Short name, bus name, interface, method, the types of its arguments.
const METHODS: [(&str, &str, &str, &str, &str); 17] = [
    (
        "kde",
        "org.kde.JobViewServer",
        "org.kde.JobViewServerV2",
        "requestView",
        "(sia{sv})",
    ),
    (
        "kde",
        "org.kde.JobViewServer",
        "org.kde.JobViewV2",
        "setPercent",
        "(u)",
    ),
    (
        "kde",
        "org.kde.JobViewServer",
        "org.kde.JobViewV2",
        "setInfoMessage",
        "(s)",
    ),
    (
        "kde",
        "org.kde.JobViewServer",
        "org.kde.JobViewV2",
        "setSuspended",
        "(b)",
    ),
    (
        "kde",
        "org.kde.JobViewServer",
        "org.kde.JobViewV2",
        "setError",
        "(u)",
    ),
    (
        "kde",
        "org.kde.JobViewServer",
        "org.kde.JobViewV2",
        "terminate",
        "(s)",
    ),
    (
        "gnome",
        "org.gnome.SessionManager",
        "org.gnome.SessionManager",
        "Inhibit",
        "(susu)",
    ),
    (
        "gnome",
        "org.gnome.SessionManager",
        "org.gnome.SessionManager",
        "Uninhibit",
        "(u)",
    ),
    (
        "portal",
        "org.freedesktop.portal.Desktop",
        "org.freedesktop.host.portal.Registry",
        "Register",
        "(sa{sv})",
    ),
    (
        "portal",
        "org.freedesktop.portal.Desktop",
        "org.freedesktop.portal.Inhibit",
        "Inhibit",
        "(sua{sv})",
    ),
    (
        "portal",
        "org.freedesktop.portal.Desktop",
        "org.freedesktop.portal.Request",
        "Close",
        "()",
    ),
    (
        "portal",
        "org.freedesktop.portal.Desktop",
        "org.freedesktop.portal.Background",
        "SetStatus",
        "(a{sv})",
    ),
    (
        "logind",
        "org.freedesktop.login1",
        "org.freedesktop.login1.Manager",
        "Inhibit",
        "(ssss)",
    ),
    (
        "notify",
        "org.freedesktop.Notifications",
        "org.freedesktop.Notifications",
        "Notify",
        "(susssasa{sv}i)",
    ),
    (
        "notify",
        "org.freedesktop.Notifications",
        "org.freedesktop.Notifications",
        "GetCapabilities",
        "()",
    ),
    (
        "notify",
        "org.freedesktop.Notifications",
        "org.freedesktop.Notifications",
        "GetServerInformation",
        "()",
    ),
    (
        "backend",
        "org.freedesktop.impl.portal.desktop.test",
        "org.freedesktop.impl.portal.Inhibit",
        "Inhibit",
        "(ossua{sv})",
    ),
];

static SERIAL: AtomicU32 = AtomicU32::new(0);

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn main() {
    let services: Vec<(String, String)> = std::env::args()
        .skip(1)
        .filter_map(|word| word.split_once('=').map(|(a, b)| (a.into(), b.into())))
        .collect();
    let bus = gio::bus_get_sync(BusType::Session, Cancellable::NONE).expect("the bus");
    let of_bus = |method: &str, arguments: Variant| {
        let bus_name = "org.freedesktop.DBus";
        let path = "/org/freedesktop/DBus";
        let flags = DBusCallFlags::NONE;
        let none = Cancellable::NONE;
        bus.call_sync(
            Some(bus_name),
            path,
            bus_name,
            method,
            Some(&arguments),
            None,
            flags,
            -1,
            none,
        )
        .expect("the bus answers")
    };
    let behaviours = services.clone();
    bus.add_filter(move |bus, message, incoming| {
        match incoming && answer(bus, message, &behaviours) {
            true => None,
            false => Some(message.clone()),
        }
    });
    for rule in [
        "type='signal',interface='com.canonical.Unity.LauncherEntry'",
        "type='signal',member='NameOwnerChanged'",
    ] {
        of_bus("AddMatch", (rule,).to_variant());
    }
    for (short, _) in &services {
        if let Some((_, name, ..)) = METHODS.iter().find(|(other, ..)| other == short) {
            of_bus("RequestName", (*name, 4u32).to_variant());
        }
    }
    say("ready");
    for signal in std::io::stdin().lock().lines().map_while(Result::ok) {
        let view = format!("/JobViewServer/JobView_{}", SERIAL.load(Relaxed));
        bus.emit_signal(None, &view, "org.kde.JobViewV2", &signal, None)
            .expect("a signal");
    }
}

/// Returns whether the message is dealt with.
fn answer(bus: &DBusConnection, message: &DBusMessage, behaviours: &[(String, String)]) -> bool {
    let (interface, member) = (message.interface(), message.member());
    let (interface, member) = (
        interface.as_deref().unwrap_or_default(),
        member.as_deref().unwrap_or_default(),
    );
    let body = message.body().unwrap_or_else(|| ().to_variant());
    if message.message_type() == DBusMessageType::Signal {
        if member == "Update" {
            let properties = glib::VariantDict::new(Some(&body.child_value(1)));
            let progress: Option<f64> = properties.lookup("progress").ok().flatten();
            let visible: Option<bool> = properties.lookup("progress-visible").ok().flatten();
            let uri: String = body.child_value(0).get().unwrap_or_default();
            say(&format!(
                "launcher {uri} {:?} {:?}",
                progress.unwrap(),
                visible.unwrap()
            ));
        } else if member == "NameOwnerChanged"
            && let Some((name, _, new)) = body.get::<(String, String, String)>()
            && new.is_empty()
        {
            say(&format!("gone {name}"));
        }
        return false;
    }
    let Some((short, _, _, _, types)) =
        (METHODS.iter()).find(|(_, _, other, method, _)| (*other, *method) == (interface, member))
    else {
        return false;
    };
    if body.type_().as_str() != *types {
        say(&format!(
            "WRONG {interface}.{member} {} for {types}",
            body.type_()
        ));
    }
    let number = if matches!(member, "requestView" | "Inhibit") {
        SERIAL.fetch_add(1, Relaxed) + 1
    } else {
        0
    };
    let sender = message.sender().unwrap_or_default();
    say(&format!(
        "{short} {member} {} of {sender}",
        body.print(false)
    ));
    let behaviour = behaviours.iter().find(|(other, _)| other == short);
    let behaviour = behaviour
        .map_or("ok", |(_, behaviour)| behaviour)
        .to_owned();
    if behaviour == "vanish" {
        std::process::exit(0);
    }
    let (bus, message, member, short) = (bus.clone(), message.clone(), member.to_owned(), *short);
    // Messages are plain values; GLib's type is not marked so.
    let reply = message.new_method_reply();
    match &*behaviour {
        "error" => {
            let error = message.new_method_error_literal("org.example.No", "I will not");
            send(&bus, &error);
            return true;
        }
        "wrong" => reply.set_body(&(7i64, "what?").to_variant()),
        _ => give(&reply, short, &member, number),
    }
    let respond = (short, &*member) == ("portal", "Inhibit");
    let later = move || {
        send(&bus, &reply);
        if respond {
            let response = DBusMessage::new_signal(
                &request(number),
                "org.freedesktop.portal.Request",
                "Response",
            );
            let code = u32::from(behaviour == "deny");
            let results = glib::VariantDict::new(None).end();
            response.set_body(&Variant::tuple_from_iter([code.to_variant(), results]));
            response.set_destination(Some(&sender));
            send(&bus, &response);
        }
        say(&format!("answered {short} {member}"));
    };
    match behaviours
        .iter()
        .any(|(other, how)| other == short && how == "slow")
    {
        false => later(),
        true => {
            let later = Sendable(later);
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(30));
                later.run();
            });
        }
    }
    true
}

struct Sendable<F>(F);
// SAFETY: connections may be used from any thread, and a message that nobody else has, too.
#[allow(unsafe_code)]
unsafe impl<F> Send for Sendable<F> {}
impl<F: FnOnce()> Sendable<F> {
    fn run(self) {
        (self.0)();
    }
}

fn request(number: u32) -> String {
    format!("/org/freedesktop/portal/desktop/request/1_1/t{number}")
}

/// What a method returns.
fn give(reply: &DBusMessage, short: &str, member: &str, number: u32) {
    let path = |path: String| ObjectPath::try_from(path).expect("a path");
    match (short, member) {
        ("kde", "requestView") => {
            reply.set_body(&(path(format!("/JobViewServer/JobView_{number}")),).to_variant());
        }
        ("gnome", "Inhibit") => reply.set_body(&(number,).to_variant()),
        ("portal", "Inhibit") => reply.set_body(&(path(request(number)),).to_variant()),
        ("logind", "Inhibit") => {
            let (read, write) =
                rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
            let fds = gio::UnixFDList::new();
            fds.append(&write).expect("a descriptor");
            reply.set_unix_fd_list(Some(&fds));
            reply.set_body(&(Handle(0),).to_variant());
            say(&format!(
                "pipe {}",
                rustix::fs::fstat(&read).expect("a pipe").st_ino
            ));
            std::thread::spawn(move || {
                let _ = rustix::io::read(&read, &mut [0; 1]);
                say("released logind");
            });
        }
        ("notify", "Notify") => reply.set_body(&(1u32,).to_variant()),
        ("notify", "GetCapabilities") => reply.set_body(&(vec!["body", "actions"],).to_variant()),
        ("notify", "GetServerInformation") => {
            reply.set_body(&("mock", "mock", "1", "1.2").to_variant());
        }
        _ => (),
    }
}

fn send(bus: &DBusConnection, message: &DBusMessage) {
    let _ = bus.send_message(message, DBusSendMessageFlags::NONE);
}
