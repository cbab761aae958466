//! Other crates that call a process: zbus peer-to-peer, and procspawn's pool. Built with the feature `peers`.

use std::os::unix::net::UnixStream;

use glib::MainContext;
use legwork_benches::data::Call;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use zbus::connection::{Builder, Connection};

use super::native::{Child, Program, inherited_end};
use crate::Result;

const PATH: &str = "/org/legwork/Bench";
const INTERFACE: &str = "org.legwork.Bench";

/// A method in a child that returns its argument, over a D-Bus connection without a bus.
pub(crate) struct Zbus {
    connection: Connection,
    context: MainContext,
    _child: Child,
}

impl Zbus {
    pub(crate) fn start(context: &MainContext) -> Result<Self> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let child = Program::new(&std::env::current_exe()?, &["--control", "zbus"])?
            .spawn_with_end(&theirs)?;
        let connection =
            context.block_on(Builder::unix_stream(UnixStream::from(ours)).p2p().build())?;
        Ok(Zbus {
            connection,
            context: context.clone(),
            _child: child,
        })
    }

    pub(crate) fn call(&self, calls: usize) -> Result<()> {
        let bytes = [1; size_of::<Call>()];
        self.context.block_on(async {
            for _ in 0..calls {
                self.connection
                    .call_method(None::<&str>, PATH, Some(INTERFACE), "Echo", &(&bytes[..]))
                    .await?;
            }
            Ok(())
        })
    }
}

struct Service;

#[zbus::interface(name = "org.legwork.Bench")]
impl Service {
    fn echo(&self, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }
}

/// The child: serves until it is killed.
pub(crate) fn serve_zbus() -> Result<()> {
    let stream = UnixStream::from(inherited_end());
    MainContext::new().block_on(async {
        let guid = zbus::Guid::generate();
        let _connection = Builder::unix_stream(stream)
            .server(guid)
            .p2p()
            .serve_at(PATH, Service)
            .build()
            .await?;
        std::future::pending().await
    })
}

/// A pool with one worker.
pub(crate) struct Procspawn(procspawn::Pool);

impl Procspawn {
    pub(crate) fn start() -> Result<Self> {
        Ok(Procspawn(procspawn::Pool::new(1)?))
    }

    pub(crate) fn call(&self, calls: usize) -> Result<()> {
        let call: Call = [[1; 32]; 2];
        for _ in 0..calls {
            procspawn::spawn!(in self.0, (call => call) || call).join()?;
        }
        Ok(())
    }
}
