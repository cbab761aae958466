//! The app's open descriptors beside those of a job's process, which are few.

use adw::prelude::*;
use gtk::{gio, glib, glib::clone};

use super::{columns::Columns, isolation::Descriptor, job::Job};

/// The view of the descriptors of the app and of the process of `job`.
pub(super) fn new(job: &Job) -> gtk::Widget {
    Columns::ensure_type();
    let builder = gtk::Builder::from_resource("/org/legwork/Demo/isolation-view.ui");
    let list = |id| builder.object::<gtk::ListBox>(id).expect("in the template");
    let group = |id| {
        builder
            .object::<adw::PreferencesGroup>(id)
            .expect("in the template")
    };
    let stack: gtk::Stack = builder.object("stack").expect("in the template");
    list("app_list").bind_model(Some(&job.app_descriptors()), |item| {
        row(&descriptor(item), true)
    });
    list("process_list").bind_model(Some(&job.process_descriptors()), |item| {
        row(&descriptor(item), false)
    });
    let (app, process) = (group("app"), group("process"));
    let describe = clone!(
        #[weak]
        stack,
        #[weak]
        job,
        move |list: &gio::ListStore| {
            let known = if list.n_items() > 0 {
                "known"
            } else {
                "unknown"
            };
            stack.set_visible_child_name(known);
            process.set_description(Some(&format!(
                "{} open. None of them is the app’s: the process opened them itself or received them by name.",
                list.n_items()
            )));
            app.set_description(Some(&describe_app(&job.app_descriptors())));
        }
    );
    describe(&job.process_descriptors());
    // The process is read after the app.
    job.process_descriptors()
        .connect_items_changed(move |list, _, _, _| describe(list));
    stack.upcast()
}

fn describe_app(list: &gio::ListStore) -> String {
    let items = list.iter::<glib::Object>().flatten();
    let exec = items
        .filter(|item| passed_by_exec(&descriptor(item)))
        .count();
    let exec = match exec {
        0 => String::new(),
        1 => " 1 of them would stay open even in a new program.".into(),
        n => format!(" {n} of them would stay open even in a new program."),
    };
    format!(
        "{} open. A careless fork would pass on all of them.{exec}",
        list.n_items()
    )
}

/// Whether a new program would inherit it; the standard streams are meant to be inherited.
fn passed_by_exec(descriptor: &Descriptor) -> bool {
    descriptor.number > 2 && descriptor.survives_exec
}

fn descriptor(item: &glib::Object) -> Descriptor {
    let boxed = item.downcast_ref::<glib::BoxedAnyObject>().expect("boxed");
    boxed.borrow::<Descriptor>().clone()
}

fn row(descriptor: &Descriptor, is_app: bool) -> gtk::Widget {
    let builder = gtk::Builder::from_resource("/org/legwork/Demo/descriptor-row.ui");
    let widget = |id| builder.object::<gtk::Widget>(id).expect("in the template");
    let label = |id| builder.object::<gtk::Label>(id).expect("in the template");
    label("number").set_label(&descriptor.number.to_string());
    label("name").set_label(&descriptor.name);
    label("technical").set_label(&descriptor.technical);
    let harm = descriptor.harm.filter(|_| is_app);
    label("harm").set_label(harm.unwrap_or_default());
    widget("harm_line").set_visible(harm.is_some());
    widget("survives_exec").set_visible(is_app && passed_by_exec(descriptor));
    widget("row")
}
