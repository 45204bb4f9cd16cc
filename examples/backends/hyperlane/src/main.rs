//! `GET /` answers `Hello, World!` with the hyperlane framework; everything else is 404.
//!
//! hyperlane leaves to the application what other frameworks do by themselves: the reply is sent by hand, HEAD must
//! drop its own body, `Connection: close` must be written into the reply, an unmatched path gets no answer at all
//! unless a response middleware gives one, and shutdown does not wait for open connections. Each is done below.

use std::{
    env,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use hyperlane::{
    CLOSE, CONNECTION, CONTENT_TYPE, Context, Method, RequestConfig, RequestError, Server, ServerConfig, ServerHook,
    Status, Stream, TEXT_PLAIN,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

const BODY: &[u8] = b"Hello, World!";

/// Longer than the idle timeout of the usual gateways, so that the gateway and not the server ends an idle connection:
/// hyperlane's default of 6 s closes it silently and can meet the next request half way.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// hyperlane's shutdown only stops accepting. Our replies are ready within microseconds, so the requests that were
/// being read when the listener closed are answered well within this time.
const LAST_REPLIES: Duration = Duration::from_millis(500);

/// Set by SIGTERM: from then on every reply says `Connection: close`, so that clients leave before the listener does.
static DRAINING: AtomicBool = AtomicBool::new(false);

struct Hello;
struct NotFound;
struct Refuse;

impl ServerHook for Hello {
    async fn new(_: &mut Stream, _: &mut Context) -> Self {
        Self
    }

    async fn handle(self, stream: &mut Stream, ctx: &mut Context) -> Status {
        match ctx.get_request().get_method() {
            Method::Get | Method::Head => reply(stream, ctx, 200, BODY).await,
            _ => reply(stream, ctx, 405, b"").await,
        }
    }
}

impl ServerHook for NotFound {
    async fn new(_: &mut Stream, _: &mut Context) -> Self {
        Self
    }

    async fn handle(self, stream: &mut Stream, ctx: &mut Context) -> Status {
        reply(stream, ctx, 404, b"Not Found").await
    }
}

impl ServerHook for Refuse {
    async fn new(_: &mut Stream, _: &mut Context) -> Self {
        Self
    }

    async fn handle(self, stream: &mut Stream, ctx: &mut Context) -> Status {
        let status = match ctx.try_get_request_error_data() {
            // The client has left or is idle: there is nobody to answer. The last is also how hyperlane sees a
            // connection that was closed between two requests.
            None
            | Some(
                RequestError::ClientDisconnected(_)
                | RequestError::ClientClosedConnection(_)
                | RequestError::ReadConnection(_)
                | RequestError::ReadTimeout(_)
                | RequestError::HttpRequestPartsInsufficient(_),
            ) => return Status::Reject,
            Some(RequestError::PathTooLong(_)) => 414,
            Some(RequestError::TooManyHeaders(_)) => 431,
            Some(RequestError::ContentLengthTooLarge(_)) => 413,
            Some(_) => 400,
        };
        ctx.get_mut_response().reset().set_header(CONNECTION, CLOSE);
        reply(stream, ctx, status, b"").await
    }
}

async fn reply(stream: &mut Stream, ctx: &mut Context, status: usize, body: &[u8]) -> Status {
    let head = matches!(ctx.get_request().get_method(), Method::Head);
    let close = DRAINING.load(Ordering::Relaxed) || ctx.get_request().is_disable_keep_alive();
    let response = ctx.get_mut_response();
    response
        .set_status_code(status)
        .set_header(CONTENT_TYPE, TEXT_PLAIN)
        .set_body(body);
    if close {
        response.set_header(CONNECTION, CLOSE);
    }
    let mut bytes = response.build();
    if head {
        // The header block keeps the length that GET would have; the body itself is not sent.
        bytes.truncate(bytes.len() - body.len());
    }
    let sent = stream.try_send(bytes).await;
    if close || sent.is_err() {
        stream.set_closed(true);
    }
    Status::Reject // ends the pipeline for this request, not the connection
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
    let mut config = ServerConfig::default();
    config
        .set_address(format!("0.0.0.0:{}", number("PORT", 8080)))
        .set_nodelay(Some(true));
    let mut limits = RequestConfig::default();
    limits.set_read_timeout_ms(IDLE_TIMEOUT.as_millis() as u64);

    let mut server = Server::default();
    server.server_config(config).request_config(limits);
    server
        .route::<Hello>("/")
        .response_middleware::<NotFound>()
        .request_error::<Refuse>();

    // As process 1 a signal without a handler is ignored, so both are taken before the port opens.
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM cannot be handled");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT cannot be handled");
    let running = server
        .run()
        .await
        .unwrap_or_else(|error| panic!("cannot listen: {error}"));
    tokio::select! {
        _ = terminate.recv() => {
            DRAINING.store(true, Ordering::Relaxed);
            sleep(Duration::from_secs(number("DRAIN_SECONDS", 3))).await;
        }
        _ = interrupt.recv() => DRAINING.store(true, Ordering::Relaxed),
    }
    running.get_shutdown_hook()().await;
    running.get_wait_hook()().await;
    sleep(LAST_REPLIES).await;
}

fn main() {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(number("WORKERS", 1).max(1) as usize)
        .enable_all()
        .build()
        .expect("cannot start the runtime")
        .block_on(serve());
}
