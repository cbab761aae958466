fn main() {
    sums::JOBS.run_worker()
}
