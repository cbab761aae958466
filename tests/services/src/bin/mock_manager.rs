//! A mock of the user's systemd, for the answers that a real one does not give. `mock_manager HOW PROGRAM ARGUMENT...`
//! owns its name on the session bus, runs the program, and exits as that does.

use std::process::{Command, exit};
use std::time::Duration;

use legwork::gio::prelude::*;
use legwork::gio::{
    self, BusNameOwnerFlags, BusType, DBusConnection, DBusMessage, DBusNodeInfo,
    DBusSendMessageFlags,
};
use legwork::glib::{self, MainLoop, Variant};

const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

const XML: &str = r#"<node><interface name="org.freedesktop.systemd1.Manager">
  <method name="StartTransientUnit">
    <arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="a(sv)" direction="in"/>
    <arg type="a(sa(sv))" direction="in"/><arg type="o" direction="out"/>
  </method>
  <method name="UnrefUnit"><arg type="s" direction="in"/></method>
</interface></node>"#;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let how = arguments.next().expect("how it answers");
    let program = arguments.next().expect("a program");
    let rest: Vec<_> = arguments.collect();
    let exits = MainLoop::new(None, false);
    let owned = move |_: DBusConnection, _: &str| {
        let mut app = Command::new(&program).args(&rest).spawn().expect("the app");
        std::thread::spawn(move || exit(app.wait().expect("its end").code().unwrap_or(1)));
    };
    let answers = move |connection: DBusConnection, _: &str| register(&connection, how.clone());
    let flags = BusNameOwnerFlags::NONE;
    let lost = |_: Option<DBusConnection>, _: &str| ();
    let _owner = gio::bus_own_name(BusType::Session, NAME, flags, answers, owned, lost);
    exits.run();
}

fn register(connection: &DBusConnection, how: String) {
    let node = DBusNodeInfo::for_xml(XML).unwrap();
    let interface = node.lookup_interface(MANAGER).unwrap();
    let registered = connection.register_object(PATH, &interface);
    let registered =
        registered.method_call(move |connection, _, _, _, method, parameters, call| {
            if method == "UnrefUnit" {
                return call.return_value(None);
            }
            let unit = parameters.child_value(0).get::<String>().unwrap();
            let path = || {
                glib::variant::ObjectPath::try_from("/org/freedesktop/systemd1/job/7".to_owned())
            };
            let object = || (path().unwrap(),).to_variant();
            let signal = |parameters: Variant| {
                let sent =
                    connection.emit_signal(None, PATH, MANAGER, "JobRemoved", Some(&parameters));
                sent.unwrap();
            };
            let removed =
                |result: &str| (7_u32, path().unwrap(), unit.as_str(), result).to_variant();
            match &*how {
                "never" => std::mem::forget(call),
                "late" => {
                    let (connection, answer) = (connection.clone(), object());
                    let removed = removed("done");
                    glib::timeout_add_local_once(Duration::from_secs(2), move || {
                        call.return_value(Some(&answer));
                        let _ = connection.emit_signal(
                            None,
                            PATH,
                            MANAGER,
                            "JobRemoved",
                            Some(&removed),
                        );
                    });
                }
                "error" => call.return_dbus_error("org.example.Broken", "out of order"),
                "wrong_type" => {
                    // GIO would not let this one pass.
                    let answer = DBusMessage::new_method_reply(&call.message());
                    answer.set_body(&(7_u32, "no path").to_variant());
                    let sent = connection.send_message(&answer, DBusSendMessageFlags::NONE);
                    sent.unwrap();
                    std::mem::forget(call);
                }
                "wrong_signal" => {
                    signal((unit.as_str(),).to_variant());
                    signal((7_u32, unit.as_str(), 8_u32, 9_u32).to_variant());
                    call.return_value(Some(&object()));
                }
                "no_signal" => call.return_value(Some(&object())),
                "job_failed" => {
                    call.return_value(Some(&object()));
                    signal(removed("failed"));
                }
                // It says that it has moved the process, and has not.
                "lies" => {
                    signal(removed("done"));
                    call.return_value(Some(&object()));
                }
                "vanishes" => {
                    // The app goes on.
                    let _ = connection.close_sync(gio::Cancellable::NONE);
                    std::mem::forget(call);
                }
                other => panic!("there is no answer {other}"),
            }
        });
    registered.build().unwrap();
}
