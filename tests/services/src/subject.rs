//! What a worker serves to its app in the tests.

#![allow(missing_docs)] // of what the macro makes

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

/// Where it is served.
pub const PATH: &str = "/org/legwork/Subject";

/// See the module.
#[derive(Debug)]
pub struct Subject;

#[zbus::interface(
    name = "org.legwork.Subject",
    proxy(
        default_service = "org.legwork.Subject",
        default_path = "/org/legwork/Subject"
    )
)]
impl Subject {
    fn sum(&self, numbers: Vec<u64>) -> u64 {
        numbers.into_iter().sum()
    }

    fn echo(&self, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }

    fn read(&self, file: zbus::OwnedFd) -> zbus::fdo::Result<String> {
        let mut text = String::new();
        File::from(OwnedFd::from(file))
            .read_to_string(&mut text)
            .map_err(|error| zbus::fdo::Error::Failed(error.to_string()))?;
        Ok(text)
    }

    fn fail(&self) -> zbus::fdo::Result<()> {
        Err(zbus::fdo::Error::Failed("on purpose".into()))
    }

    fn abort(&self) {
        std::process::abort();
    }

    fn exit(&self) {
        std::process::exit(3);
    }

    async fn never(&self) {
        std::future::pending::<()>().await;
    }

    #[zbus(signal)]
    async fn flooded(
        emitter: &zbus::object_server::SignalEmitter<'_>,
        text: &str,
    ) -> zbus::Result<()>;
}
