//! Functions for the expressions of templates, which bind a widget to something computed from a job's property.

use super::outcome::State;

pub(super) struct Expressions;

#[gtk::template_callbacks(functions)]
impl Expressions {
    #[template_callback]
    fn not(value: bool) -> bool {
        !value
    }

    #[template_callback]
    fn is_set(text: &str) -> bool {
        !text.is_empty()
    }

    #[template_callback]
    fn state_classes(state: State) -> Vec<String> {
        vec!["state".to_owned(), state.class().to_owned()]
    }

    #[template_callback]
    fn row_classes(edges: &str) -> Vec<String> {
        let classes = ["job"].into_iter().chain(edges.split_whitespace());
        classes.map(str::to_owned).collect()
    }
}
