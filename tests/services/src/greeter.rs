//! An interface with a property, a method, a signal, and a method that never answers.

#![allow(missing_docs)] // of what the macro makes

use zbus::object_server::SignalEmitter;

/// Where it is served.
pub const PATH: &str = "/org/legwork/Greeter";

/// See the module.
#[derive(Debug)]
pub struct Greeter {
    /// What comes before the name.
    pub greeting: String,
}

impl Greeter {
    /// Returns one that greets in English.
    pub fn new() -> Self {
        Self {
            greeting: "Hello".into(),
        }
    }
}

impl Default for Greeter {
    fn default() -> Self {
        Self::new()
    }
}

#[zbus::interface(
    name = "org.legwork.Greeter",
    proxy(default_path = "/org/legwork/Greeter")
)]
impl Greeter {
    async fn greet(
        &self,
        name: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> zbus::fdo::Result<String> {
        emitter.greeted(name).await?;
        Ok(format!("{} {name}!", self.greeting))
    }

    async fn never(&self) {
        std::future::pending::<()>().await;
    }

    fn panic(&self) {
        panic!("on purpose");
    }

    #[zbus(property)]
    fn greeting(&self) -> String {
        self.greeting.clone()
    }

    #[zbus(property)]
    fn set_greeting(&mut self, greeting: &str) {
        self.greeting = greeting.into();
    }

    #[zbus(signal)]
    async fn greeted(emitter: &SignalEmitter<'_>, name: &str) -> zbus::Result<()>;
}
