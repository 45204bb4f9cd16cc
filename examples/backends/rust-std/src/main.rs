//! `GET /` answers `Hello, World!` with Rust's standard library alone: a thread for each connection.

mod http;

use std::{
    env,
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::fd::AsRawFd,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

/// A thread needs little more than its read buffer; the usual 2 MiB for each would be reserved for nothing.
const STACK: usize = 64 * 1024;
/// As many as tokio asks for.
const BACKLOG: i32 = 1024;
/// Longer than the idle timeout of the usual gateways, so that the gateway and not the server ends an idle connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// How long requests in flight may take when nothing is accepted any more; ours are answered within microseconds.
const LAST_REPLIES: Duration = Duration::from_secs(5);

/// Set by SIGTERM: from then on every reply says `Connection: close`, so that clients leave before the listener does.
static DRAINING: AtomicBool = AtomicBool::new(false);
/// From then on nothing is accepted.
static STOPPED: AtomicBool = AtomicBool::new(false);
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

fn converse(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    stream.set_write_timeout(Some(IDLE_TIMEOUT))?;
    let mut connection = http::Connection::default();
    let mut buffer = [0; 4096];
    let mut in_flight = None;
    while !connection.closing {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        in_flight.get_or_insert_with(InFlight::new);
        connection.take(&buffer[..count], DRAINING.load(Ordering::Relaxed));
        stream.write_all(&connection.out)?;
        connection.out.clear();
        if connection.is_idle() {
            in_flight = None;
        }
    }
    if connection.refused {
        // Closing with bytes unread would reset the connection, and the client could lose the answer.
        stream.shutdown(Shutdown::Write)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        io::copy(&mut stream.take(1024 * 1024), &mut io::sink())?;
    }
    Ok(())
}

fn accept(listener: TcpListener) {
    while !STOPPED.load(Ordering::Relaxed) {
        let started = listener.accept().and_then(|(stream, _)| {
            // An error of a connection means that the client has left.
            thread::Builder::new()
                .stack_size(STACK)
                .spawn(move || drop(converse(stream)))
        });
        if started.is_err() {
            // Out of threads or file descriptors, mostly: better in a moment.
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The standard library listens with a queue of 128, which 360 clients that connect at once overrun: each that finds no
/// place tries again a second later. It has no setting for that; a second call of listen(2) makes the queue longer.
fn lengthen_queue(listener: &TcpListener) {
    unsafe extern "C" {
        safe fn listen(socket: i32, backlog: i32) -> i32;
    }
    assert_eq!(
        listen(listener.as_raw_fd(), BACKLOG),
        0,
        "the queue cannot be made longer"
    );
}

fn number(name: &str, default: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} must be a whole number, not {text:?}")),
        Err(_) => default,
    }
}

fn main() {
    // As process 1 a signal without a handler is ignored, so both are taken before the port opens.
    let mut signals = Signals::new([SIGTERM, SIGINT]).expect("signals cannot be handled");
    let port = number("PORT", 8080) as u16;
    let listener = TcpListener::bind(("0.0.0.0", port)).unwrap_or_else(|error| panic!("cannot listen: {error}"));
    lengthen_queue(&listener);
    let accepting = thread::spawn(|| accept(listener));

    let received = signals.forever().next();
    DRAINING.store(true, Ordering::Relaxed);
    if received == Some(SIGTERM) {
        thread::sleep(Duration::from_secs(number("DRAIN_SECONDS", 3)));
    }
    // The accepting thread looks at it after each connection, so one more wakes it.
    STOPPED.store(true, Ordering::Relaxed);
    if TcpStream::connect(("127.0.0.1", port)).is_ok() {
        accepting.join().expect("the accepting thread panicked");
    }
    // Idle connections end with the process. The first pause lets in what was accepted and not yet read.
    let started = Instant::now();
    thread::sleep(Duration::from_millis(20));
    while IN_FLIGHT.load(Ordering::Relaxed) > 0 && started.elapsed() < LAST_REPLIES {
        thread::sleep(Duration::from_millis(20));
    }
}
