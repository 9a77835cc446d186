//! A receiver that does what it is told: answer, lie, break off, fall silent.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use flate2::read::GzDecoder;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What to do with a request.
pub(crate) enum Act {
    /// 200 and this body.
    Take(String),
    /// A status, header lines, a body.
    Say(u16, &'static str, String),
    /// Begins an answer of 200 and closes in the middle of its body.
    BreakOff,
    /// As `Take`, after so long.
    Late(std::time::Duration),
    /// Says nothing, and keeps the connection.
    Silence,
}

/// What came in.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Its line and headers.
    pub(crate) head: String,
    /// Its body, decompressed.
    pub(crate) body: String,
}

impl Request {
    /// Ids of the events in the body, in order: every dialect carries the event's own text.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.body
            .lines()
            .filter(|line| !line.starts_with(r#"{"create""#))
            .filter_map(|line| Some(line.split_once(r#""id":""#)?.1.split_once('"')?.0.to_owned()))
            .collect()
    }
}

type Script = Arc<dyn Fn(usize, &Request) -> Act + Send + Sync>;

/// A receiver on loopback; it dies when dropped.
pub(crate) struct Hostile {
    pub(crate) address: SocketAddr,
    /// Requests to which the answer was [`Act::Take`].
    taken: Arc<Mutex<Vec<Request>>>,
    seen: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Hostile {
    /// Answers the n-th request as the script says.
    pub(crate) async fn start(script: impl Fn(usize, &Request) -> Act + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", None, script).await
    }

    pub(crate) async fn start_at(
        address: &str,
        tls: Option<TlsAcceptor>,
        script: impl Fn(usize, &Request) -> Act + Send + Sync + 'static,
    ) -> Self {
        // Where another one has just died, its port is free a moment later.
        let listener = loop {
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        let address = listener.local_addr().unwrap();
        let script: Script = Arc::new(script);
        let (taken, seen) = (Arc::default(), Arc::default());
        let record = (Arc::clone(&taken), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            // Connections die with the receiver.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (script, record, tls) = (Arc::clone(&script), record.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => converse(stream, &script, &record).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(stream, &script, &record).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, taken, seen, task }
    }

    pub(crate) fn taken(&self) -> Vec<Request> {
        self.taken.lock().unwrap().clone()
    }

    /// Ids of all events that were taken, in order.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.taken().iter().flat_map(Request::ids).collect()
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Record = (Arc<Mutex<Vec<Request>>>, Arc<Mutex<Vec<Request>>>);

async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, script: &Script, (taken, seen): &Record) {
    while let Some(request) = read(&mut stream).await {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            seen.len() - 1
        };
        let (status, headers, body) = match script(number, &request) {
            Act::Take(body) => {
                taken.lock().unwrap().push(request);
                (200, "", body)
            }
            Act::Late(delay) => {
                tokio::time::sleep(delay).await;
                taken.lock().unwrap().push(request);
                (200, "", String::new())
            }
            Act::Say(status, headers, body) => (status, headers, body),
            Act::BreakOff => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"te").await;
                return;
            }
            Act::Silence => return std::future::pending().await,
        };
        let answer = format!("HTTP/1.1 {status} x\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.split_once("content-length: ")?.1.split_once('\r')?.0.parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    if head.contains("content-encoding: gzip") {
        let mut plain = Vec::new();
        GzDecoder::new(body.as_slice()).read_to_end(&mut plain).unwrap();
        body = plain;
    }
    Some(Request { head, body: String::from_utf8(body).unwrap() })
}
