use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::daemon::accepted::Accepted;
use crate::daemon::forget::{Renewal, Traces};
use crate::daemon::history::History;
use crate::daemon::intake::Lost;
use crate::daemon::mailbox::Mailbox;
use crate::daemon::queue::{Taken, queue};
use crate::daemon::sinks::SinkStates;
use crate::daemon::vitals::Vitals;
use crate::engine::{Engine, Settings};
use crate::process::Identity;
use crate::sink::spool::{Caps, Spool};
use tokio::sync::{broadcast, mpsc};

/// A control socket over an engine that has seen nothing.
struct Rig {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    findings: broadcast::Sender<Arc<str>>,
}

impl Rig {
    fn new(may: fn(u32) -> bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let spool = Spool::open(&folder.path().join("spool"), Caps::default()).unwrap();
        let vitals = Vitals {
            began: Instant::now(),
            host: Arc::from("mac"),
            watch: spool.watch(),
            watched: crate::source::live::SourceWatch::default(),
            effort: None,
            sinks: SinkStates::default(),
            lost: Lost::default(),
            accepted: Accepted::default(),
            history: History::default(),
            notes: Arc::new(Mutex::default()),
        };
        let (queue, outlet) = queue(16);
        let (mailbox, questions) = Mailbox::new(queue);
        thread::spawn(move || {
            let mut engine = Engine::new(Settings::default());
            while outlet.wait(&mut Vec::new(), None) != Taken::Stop {
                questions.answer(&mut engine, &mut Vec::new());
            }
        });
        let (findings, _) = broadcast::channel(8);
        let (reload, mut reloads) = mpsc::channel::<ReloadRequest>(1);
        runtime.spawn(async move {
            while let Some(asked) = reloads.recv().await {
                let _ = asked.send(Err("line 2: `lern_days` is no setting".to_owned()));
            }
        });
        let spool = Arc::new(Mutex::new(spool));
        let traces = Traces {
            state: folder.path().to_owned(),
            archive: None,
            history: History::default(),
            spool: Arc::clone(&spool),
            renewal: Renewal::default(),
        };
        let desk = Desk { vitals, mailbox, findings: findings.clone(), reload, spool, traces };
        let listener = runtime.block_on(async { bind(&folder.path().join(SOCKET)) }).unwrap();
        runtime.spawn(server::serve_users(listener, desk, may));
        Self { folder, runtime, findings }
    }

    fn state(&self) -> &Path {
        self.folder.path()
    }

    fn client(&self) -> Client {
        Client::connect(self.state()).unwrap()
    }

    fn raw(&self) -> UnixStream {
        let stream = UnixStream::connect(self.state().join(SOCKET)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }
}

fn subject() -> Subject {
    Subject { image: Identity::new("apple:com.apple.curl"), initiator: None }
}

#[test]
fn a_client_may_ask_several_things_on_one_connection() {
    let rig = Rig::new(|_| true);
    let mut client = rig.client();
    let status = client.ask(Request::Status { subjects: 3 }).unwrap();
    assert_eq!(status["schema"], "tidemark.status/1");
    assert_eq!(status["engine"]["observations"], 0);
    let refused = client.ask(Request::Approve { subject: subject() }).unwrap_err().to_string();
    assert!(refused.contains("apple:com.apple.curl"), "{refused}");
    let refused = client.ask(Request::Forget { subject: subject() }).unwrap_err().to_string();
    assert!(refused.contains("not known"), "{refused}");
    let refused = client.ask(Request::Reload).unwrap_err().to_string();
    assert!(refused.contains("lern_days"), "{refused}");
}

#[test]
fn another_user_is_turned_away_and_told_so() {
    let rig = Rig::new(|_| false);
    let refused = rig.client().ask(Request::Status { subjects: 0 }).unwrap_err().to_string();
    assert!(refused.contains("for root"), "{refused}");
}

#[test]
fn the_socket_is_for_its_owner_alone_and_takes_the_place_of_an_old_one() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(SOCKET);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for _ in 0..2 {
        let _listener = runtime.block_on(async { bind(&path) }).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn garbage_and_endless_lines_end_a_connection_and_nothing_else() {
    let rig = Rig::new(|_| true);
    for garbage in [
        b"\0\xff\xfe\n".to_vec(),
        b"{\"version\":1}\n".to_vec(),
        b"{\"version\":1,\"request\":\"launch\"}\n".to_vec(),
        [b"[".repeat(40_000), b"\n".to_vec()].concat(),
        b"x".repeat(usize::try_from(MOST_LINE).unwrap() + 10),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ] {
        let mut stream = rig.raw();
        // What the daemon did not want to read any more may fail to be written.
        let _ = stream.write_all(&garbage);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(answer.is_empty() || answer.contains("\"error\""), "{answer}");
    }
    let newer = rig.raw().write_all(b"{\"version\":2,\"request\":\"reload\"}\n");
    assert!(newer.is_ok());
    assert!(rig.client().ask(Request::Status { subjects: 0 }).is_ok());
}

#[test]
fn a_thousand_connections_that_say_nothing_are_bounded_and_pass() {
    let rig = Rig::new(|_| true);
    let connect = |_| {
        let stream = UnixStream::connect(rig.state().join(SOCKET)).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    let mut silent: Vec<_> = (0..1_000).map(connect).collect();
    // Those that are served hear nothing; one that is not hears so, and is closed.
    let deadline = Instant::now() + Duration::from_secs(60);
    while silent.len() >= 100 {
        silent.retain_mut(|stream| {
            let mut answer = [0; 256];
            match stream.read(&mut answer) {
                Ok(length) => {
                    let answer = String::from_utf8_lossy(&answer[..length]);
                    assert!(answer.is_empty() || answer.contains("too many"), "{answer}");
                    false
                }
                Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
            }
        });
        assert!(Instant::now() < deadline, "{} of 1,000 are served", silent.len());
        thread::sleep(Duration::from_millis(5));
    }
    drop(silent);
    // Their places are free again: half-open clients held them only as long as they were there.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = rig.client().ask(Request::Status { subjects: 0 });
        if answer.is_ok() {
            break;
        }
        assert!(Instant::now() < deadline, "{answer:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn findings_are_followed_as_they_come_and_a_slow_follower_is_told_what_it_missed() {
    let rig = Rig::new(|_| true);
    let mut followed = rig.client().tail().unwrap();
    rig.findings.send(Arc::from("{\"n\":1}")).unwrap();
    assert_eq!(followed.next().unwrap().unwrap(), "{\"n\":1}");
    // More than the socket's buffer and the channel hold together, while nobody reads.
    let large: Arc<str> = Arc::from(format!("{{\"large\":\"{}\"}}", "x".repeat(64 << 10)));
    for _ in 0..64 {
        rig.findings.send(Arc::clone(&large)).unwrap();
    }
    assert!(followed.take(64).any(|line| line.unwrap().starts_with("{\"missed\":")));
    drop(rig.runtime);
}
