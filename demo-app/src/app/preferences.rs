//! The preferences: a switch for each part of the desktop that shows running jobs.

use adw::prelude::*;
use gtk::glib::clone;

use super::{accessible, desktop::Desktop};

/// Opens the preferences above `window`.
pub(super) fn present(window: &gtk::Window) {
    let builder = gtk::Builder::from_resource("/org/legwork/Demo/preferences.ui");
    let preferences: adw::PreferencesWindow =
        builder.object("preferences").expect("in the template");
    let group: adw::PreferencesGroup = builder.object("desktop").expect("in the template");
    if let Some(desktop) = Desktop::of_app() {
        for (index, place) in desktop.places.iter().enumerate() {
            let switch = gtk::Switch::builder()
                .active(place.is_on())
                .valign(gtk::Align::Center)
                .build();
            let subtitle = match place.lacks() {
                Some(why) => format!("Not here: {why}"),
                None => place.subtitle.to_owned(),
            };
            let row = adw::ActionRow::builder()
                .title(place.title)
                .subtitle(gtk::glib::markup_escape_text(&subtitle))
                .activatable_widget(&switch)
                .build();
            accessible::set_name(&switch, place.title);
            row.add_suffix(&switch);
            group.add(&row);
            switch.connect_active_notify(clone!(
                #[strong]
                desktop,
                move |switch| desktop.switch(&desktop.places[index], switch.is_active())
            ));
        }
    }
    preferences.set_transient_for(Some(window));
    preferences.present();
}
