//! As much of HTTP/1.1 as it takes to answer `GET /` honestly. rust-std and tokio hold the same file, and a test
//! compares the two, so that they differ in nothing but how they read and write: here nothing is read or written.

use std::time::{SystemTime, UNIX_EPOCH};

/// What is read before the end of a head has to be held; no honest head is longer.
const MOST_HEAD: usize = 16 * 1024;
const HELLO: (&str, &str) = ("200 OK", "Hello, World!");
const NOT_FOUND: (&str, &str) = ("404 Not Found", "Not Found");
const NOT_ALLOWED: (&str, &str) = ("405 Method Not Allowed", "");
const MALFORMED: &str = "400 Bad Request";

/// The server's side of one connection: bytes go in by `take`, answers come out in `out`.
#[derive(Default)]
pub struct Connection {
    /// Answers to be sent; whoever sends them empties it.
    pub out: Vec<u8>,
    /// Nothing more is read; the connection ends when `out` is sent.
    pub closing: bool,
    /// A request was refused, so that unread bytes of it may still come.
    pub refused: bool,
    unread: Vec<u8>,
    /// The request whose body is being read; nobody reads it, but the next request begins behind it.
    current: Option<Request>,
    date: (u64, String),
}

struct Request {
    answer: (&'static str, &'static str),
    body_left: u64,
    expects_continue: bool,
    is_head: bool,
    close: bool,
}

impl Connection {
    /// Between two requests: nothing is lost when it ends now.
    pub fn is_idle(&self) -> bool {
        self.unread.is_empty() && self.current.is_none()
    }

    /// Takes what was read: a part of a request, or several at once.
    pub fn take(&mut self, bytes: &[u8], draining: bool) {
        self.unread.extend_from_slice(bytes);
        while !self.closing {
            let Some(mut request) = self.current.take() else {
                match parse(&self.unread) {
                    Ok(None) => return,
                    Ok(Some((length, request))) => {
                        self.unread.drain(..length);
                        if request.expects_continue && request.body_left > 0 {
                            self.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                        }
                        self.current = Some(request);
                    }
                    Err(status) => {
                        self.refused = true;
                        self.answer((status, ""), false, true);
                    }
                }
                continue;
            };
            let skipped = self
                .unread
                .len()
                .min(usize::try_from(request.body_left).unwrap_or(usize::MAX));
            self.unread.drain(..skipped);
            request.body_left -= skipped as u64;
            if request.body_left > 0 {
                self.current = Some(request);
                return;
            }
            self.answer(request.answer, request.is_head, request.close || draining);
        }
    }

    fn answer(&mut self, (status, body): (&str, &str), is_head: bool, close: bool) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |past| past.as_secs());
        if self.date.0 != now {
            self.date = (now, http_date(now));
        }
        let mut put = |text: &str| self.out.extend_from_slice(text.as_bytes());
        put("HTTP/1.1 ");
        put(status);
        put("\r\nContent-Type: text/plain\r\nContent-Length: ");
        put(&body.len().to_string());
        put("\r\nDate: ");
        put(&self.date.1);
        if status == NOT_ALLOWED.0 {
            put("\r\nAllow: GET, HEAD");
        }
        put(if close {
            "\r\nConnection: close\r\n\r\n"
        } else {
            "\r\n\r\n"
        });
        if !is_head {
            put(body);
        }
        self.closing = close;
    }
}

/// The first request of `read` and the length of its head; None when more must be read; or the status that refuses it.
fn parse(read: &[u8]) -> Result<Option<(usize, Request)>, &'static str> {
    // Empty lines before a request are left over from clients that end a body with one.
    let start = 2 * read.chunks(2).take_while(|two| *two == b"\r\n").count();
    let Some(end) = read[start..].windows(4).position(|four| four == b"\r\n\r\n") else {
        return if read.len() < MOST_HEAD {
            Ok(None)
        } else {
            Err("431 Request Header Fields Too Large")
        };
    };
    // Every line must end in CR LF, and no other CR, LF or NUL may stand anywhere.
    let mut lines = read[start..start + end + 2]
        .split_inclusive(|&byte| byte == b'\n')
        .map(|line| {
            let line = line.strip_suffix(b"\r\n").ok_or(MALFORMED)?;
            if line.contains(&b'\r') || line.contains(&0) {
                Err(MALFORMED)
            } else {
                Ok(line)
            }
        });

    let mut words = lines.next().ok_or(MALFORMED)??.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(MALFORMED);
    };
    if !is_token(method) || target.is_empty() {
        return Err(MALFORMED);
    }
    let is_1_0 = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ if version.starts_with(b"HTTP/") => return Err("505 HTTP Version Not Supported"),
        _ => return Err(MALFORMED),
    };
    let answer = match (is_root(target), method) {
        (true, b"GET" | b"HEAD") => HELLO,
        (true, _) => NOT_ALLOWED,
        (false, _) => NOT_FOUND,
    };
    // HTTP/1.0 may ask for keep-alive; we need not grant it.
    let mut request = Request {
        answer,
        body_left: 0,
        expects_continue: false,
        is_head: method == b"HEAD",
        close: is_1_0,
    };
    let (mut hosts, mut length) = (0, None);
    for line in lines {
        let line = line?;
        let colon = line.iter().position(|&byte| byte == b':').ok_or(MALFORMED)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if !is_token(name) {
            return Err(MALFORMED); // a continued line, too: it begins with a space
        } else if name.eq_ignore_ascii_case(b"host") {
            hosts += 1;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let new = whole_number(value).ok_or(MALFORMED)?;
            if length.replace(new).is_some_and(|old| old != new) {
                return Err(MALFORMED);
            }
            request.body_left = new;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err("501 Not Implemented");
        } else if name.eq_ignore_ascii_case(b"connection") {
            let mut options = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
            request.close |= options.any(|option| option.eq_ignore_ascii_case(b"close"));
        } else if name.eq_ignore_ascii_case(b"expect") {
            request.expects_continue = !is_1_0 && value.eq_ignore_ascii_case(b"100-continue");
        }
    }
    if hosts > 1 || (hosts == 0 && !is_1_0) {
        return Err(MALFORMED);
    }
    Ok(Some((start + end + 4, request)))
}

/// `/` in either form, with or without a query.
fn is_root(target: &[u8]) -> bool {
    let path = match target.strip_prefix(b"http://") {
        Some(rest) => &rest[rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len())..],
        None if target[0] == b'/' => target,
        None => return false,
    };
    matches!(path, [] | b"/" | [b'?', ..] | [b'/', b'?', ..])
}

fn is_token(word: &[u8]) -> bool {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !word.is_empty() && word.iter().all(is_allowed)
}

/// Digits only: `parse` alone would let a sign through.
fn whole_number(text: &[u8]) -> Option<u64> {
    let text = str::from_utf8(text).ok()?;
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn http_date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]; // 1970 began on a Thursday
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let leap = |year: u64| u64::from(year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut day, mut year, mut month) = (seconds / 86_400, 1970, 0);
    let name = DAYS[(day % 7) as usize];
    while day >= 365 + leap(year) {
        day -= 365 + leap(year);
        year += 1;
    }
    for length in [31, 28 + leap(year), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let month = &MONTHS[3 * month..3 * month + 3];
    format!(
        "{name}, {:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT",
        day + 1
    )
}
