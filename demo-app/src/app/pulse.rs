//! How smoothly the app runs while workers run: its longest stall, and what the workers cost it.
//!
//! It is updated once a second, and only while it is visible.

use std::cell::Cell;

use adw::subclass::prelude::*;
use gtk::{CompositeTemplate, TemplateChild, gio, glib, glib::clone, prelude::*};

use super::{job::Job, stall};

mod imp {
    use std::cell::RefCell;

    use super::*;

    #[derive(Default, CompositeTemplate, glib::Properties)]
    #[template(resource = "/org/legwork/Demo/pulse.ui")]
    #[properties(wrapper_type = super::Pulse)]
    pub(crate) struct Pulse {
        #[template_child]
        pub(super) popover: TemplateChild<gtk::Popover>,
        #[template_child]
        pub(super) stall: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) wakeups: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) workers: TemplateChild<gtk::Label>,
        #[template_child]
        pub(super) memory: TemplateChild<gtk::Label>,
        /// The running jobs.
        #[property(get, set, nullable)]
        jobs: RefCell<Option<gio::ListStore>>,
        /// The library's count at the last update.
        pub(super) wakeups_before: Cell<u64>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Pulse {
        const NAME: &'static str = "LegworkDemoPulse";
        type Type = super::Pulse;
        type ParentType = adw::Bin;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    #[glib::derived_properties]
    impl ObjectImpl for Pulse {
        fn constructed(&self) {
            self.parent_constructed();
            let pulse = self.obj();
            self.popover.connect_show(clone!(
                #[weak]
                pulse,
                move |_| pulse.start()
            ));
        }
    }
    impl WidgetImpl for Pulse {}
    impl BinImpl for Pulse {}
}

glib::wrapper! {
    /// A header button whose popover shows the pulse.
    pub(crate) struct Pulse(ObjectSubclass<imp::Pulse>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget;
}

impl Pulse {
    fn start(&self) {
        self.imp().wakeups_before.set(legwork::counters().wakeups);
        self.imp().wakeups.set_label("…");
        self.update();
        glib::timeout_add_seconds_local(
            1,
            clone!(
                #[weak(rename_to = pulse)]
                self,
                #[upgrade_or]
                glib::ControlFlow::Break,
                move || {
                    if !pulse.imp().popover.is_visible() {
                        return glib::ControlFlow::Break;
                    }
                    stall::exclude(|| {
                        let wakeups = legwork::counters().wakeups;
                        let before = pulse.imp().wakeups_before.replace(wakeups);
                        pulse
                            .imp()
                            .wakeups
                            .set_label(&format!("{} a second", wakeups - before));
                        pulse.update();
                    });
                    glib::ControlFlow::Continue
                }
            ),
        );
    }

    fn update(&self) {
        let imp = self.imp();
        let stall = stall::longest();
        imp.stall.set_label(&match stall.as_millis() {
            0 => "under 1 ms".into(),
            ms => format!("{ms} ms"),
        });
        imp.workers
            .set_label(&legwork::counters().workers.to_string());
        let jobs = self.jobs();
        let jobs = jobs.iter().flat_map(|jobs| jobs.iter::<Job>().flatten());
        let pids: Vec<u32> = jobs.map(|job| job.pid()).filter(|pid| *pid != 0).collect();
        glib::spawn_future_local(clone!(
            #[weak(rename_to = memory)]
            imp.memory,
            async move {
                let bytes =
                    gio::spawn_blocking(move || pids.into_iter().filter_map(resident).sum());
                if let Ok(bytes) = bytes.await {
                    memory.set_label(&glib::format_size(bytes));
                }
            }
        ));
    }
}

/// The resident memory of a process in bytes: proc(5), `VmRSS`.
fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_memory_of_a_process_is_read() {
        assert!(super::resident(std::process::id()).unwrap() > 100_000);
        assert_eq!(super::resident(0), None);
    }
}
