//! What a program has written, as it comes; and a line for an answer where it asks.

use adw::subclass::prelude::*;
use gtk::{CompositeTemplate, TemplateChild, gdk, glib, glib::clone, prelude::*};

use super::{
    super::{find_bar::FindBar, follow::follow_text, job::Job, job_page::toast},
    size,
};

mod imp {
    use super::*;

    #[derive(Default, CompositeTemplate)]
    #[template(resource = "/org/legwork/Demo/output-view.ui")]
    pub(crate) struct OutputView {
        #[template_child]
        pub(super) find_bar: TemplateChild<FindBar>,
        #[template_child]
        pub(super) follow: TemplateChild<gtk::ToggleButton>,
        #[template_child]
        pub(super) copy: TemplateChild<gtk::Button>,
        #[template_child]
        pub(super) stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub(super) empty: TemplateChild<adw::StatusPage>,
        #[template_child]
        pub(super) scrolled: TemplateChild<gtk::ScrolledWindow>,
        #[template_child]
        pub(super) text: TemplateChild<gtk::TextView>,
        #[template_child]
        pub(super) answer_bar: TemplateChild<gtk::Revealer>,
        #[template_child]
        pub(super) answer: TemplateChild<gtk::Entry>,
        #[template_child]
        pub(super) send: TemplateChild<gtk::Button>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for OutputView {
        const NAME: &'static str = "LegworkDemoOutputView";
        type Type = super::OutputView;
        type ParentType = gtk::Box;

        fn class_init(class: &mut Self::Class) {
            FindBar::ensure_type();
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for OutputView {}
    impl WidgetImpl for OutputView {}
    impl BoxImpl for OutputView {}
}

glib::wrapper! {
    /// A program's output.
    pub(crate) struct OutputView(ObjectSubclass<imp::OutputView>)
        @extends gtk::Box, gtk::Widget,
        @implements gtk::Buildable, gtk::ConstraintTarget, gtk::Orientable;
}

impl OutputView {
    /// Shows what `job` has written and still writes.
    pub(crate) fn show(&self, job: &Job) {
        let imp = self.imp();
        let output = job.output();
        let buffer = output.buffer();
        imp.text.set_buffer(Some(buffer));
        follow_text(&imp.scrolled, &imp.text, &imp.follow);
        size::watch(
            &imp.scrolled,
            &imp.text,
            clone!(
                #[weak]
                job,
                move |seen| job.fit_terminal(seen)
            ),
        );
        buffer.connect_changed(clone!(
            #[weak(rename_to = view)]
            self,
            #[weak]
            job,
            move |buffer| view.changed(&job, buffer)
        ));
        self.changed(job, buffer);
        job.bind_property("running", &*imp.empty, "description")
            .transform_to(|_, running: bool| {
                Some(if running {
                    "What the program writes appears here."
                } else {
                    "The program wrote nothing."
                })
            })
            .sync_create()
            .build();
        imp.copy.connect_clicked(clone!(
            #[weak(rename_to = view)]
            self,
            #[weak]
            job,
            move |_| {
                view.clipboard().set_text(&job.output().all());
                toast(&view, "Output copied");
            }
        ));
        self.set_up_answer(job);
        self.set_up_search();
    }

    fn changed(&self, job: &Job, buffer: &gtk::TextBuffer) {
        let imp = self.imp();
        let something = buffer.char_count() > 0;
        imp.stack
            .set_visible_child_name(if something { "text" } else { "empty" });
        imp.copy.set_sensitive(something);
        // Who asks for a password does not want it to be seen.
        let asked = job.output().last_line().to_lowercase();
        let secret = asked.contains("password") || asked.contains("passphrase");
        imp.answer.set_visibility(!secret);
    }

    fn set_up_answer(&self, job: &Job) {
        let imp = self.imp();
        job.bind_property("listens", &*imp.answer_bar, "reveal-child")
            .sync_create()
            .build();
        let send = clone!(
            #[weak(rename_to = answer)]
            imp.answer,
            #[weak]
            job,
            move || {
                job.answer(format!("{}\n", answer.text()).as_bytes());
                answer.set_text("");
            }
        );
        imp.send.connect_clicked({
            let send = send.clone();
            move |_| send()
        });
        imp.answer.connect_activate(move |_| send());
        // As in a terminal: nothing more will be typed.
        let keys = gtk::EventControllerKey::new();
        keys.set_propagation_phase(gtk::PropagationPhase::Capture);
        keys.connect_key_pressed(clone!(
            #[weak]
            job,
            #[upgrade_or]
            glib::Propagation::Proceed,
            move |_, key, _, held| {
                if key == gdk::Key::d && held == gdk::ModifierType::CONTROL_MASK {
                    job.answer(b"\x04");
                    return glib::Propagation::Stop;
                }
                glib::Propagation::Proceed
            }
        ));
        imp.answer.add_controller(keys);
    }

    /// Where it is searched.
    pub(crate) fn find_bar(&self) -> &FindBar {
        &self.imp().find_bar
    }

    fn set_up_search(&self) {
        let imp = self.imp();
        let find = |back: bool, on: bool| {
            clone!(
                #[weak(rename_to = view)]
                self,
                move |_: &gtk::SearchEntry| view.find(back, on)
            )
        };
        // The newest is at the end, so the search begins there.
        let entry = imp.find_bar.entry();
        entry.connect_search_changed(find(true, false));
        entry.connect_activate(find(true, true));
        entry.connect_previous_match(find(true, true));
        entry.connect_next_match(find(false, true));
    }

    /// Selects the next match from what is selected now, or going `on` from behind it; around the end once.
    fn find(&self, back: bool, on: bool) {
        let imp = self.imp();
        let entry = imp.find_bar.entry();
        let (buffer, wanted) = (imp.text.buffer(), entry.text());
        if wanted.is_empty() {
            return;
        }
        let (first, last) = buffer.bounds();
        let flags = gtk::TextSearchFlags::CASE_INSENSITIVE | gtk::TextSearchFlags::TEXT_ONLY;
        let (start, end) = match buffer.selection_bounds() {
            Some((start, end)) if on => (start, end),
            _ => (last, last),
        };
        let found = if back {
            start
                .backward_search(&wanted, flags, None)
                .or_else(|| last.backward_search(&wanted, flags, None))
        } else {
            end.forward_search(&wanted, flags, None)
                .or_else(|| first.forward_search(&wanted, flags, None))
        };
        match found {
            Some((mut start, end)) => {
                imp.follow.set_active(false);
                buffer.select_range(&start, &end);
                imp.text.scroll_to_iter(&mut start, 0.1, false, 0.0, 0.0);
                entry.remove_css_class("error");
            }
            None => entry.add_css_class("error"),
        }
    }
}
