//! `GET /` answers `Hello, World!` over tokio's TCP, with no HTTP library: a task for each connection.

mod http;

use std::{
    env, io,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, sink},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    time::{sleep, timeout},
};

/// Longer than the idle timeout of the usual gateways, so that the gateway and not the server ends an idle connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// How long requests in flight may take when the listener has closed; ours are answered within microseconds.
const LAST_REPLIES: Duration = Duration::from_secs(5);

/// Set by SIGTERM: from then on every reply says `Connection: close`, so that clients leave before the listener does.
static DRAINING: AtomicBool = AtomicBool::new(false);
/// Connections that are within a request.
static IN_FLIGHT: AtomicUsize = AtomicUsize::new(0);

/// Counted in `IN_FLIGHT` for as long as it lives, however the connection ends.
struct InFlight;

impl InFlight {
    fn new() -> Self {
        IN_FLIGHT.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        IN_FLIGHT.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn converse(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = http::Connection::default();
    let mut buffer = [0; 4096];
    let mut in_flight = None;
    while !connection.closing {
        let count = timeout(IDLE_TIMEOUT, stream.read(&mut buffer)).await??;
        if count == 0 {
            return Ok(());
        }
        in_flight.get_or_insert_with(InFlight::new);
        connection.take(&buffer[..count], DRAINING.load(Ordering::Relaxed));
        timeout(IDLE_TIMEOUT, stream.write_all(&connection.out)).await??;
        connection.out.clear();
        if connection.is_idle() {
            in_flight = None;
        }
    }
    if connection.refused {
        // Closing with bytes unread would reset the connection, and the client could lose the answer.
        stream.shutdown().await?;
        let _ = timeout(Duration::from_secs(1), copy(&mut stream, &mut sink())).await;
    }
    Ok(())
}

async fn accept(listener: TcpListener) {
    loop {
        match listener.accept().await {
            // An error means that the client has left.
            Ok((stream, _)) => drop(tokio::spawn(converse(stream))),
            // Out of file descriptors, mostly: better in a moment.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
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
    // As process 1 a signal without a handler is ignored, so both are taken before the port opens.
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM cannot be handled");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT cannot be handled");
    let listener = TcpListener::bind(("0.0.0.0", number("PORT", 8080) as u16))
        .await
        .unwrap_or_else(|error| panic!("cannot listen: {error}"));
    // A task of its own runs on a worker: here, every connection would be handed from one thread to another.
    let accepting = tokio::spawn(accept(listener));
    tokio::select! {
        _ = terminate.recv() => {
            DRAINING.store(true, Ordering::Relaxed);
            sleep(Duration::from_secs(number("DRAIN_SECONDS", 3))).await;
        }
        _ = interrupt.recv() => DRAINING.store(true, Ordering::Relaxed),
    }
    accepting.abort(); // which closes the listener
    // Idle connections end with the process. The first pause lets in what was accepted and not yet read.
    let answered = async {
        loop {
            sleep(Duration::from_millis(20)).await;
            if IN_FLIGHT.load(Ordering::Relaxed) == 0 {
                break;
            }
        }
    };
    let _ = timeout(LAST_REPLIES, answered).await;
}

fn main() {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(number("WORKERS", 1).max(1) as usize)
        .enable_all()
        .build()
        .expect("cannot start the runtime")
        .block_on(serve());
}
