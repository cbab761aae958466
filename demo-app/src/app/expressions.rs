//! Functions for the expressions of templates, which bind a widget to something computed from a property.

use std::path::PathBuf;

use gtk::glib;

use super::{outcome::State, work};

pub(super) struct Expressions;

#[gtk::template_callbacks(functions)]
impl Expressions {
    #[template_callback]
    fn or(one: bool, other: bool) -> bool {
        one || other
    }

    #[template_callback]
    fn path_name(path: Option<PathBuf>) -> String {
        let name = path.map_or("Nothing chosen yet".into(), |path| work::name(&path));
        glib::markup_escape_text(&name).into()
    }

    #[template_callback]
    fn is_set(text: &str) -> bool {
        !text.is_empty()
    }

    #[template_callback]
    fn state_classes(state: State) -> Vec<String> {
        vec!["state".to_owned(), state.class().to_owned()]
    }
}
