//! Whatever the order in which the threads go on.

use legwork_models::scenes;

macro_rules! holds {
    ($($name:ident: $scene:ident;)*) => {$(
        #[test]
        fn $name() {
            scenes::$scene();
        }
    )*};
}

holds! {
    a_mailbox_wakes_its_reader_for_each_value_and_the_end: mailbox_is_read;
    a_hang_up_on_another_thread_ends_the_wait: mailbox_is_hung_up;
    a_waker_may_drop_the_mailbox: mailbox_is_dropped_by_its_waker;
    messages_are_read_as_they_arrive: messages_are_read;
    messages_that_arrive_while_their_reader_goes_away_are_counted: messages_are_dropped;
    the_count_of_taken_messages_only_grows: taken_is_counted_by_two;
    what_is_said_late_of_a_job_does_nothing_to_the_next: page_is_of_one_job;
    who_waits_at_the_page_is_woken: page_wakes_who_waits;
    a_text_in_the_page_is_read_whole: page_text_is_whole;
    what_was_printed_is_known_while_it_is_read: page_knows_what_was_printed;
}
