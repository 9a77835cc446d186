//! Receivers that people run: Tenzir and rsyslog, as `scripts/receivers.sh` installs them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tidemark::alert::Alert;
use tidemark::sink::Course;

use crate::rig::{PATIENCE, Rig, pki};
use crate::secure::tls;

/// A program on loopback; killed when dropped.
struct Server(Child);

impl Server {
    fn start(command: &mut Command, port: u16) -> Self {
        let server = Self(command.stdin(Stdio::null()).spawn().unwrap());
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < PATIENCE, "the receiver does not listen");
            std::thread::sleep(Duration::from_millis(100));
        }
        server
    }
}

impl Drop for Server {
    /// SIGKILL, which is the point of some tests.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn tenzir() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/receivers/python/bin/tenzir");
    let there = program.exists();
    if !there {
        println!("SKIPPED: Tenzir is not installed; `bash scripts/receivers.sh` does it");
    }
    there.then_some(program)
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Runs a pipeline whose output is appended to a file.
fn pipeline(program: &Path, text: &str, out: &Path, port: u16) -> Server {
    let out: File = OpenOptions::new().create(true).append(true).open(out).unwrap();
    Server::start(Command::new(program).arg(text).stdout(out).stderr(Stdio::null()), port)
}

/// Ids in a receiver's output, and how many lines there were.
fn ids(out: &Path) -> (Vec<String>, usize) {
    let text = std::fs::read_to_string(out).unwrap();
    let mut ids: Vec<_> = text
        .lines()
        .filter_map(|line| Some(line.split_once(r#""id":""#)?.1.split_once('"')?.0.to_owned()))
        .collect();
    let lines = ids.len();
    ids.sort();
    ids.dedup();
    (ids, lines)
}

/// Waits for the receiver to have written what it took.
async fn settle(out: &Path, wanted: usize) {
    let began = Instant::now();
    while ids(out).0.len() < wanted && began.elapsed() < Duration::from_secs(15) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn token(rig: &Rig) -> PathBuf {
    let path = rig.folder.path().join("token");
    std::fs::write(&path, TOKEN).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

const TOKEN: &str = "11111111-2222-3333-4444-555555555555";

fn collector(port: u16) -> String {
    format!(
        "accept_splunk \"127.0.0.1:{port}\", hec_token=\"{TOKEN}\", tls={{certfile: \"{}\", keyfile: \"{}\", client_ca: \"{}\", require_client_cert: true}}\nselect id=event.id\nwrite_ndjson",
        pki("server.pem").display(),
        pki("server.key").display(),
        pki("ca.pem").display(),
    )
}

/// 2,000 events, or as many as `TIDEMARK_TEST_ALERTS` says: the note's figures are from 20,000.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenzir_gets_every_alert_over_mutual_tls_though_it_is_killed_three_times() {
    let Some(program) = tenzir() else { return };
    let count: usize = std::env::var("TIDEMARK_TEST_ALERTS").map_or(2_000, |text| text.parse().unwrap());
    let mut rig = Rig::new();
    let (out, port) = (rig.folder.path().join("received"), free_port());
    let expected = rig.alerts(0..count);
    let sink = format!(
        "type='hec'\nname='tenzir'\nurl='https://localhost:{port}/services/collector/event'\nproxy='none'\ntoken_file='{}'\n",
        token(&rig).display()
    ) + &tls(&rig, Some("client"));
    let mut server = pipeline(&program, &collector(port), &out, port);
    let began = Instant::now();
    let running = rig.start(&sink, Course::Drain);
    for kill in 1..=3 {
        running.until(|status| status.sent >= (count / 4 * kill) as u64).await;
        let failures = running.status.read().retries;
        drop(server);
        running.until(|status| status.retries > failures).await;
        server = pipeline(&program, &collector(port), &out, port);
    }
    tokio::time::timeout(PATIENCE, running.task).await.unwrap().unwrap();
    let took = began.elapsed();
    settle(&out, count).await;
    let (received, lines) = ids(&out);
    let missing = expected.iter().filter(|id| received.binary_search(id).is_err()).count();
    println!(
        "{count} alerts, 3 kills, {took:?}: {lines} lines, {} again, {missing} missing",
        lines - received.len()
    );
    assert_eq!(missing, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenzir_refuses_a_wrong_token_and_the_sink_says_so() {
    let Some(program) = tenzir() else { return };
    let mut rig = Rig::new();
    let (out, port) = (rig.folder.path().join("received"), free_port());
    rig.alerts(0..10);
    let path = token(&rig);
    std::fs::write(&path, "wrong").unwrap();
    let sink = format!(
        "type='hec'\nname='tenzir'\nurl='https://localhost:{port}/services/collector/event'\nproxy='none'\ntoken_file='{}'\n",
        path.display()
    ) + &tls(&rig, Some("client"));
    let _server = pipeline(&program, &collector(port), &out, port);
    let running = rig.start(&sink, Course::Drain);
    let status = running.until(|status| status.last_error.is_some()).await;
    running.task.await.unwrap();
    assert_eq!(status.state, tidemark::sink::SinkState::Refused, "{status:?}");
    assert_eq!(rig.waiting(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenzir_takes_the_bulk_form() {
    let Some(program) = tenzir() else { return };
    let mut rig = Rig::new();
    let (out, port) = (rig.folder.path().join("received"), free_port());
    let expected = rig.alerts(0..500);
    let text = format!("accept_elasticsearch \"127.0.0.1:{port}\"\nselect id=id\nwrite_ndjson");
    let _server = pipeline(&program, &text, &out, port);
    let sink = format!("type='elastic'\nname='elastic'\nurl='http://127.0.0.1:{port}'\nproxy='none'");
    let status = rig.deliver(&sink).await;
    settle(&out, 500).await;
    assert_eq!((status.sent, status.set_aside), (500, 0));
    assert_eq!(ids(&out).0, expected);
}

/// An rsyslog that asks for our authority's certificates and writes each message to a file.
fn rsyslog(rig: &Rig, out: &Path, port: u16) -> Option<Server> {
    let there = |program: &str| Command::new(program).arg("-v").output().is_ok();
    if !there("rsyslogd") || tls_driver().is_none() {
        println!("SKIPPED: rsyslog with TLS is not installed; `bash scripts/receivers.sh` does it");
        return None;
    }
    let folder = rig.folder.path().display();
    let configuration = format!(
        r#"global(workDirectory="{folder}" DefaultNetstreamDriver="ossl" DefaultNetstreamDriverCAFile="{ca}" DefaultNetstreamDriverCertFile="{certificate}" DefaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/name" PermittedPeer=["client.test"])
template(name="raw" type="string" string="%msg%\n")
ruleset(name="in") {{ action(type="omfile" file="{out}" template="raw") }}
input(type="imtcp" port="{port}" ruleset="in" address="127.0.0.1")
"#,
        ca = pki("ca.pem").display(),
        certificate = pki("server.pem").display(),
        key = pki("server.key").display(),
        out = out.display(),
    );
    let file = rig.folder.path().join("rsyslog.conf");
    std::fs::write(&file, configuration).unwrap();
    let server = Server::start(
        Command::new("rsyslogd")
            .args(["-n", "-f"])
            .arg(&file)
            .arg("-i")
            .arg(rig.folder.path().join("pid"))
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
        port,
    );
    Some(server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rsyslog_takes_every_form_whole_at_its_default_limit() {
    for format in ["native", "ocsf", "ecs"] {
        let mut rig = Rig::new();
        let (out, port) = (rig.folder.path().join("received"), free_port());
        let Some(_server) = rsyslog(&rig, &out, port) else { return };
        let alerts = crate::recording::alerts(0..20);
        rig.spool.append(tidemark::sink::spool::Queue::Alerts, &alerts).unwrap();
        let sink = format!("type='syslog'\nname='syslog'\nformat='{format}'\naddress='localhost:{port}'\n")
            + &tls(&rig, Some("client"));
        let status = rig.deliver(&sink).await;
        assert_eq!((status.sent, status.set_aside), (alerts.len() as u64, 0), "{format}");
        let began = Instant::now();
        let lines = loop {
            let text = std::fs::read_to_string(&out).unwrap_or_default();
            if text.lines().count() >= alerts.len() || began.elapsed() > PATIENCE {
                break text;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let received: Vec<_> = lines.lines().map(|line| Alert::read(line.trim()).unwrap().id).collect();
        let expected: Vec<_> = alerts.iter().map(|line| Alert::read(line).unwrap().id).collect();
        assert_eq!(received, expected, "{format}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rsyslog_takes_alerts_over_mutual_tls() {
    let mut rig = Rig::new();
    let (out, port) = (rig.folder.path().join("received"), free_port());
    let Some(_server) = rsyslog(&rig, &out, port) else { return };
    let expected = rig.alerts(0..1_000);
    let sink =
        format!("type='syslog'\nname='syslog'\naddress='localhost:{port}'\n") + &tls(&rig, Some("client"));
    let status = rig.deliver(&sink).await;
    assert_eq!((status.sent, status.set_aside), (1_000, 0));
    settle(&out, 1_000).await;
    assert_eq!(ids(&out).0, expected);
    let text = std::fs::read_to_string(&out).unwrap();
    let document = text.lines().next().unwrap().trim();
    assert!(serde_json::from_str::<serde_json::Value>(document).is_ok(), "{document}");
}

/// Where Debian puts rsyslog's TLS driver.
fn tls_driver() -> Option<PathBuf> {
    std::fs::read_dir("/usr/lib")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("rsyslog/lmnsd_ossl.so")))
        .find(|path| path.exists())
}
