//! A window that watches a signal of the session bus, and serves an object whose method changes a label:
//!
//! `gdbus call --session -d org.example.BusWindow -o /org/example/BusWindow -m org.example.Window.Show "Hello"`

use futures_util::StreamExt;
use gtk::glib;
use gtk::prelude::*;
use legwork::bus::{self, Local};
use zbus::fdo::DBusProxy;

/// What the app serves. zbus wants it to be `Send`; a label is not, and a `Local` label is.
struct Window {
    label: Local<gtk::Label>,
}

#[zbus::interface(name = "org.example.Window")]
impl Window {
    fn show(&self, text: &str) -> bool {
        // Methods run on the main context, where the label is.
        self.label.with(|label| label.set_label(text)).is_some()
    }
}

async fn talk(shown: gtk::Label, seen: gtk::Label) -> Result<(), Box<dyn std::error::Error>> {
    let window = Window {
        label: Local::new(shown)?,
    };
    let connection = bus::session()
        .configure(|builder| {
            builder
                .serve_at("/org/example/BusWindow", window)
                .name("org.example.BusWindow")
        })
        .await?;
    // Every connection that comes to the bus or leaves it.
    let bus = DBusProxy::new(&connection).await?;
    let mut changes = bus.receive_name_owner_changed().await?;
    while let Some(change) = changes.next().await {
        seen.set_label(change.args()?.name().as_str());
    }
    Ok(())
}

fn main() -> glib::ExitCode {
    let app = gtk::Application::builder()
        .application_id("org.example.BusWindow.App")
        .build();
    app.connect_activate(|app| {
        let shown = gtk::Label::new(Some("Nobody has called yet"));
        let seen = gtk::Label::new(None);
        let content = gtk::Box::new(gtk::Orientation::Vertical, 12);
        content.append(&shown);
        content.append(&seen);
        gtk::ApplicationWindow::builder()
            .application(app)
            .title("Bus")
            .default_width(480)
            .child(&content)
            .build()
            .present();
        glib::spawn_future_local(async move {
            if let Err(error) = talk(shown, seen.clone()).await {
                seen.set_label(&error.to_string());
            }
        });
    });
    app.run()
}
