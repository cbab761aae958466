//! A program that is set-user-ID, becomes root for good as an authorised helper does, and runs for some seconds.

fn main() {
    legwork_tests::raw::become_user(0);
    println!("root");
    let seconds = std::env::args().nth(1).unwrap().parse().unwrap();
    std::thread::sleep(std::time::Duration::from_secs_f64(seconds));
}
