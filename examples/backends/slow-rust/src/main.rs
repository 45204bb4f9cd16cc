//! A correct server with a flaw that an average hides: every SLOW_EVERYth `GET /` takes SLOW_MILLISECONDS.
//!
//! It is the candidate that a migration must roll back and a ranking must not praise. The flaw is counted, not drawn,
//! so two runs see the same share of slow replies. ERROR_EVERY adds replies of 500 for tests; it is off by default.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    middleware::map_response_with_state,
    response::{IntoResponse, Response},
    routing::get,
    serve::ListenerExt,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::sleep,
};

struct Backend {
    answered: AtomicU64,
    slow_every: u64,
    slow_for: Duration,
    error_every: u64,
    /// Set by SIGTERM: from then on every reply says `Connection: close`, so that clients leave before the listener.
    draining: AtomicBool,
}

async fn hello(State(backend): State<Arc<Backend>>) -> Response {
    let count = backend.answered.fetch_add(1, Ordering::Relaxed) + 1;
    if is_nth(count, backend.slow_every) {
        sleep(backend.slow_for).await;
    }
    let plain = [(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"))];
    if is_nth(count, backend.error_every) {
        return (StatusCode::INTERNAL_SERVER_ERROR, plain, "Internal Server Error").into_response();
    }
    (plain, "Hello, World!").into_response()
}

/// Whether `count` is a multiple of `every`; an `every` of 0 means never.
fn is_nth(count: u64, every: u64) -> bool {
    every != 0 && count.is_multiple_of(every)
}

async fn close_while_draining(State(backend): State<Arc<Backend>>, mut response: Response) -> Response {
    if backend.draining.load(Ordering::Relaxed) {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Returns when the listener may close: DRAIN_SECONDS after SIGTERM, or at once on SIGINT.
async fn until_drained(backend: Arc<Backend>) {
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM cannot be handled");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT cannot be handled");
    tokio::select! {
        _ = terminate.recv() => {
            backend.draining.store(true, Ordering::Relaxed);
            sleep(Duration::from_secs(number("DRAIN_SECONDS", 3))).await;
        }
        _ = interrupt.recv() => backend.draining.store(true, Ordering::Relaxed),
    }
}

fn number(name: &str, default: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} must be a whole number, not {text:?}")),
        Err(_) => default,
    }
}

async fn serve() {
    let backend = Arc::new(Backend {
        answered: AtomicU64::new(0),
        slow_every: number("SLOW_EVERY", 20),
        slow_for: Duration::from_millis(number("SLOW_MILLISECONDS", 80)),
        error_every: number("ERROR_EVERY", 0),
        draining: AtomicBool::new(false),
    });
    let routes = Router::new()
        .route("/", get(hello))
        .with_state(backend.clone())
        .layer(map_response_with_state(backend.clone(), close_while_draining));
    // As process 1 a signal without a handler is ignored, so the handlers are in place before the port opens.
    let drained = tokio::spawn(until_drained(backend));
    let listener = TcpListener::bind(("0.0.0.0", number("PORT", 8080) as u16))
        .await
        .unwrap_or_else(|error| panic!("cannot listen: {error}"))
        .tap_io(|stream| stream.set_nodelay(true).expect("TCP_NODELAY cannot be set"));
    // The graceful shutdown closes idle connections and waits for the requests in flight.
    axum::serve(listener, routes)
        .with_graceful_shutdown(async { drained.await.expect("the signal task failed") })
        .await
        .expect("the server failed");
}

fn main() {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(number("WORKERS", 1).max(1) as usize)
        .enable_all()
        .build()
        .expect("cannot start the runtime")
        .block_on(serve());
}
