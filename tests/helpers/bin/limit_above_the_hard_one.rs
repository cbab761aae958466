//! Asks for limits that it may not set, without the capability that would allow it.

use legwork::Limit;
use legwork_tests::context::run;
use legwork_tests::programs::sh;
use legwork_tests::raw;
use rustix::process::{Resource, Rlimit, setrlimit};

const HARD: u64 = 500;

fn main() {
    let hard = Rlimit {
        current: Some(HARD),
        maximum: Some(HARD),
    };
    setrlimit(Resource::Nofile, hard).unwrap();
    // A user other than root has no capability to remove.
    raw::give_up_capability(raw::CAP_SYS_RESOURCE);
    run(|| async {
        for (soft, hard) in [
            (Some(HARD + 1), Some(HARD + 1)),
            (Some(HARD), Some(HARD + 1)),
            (Some(HARD), None),
            (None, None),
        ] {
            let asked = sh("true").limit(Limit::OpenFiles, soft, hard);
            let error = asked.spawn().await.unwrap_err();
            assert!(error.is_start() && !error.has_run(), "{error:?}");
            let words = error.to_string();
            assert!(words.contains("setting the limit RLIMIT_NOFILE"), "{words}");
            assert!(words.contains("Operation not permitted"), "{words}");
        }
        // The control: a limit that it may set.
        let may = sh("ulimit -Sn; ulimit -Hn").limit(Limit::OpenFiles, Some(HARD - 1), Some(HARD));
        assert_eq!(may.output().await.unwrap().stdout, b"499\n500\n");
    });
}
