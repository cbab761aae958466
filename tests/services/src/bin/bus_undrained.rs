//! Keeps a stream of messages that it does not read, and calls a method behind it; or reads it, as the control.

use std::time::Duration;

use futures_util::StreamExt;
use legwork::{bus, glib};
use legwork_service_tests::greeter::{Greeter, GreeterProxy, PATH};
use zbus::{MatchRule, MessageStream};

fn main() {
    let drains = std::env::args().any(|argument| argument == "drains");
    glib::MainContext::default().block_on(async {
        let served = bus::session()
            .configure(|builder| builder.serve_at(PATH, Greeter::new()))
            .await
            .unwrap();
        let caller = bus::session().await.unwrap();
        let rule = MatchRule::builder()
            .interface("org.legwork.Greeter")
            .build()
            .unwrap();
        let mut stream = MessageStream::for_match_rule(rule, &caller, None)
            .await
            .unwrap();
        let name = served.unique_name().unwrap().clone();
        let proxy = GreeterProxy::builder(&caller)
            .destination(&name)
            .build()
            .await
            .unwrap();
        let calls = async {
            for _ in 0..200 {
                proxy.greet("world").await.unwrap();
            }
        };
        let time = glib::timeout_future(Duration::from_secs(4));
        if drains {
            let all = async {
                for _ in 0..200 {
                    stream.next().await;
                }
            };
            futures_util::future::join(calls, all).await;
            println!("answered");
        } else {
            futures_util::pin_mut!(calls);
            match futures_util::future::select(calls, time).await {
                futures_util::future::Either::Left(_) => println!("answered"),
                futures_util::future::Either::Right(_) => println!("not answered"),
            }
        }
    });
}
