//! `GET /` answers `Hello, World!` with the Rocket framework; everything else is 404.
//!
//! Rocket's own reaction to SIGTERM is to stop accepting at once. Behind a gateway that is too early, so its signals
//! are off and it is told to shut down when the drain is over.

use std::{
    collections::HashSet,
    env,
    net::Ipv4Addr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rocket::{
    Config, Request, Response,
    config::{Ident, LogLevel},
    fairing::AdHoc,
    http::{ContentType, Status},
    shield::Shield,
    tokio::{
        runtime, select,
        signal::unix::{SignalKind, signal},
        spawn,
        time::sleep,
    },
};

/// Set by SIGTERM: from then on every reply says `Connection: close`, so that clients leave before the listener does.
static DRAINING: AtomicBool = AtomicBool::new(false);

/// Rocket's own `ContentType::Plain` says `text/plain; charset=utf-8`.
const PLAIN: ContentType = ContentType(rocket::http::MediaType::const_new("text", "plain", &[]));

#[rocket::get("/")]
fn hello() -> (ContentType, &'static str) {
    (PLAIN, "Hello, World!")
}

/// Rocket's own catcher answers with a page of HTML.
#[rocket::catch(default)]
fn refuse(status: Status, _: &Request) -> (ContentType, &'static str) {
    (PLAIN, status.reason_lossy())
}

fn close_while_draining() -> AdHoc {
    AdHoc::on_response("close while draining", |_, response: &mut Response| {
        Box::pin(async move {
            if DRAINING.load(Ordering::Relaxed) {
                response.set_raw_header("Connection", "close");
            }
        })
    })
}

fn number(name: &str, default: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} must be a whole number, not {text:?}")),
        Err(_) => default,
    }
}

fn config(workers: usize) -> Config {
    let mut config = Config {
        address: Ipv4Addr::UNSPECIFIED.into(),
        port: number("PORT", 8080) as u16,
        workers,
        ident: Ident::none(),
        log_level: LogLevel::Off,
        cli_colors: false,
        ..Config::release_default()
    };
    config.shutdown.ctrlc = false;
    config.shutdown.signals = HashSet::new();
    config
}

async fn serve(workers: usize) {
    // As process 1 a signal without a handler is ignored, so both are taken before the port opens.
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM cannot be handled");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT cannot be handled");
    let rocket = rocket::custom(config(workers))
        .attach(Shield::new()) // without any of its headers
        .attach(close_while_draining())
        .mount("/", rocket::routes![hello])
        .register("/", rocket::catchers![refuse])
        .ignite()
        .await
        .unwrap_or_else(|error| panic!("cannot start: {error}"));
    let shutdown = rocket.shutdown();
    // A task of its own runs on a worker: here, every connection would be handed from one thread to another.
    let mut launched = spawn(rocket.launch());
    select! {
        ended = &mut launched => panic!("the server failed: {ended:?}"),
        _ = terminate.recv() => {
            DRAINING.store(true, Ordering::Relaxed);
            sleep(Duration::from_secs(number("DRAIN_SECONDS", 3))).await;
        }
        _ = interrupt.recv() => DRAINING.store(true, Ordering::Relaxed),
    }
    shutdown.notify();
    // The shutdown closes idle connections and waits for the requests in flight.
    if let Err(error) = launched.await.expect("the server panicked") {
        panic!("the server failed: {error}");
    }
}

fn main() {
    // Rocket's own runtime takes its size from Rocket.toml and ROCKET_WORKERS; this one takes it from WORKERS.
    let workers = number("WORKERS", 1).max(1) as usize;
    runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
        .expect("cannot start the runtime")
        .block_on(serve(workers));
}
