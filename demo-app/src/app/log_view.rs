//! The log of a job: filtered by level and text, followed to its end, and copied.

use std::{cell::Cell, rc::Rc};

use gtk::{glib, glib::clone, prelude::*};

use super::{
    gradually::gradually,
    job::Job,
    log_line::{Level, LogLine},
    tail_view::TailView,
};

/// The choices of levels, and the least level that each shows.
const LEVELS: [(&str, Level); 4] = [
    ("Everything", Level::Debug),
    ("Info and Above", Level::Info),
    ("Warnings and Errors", Level::Warning),
    ("Errors", Level::Error),
];

/// The view of the log of `job`.
pub(super) fn new(job: &Job) -> TailView {
    LogLine::ensure_type();
    let builder = gtk::Builder::from_resource("/org/legwork/Demo/log.ui");
    let level: gtk::DropDown = builder.object("level").expect("in the template");
    let list: gtk::ListView = builder.object("list").expect("in the template");
    level.set_model(Some(&gtk::StringList::new(&LEVELS.map(|(name, _)| name))));
    let view = TailView::new("Log", "log-symbolic", Some(level.upcast_ref()), &list);
    let empty = "The job’s log and what it prints appear here.";
    view.empty_page().set_description(Some(empty));

    let by_text = gtk::StringFilter::builder()
        .expression(LogLine::this_expression("text"))
        .match_mode(gtk::StringFilterMatchMode::Substring)
        .build();
    view.search_entry()
        .bind_property("text", &by_text, "search")
        .build();
    let by_level = gtk::CustomFilter::new(clone!(
        #[weak]
        level,
        #[upgrade_or]
        true,
        move |line| {
            let (_, least) = LEVELS[level.selected() as usize % LEVELS.len()];
            line.downcast_ref::<LogLine>()
                .is_some_and(|line| line.level() >= least)
        }
    ));
    level.connect_selected_notify(clone!(
        #[weak]
        by_level,
        move |_| by_level.changed(gtk::FilterChange::Different)
    ));
    let both = gtk::EveryFilter::new();
    both.append(by_text);
    both.append(by_level);
    let lines = gtk::FilterListModel::new(Some(job.log()), Some(both));
    let rows = gtk::NoSelection::new(Some(gradually(&lines)));
    list.set_model(Some(&rows));
    view.set_empty(lines.n_items() == 0);
    lines.connect_items_changed(clone!(
        #[weak]
        view,
        move |lines, _, _, _| view.set_empty(lines.n_items() == 0)
    ));

    view.set_scroll_to_end(clone!(
        #[weak]
        list,
        move || {
            // The list knows the height of a row only when it creates it: the adjustment is an estimate, and only the list
            // itself can scroll to a row.
            let last = list
                .model()
                .map_or(0, |rows| rows.n_items())
                .saturating_sub(1);
            let _ = list.activate_action("list.scroll-to-item", Some(&last.to_variant()));
        }
    ));
    let due = Rc::new(Cell::new(false));
    let changed = clone!(
        #[weak]
        view,
        #[weak]
        list,
        move || {
            if due.replace(true) {
                return;
            }
            // After its layout: a list that has no size yet would show nothing.
            let due = due.clone();
            glib::idle_add_local_once(move || {
                due.set(false);
                if list.is_mapped() {
                    view.scroll_to_end();
                }
            });
        }
    );
    list.connect_map({
        let changed = changed.clone();
        move |_| changed()
    });
    rows.connect_items_changed(move |_, _, _, _| changed());
    view.connect_copy("Log copied", move || {
        let lines = lines.iter::<glib::Object>().flatten();
        let lines = lines.filter_map(|line| Some(line.downcast_ref::<LogLine>()?.to_line()));
        lines.collect::<Vec<_>>().join("\n")
    });
    view
}
