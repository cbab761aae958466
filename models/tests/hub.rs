//! Children that always have something to say, on a model of epoll's ready list: each has its turn.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use real_rustix::event::epoll::{self, EventData, EventFlags};
use real_rustix::event::{EventfdFlags, Timespec, eventfd};

#[path = "../../src/main_loop/turns.rs"]
mod turns;

use turns::Turns;

/// As the hub has it.
const EVENTS: usize = 64;
const NUMBERS: [usize; 7] = [1, 2, 63, 64, 65, 256, 1000];

/// The kernel's list of what is ready. What was reported, and may be ready again, comes after all others.
struct ReadyList(RefCell<VecDeque<usize>>);

impl ReadyList {
    fn of(children: usize) -> Self {
        Self(RefCell::new((0..children).collect()))
    }

    fn wait(&self, most: usize) -> Vec<usize> {
        let mut list = self.0.borrow_mut();
        let most = most.min(list.len());
        let reported: Vec<_> = list.drain(..most).collect();
        list.extend(&reported);
        reported
    }
}

#[test]
fn the_model_reports_what_epoll_reports() {
    for children in NUMBERS.into_iter().filter(|number| *number < 500) {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let ready: Vec<_> = (0..children)
            .map(|child| {
                let fd = eventfd(1, EventfdFlags::CLOEXEC).unwrap();
                let data = EventData::new_u64(child as u64);
                epoll::add(&epoll, &fd, data, EventFlags::IN).unwrap();
                fd
            })
            .collect();
        let model = ReadyList::of(children);
        for _ in 0..20 {
            let mut events = Vec::with_capacity(EVENTS);
            let room = real_rustix::buffer::spare_capacity(&mut events);
            epoll::wait(&epoll, room, Some(&Timespec::default())).unwrap();
            let reported: Vec<_> = events
                .iter()
                .map(|event| event.data.u64() as usize)
                .collect();
            assert_eq!(reported, model.wait(EVENTS), "{children} children");
        }
        drop(ready);
    }
}

/// How often the child that was called least and the one that was called most were called. A slice is over after so many
/// calls. With `forget`, what a dispatch leaves unhandled is lost, as epoll reports it again; with `nested`, every tenth
/// call runs a main loop of its own.
fn least_and_most(children: usize, slice: usize, forget: bool, nested: bool) -> (u32, u32) {
    let list = ReadyList::of(children);
    let calls = RefCell::new(vec![0_u32; children]);
    let turns = Cell::new(Some(Turns::new()));
    let look = |ready: &mut VecDeque<usize>| ready.extend(list.wait(EVENTS));
    let count = |child: usize| calls.borrow_mut()[child] += 1;
    for _ in 0..(children * 20).div_ceil(slice) {
        let now = turns.take().unwrap();
        let called = Cell::new(0);
        let call = |child| {
            count(child);
            called.set(called.get() + 1);
            if nested && child % 10 == 0 {
                let once = Cell::new(0);
                let call = |child| {
                    count(child);
                    once.set(1);
                };
                now.take(look, call, || once.get() == 1);
            }
        };
        now.take(look, call, || called.get() >= slice);
        turns.set(Some(if forget { Turns::new() } else { now }));
    }
    let calls = calls.into_inner();
    (*calls.iter().min().unwrap(), *calls.iter().max().unwrap())
}

#[test]
fn each_child_has_its_turn_at_any_number() {
    for children in NUMBERS {
        for slice in [1, 3, 50, 64, 65, 500] {
            for nested in [false, true] {
                let (least, most) = least_and_most(children, slice, false, nested);
                let which = format!("{children} children, {slice} calls: {least} to {most}");
                assert!(least > 0 && most - least <= 1, "{which}");
            }
        }
    }
}

#[test]
fn control_some_are_never_heard_if_what_was_reported_is_forgotten() {
    let (least, most) = least_and_most(256, 3, true, false);
    println!("{least} to {most} calls");
    assert!(least == 0 && most > 100);
}
