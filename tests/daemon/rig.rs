//! A daemon that runs, with a state of its own, fed through its standard input.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Daemon {
    child: Child,
    input: Option<ChildStdin>,
    /// What it says on standard error, read as it comes: a daemon whose pipe is full stands still.
    said: Option<JoinHandle<String>>,
}

/// A place for a daemon, before, between and after its runs.
pub(crate) struct Home {
    folder: TempDir,
}

/// No test waits longer for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Detection that alerts on every departure from the first day on, and a sink that a test can read.
pub(crate) const FILE_SINK: &str = "detection = { learn_days = 0, alerts_per_mac_per_day = 10.0, alerts_per_day_cap = 1000000 }\n\
     [[delivery.sink]]\ntype = 'file'\nname = 'file'\npath = 'events.ndjson'\n";

impl Home {
    pub(crate) fn new(config: &str) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        home.write("tidemark.toml", config);
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    /// Starts the daemon on a pipe, and waits until it answers.
    pub(crate) fn start(&self) -> Daemon {
        let daemon = self.spawn("recording:-");
        until("the daemon answers", || self.status().status.code() != Some(69));
        daemon
    }

    /// Starts the daemon on these sources, and waits until it answers.
    pub(crate) fn start_on(&self, sources: &[&str]) -> Daemon {
        let daemon = self.spawn_by(self.command(sources));
        until("the daemon answers", || self.status().status.code() != Some(69));
        daemon
    }

    pub(crate) fn spawn(&self, source: &str) -> Daemon {
        self.spawn_by(self.command(&[source]))
    }

    /// The command line of the daemon.
    pub(crate) fn command(&self, sources: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
        command.args(["run", "--checkpoint-every", "0.05", "--config"]).arg(self.path("tidemark.toml"));
        command.arg("--state").arg(self.state());
        command.args(sources.iter().flat_map(|source| ["--source", source]));
        command
    }

    /// Starts the daemon by a command line that may stand in another program's.
    pub(crate) fn spawn_by(&self, mut command: Command) -> Daemon {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let mut stderr = child.stderr.take().unwrap();
        let said = thread::spawn(move || {
            let mut said = Vec::new();
            stderr.read_to_end(&mut said).unwrap();
            String::from_utf8_lossy(&said).into_owned()
        });
        Daemon { child, input, said: Some(said) }
    }

    /// A verb that asks the daemon.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        let (verb, rest) = arguments.split_first().unwrap();
        Command::new(env!("CARGO_BIN_EXE_tidemark"))
            .arg(verb)
            .arg("--state")
            .arg(self.state())
            .args(rest)
            .output()
            .unwrap()
    }

    pub(crate) fn status(&self) -> Output {
        self.ask(&["status", "--line"])
    }

    pub(crate) fn status_json(&self) -> Value {
        serde_json::from_slice(&self.ask(&["status", "--json"]).stdout).unwrap_or_default()
    }

    /// The documents that the file sink has.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("events.ndjson")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Those of a kind of health event.
    pub(crate) fn health(&self, kind: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["kind"] == kind).collect()
    }

    pub(crate) fn alerts(&self) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["schema"] == "tidemark.alert/1").collect()
    }
}

impl Daemon {
    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    /// Gives it lines of a recording.
    pub(crate) fn feed(&mut self, text: &[u8]) {
        let input = self.input.as_mut().unwrap();
        input.write_all(text).unwrap();
        input.flush().unwrap();
    }

    /// As [`Daemon::feed`]; the daemon may end meanwhile.
    pub(crate) fn feed_while_it_lasts(&mut self, text: &[u8]) {
        let _ = self.input.as_mut().unwrap().write_all(text);
    }

    /// Its source ends.
    pub(crate) fn close(&mut self) {
        self.input = None;
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end; what it said on standard error.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        while self.is_running() {
            assert!(Instant::now() < deadline, "the daemon does not end");
            thread::sleep(Duration::from_millis(20));
        }
        (self.child.wait().unwrap(), self.said.take().unwrap().join().unwrap())
    }

    /// SIGTERM, and the end that follows.
    pub(crate) fn stop(self) -> (ExitStatus, String) {
        self.signal(rustix::process::Signal::TERM);
        self.end()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended in most tests.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something that must come.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: never");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A recording of the demo, as text.
pub(crate) fn recording(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(name);
    let bytes = fs::read(path).unwrap();
    if !name.ends_with(".gz") {
        return bytes;
    }
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&*bytes).read_to_end(&mut text).unwrap();
    text
}

/// The clock from this time on, for five minutes: lines of a pipe are put in order over five seconds of their own time, and their form is told
/// from the first kilobytes, so that what comes before is given out only then.
pub(crate) fn tick(time: &str) -> Vec<u8> {
    let first: jiff::Timestamp = time.parse().unwrap();
    let line = |seconds| {
        let time = first + jiff::SignedDuration::from_secs(seconds);
        format!("{{\"clock\":{{\"time\":\"{time}\"}}}}\n")
    };
    (0..300).map(line).collect::<String>().into_bytes()
}

/// A script that has curl send 40 MB, once a number: an alert even while a Mac learns.
pub(crate) fn departure(number: u32, time: &str) -> Vec<u8> {
    // `before` is 1 for an image that an exec replaces, and 0 for the one after it.
    let process = |pid: u32, before: u32, path: &str, id: &str, platform: bool, parent: u32| {
        let version = |of: u32| of * 3 - if of == pid { before } else { 0 };
        let token = |of: u32| serde_json::json!({ "pid": of, "pidversion": version(of), "euid": 501, "ruid": 501, "auid": 501, "asid": 1, "egid": 20, "rgid": 20 });
        serde_json::json!({
            "audit_token": token(pid), "parent_audit_token": token(parent), "responsible_audit_token": token(pid),
            "ppid": parent, "original_ppid": parent, "group_id": pid, "session_id": 1, "codesigning_flags": 0x2400_6001_u32,
            "is_platform_binary": platform, "is_es_client": false, "cdhash": "00".repeat(20), "signing_id": id, "team_id": null,
            "executable": { "path": path, "path_truncated": false }, "tty": null, "start_time": time,
        })
    };
    let exec = |before: Value, target: Value, arguments: &[&str]| {
        serde_json::json!({
            "schema_version": 1, "version": 9, "time": time, "mach_time": 1, "event_type": 9, "action_type": 1, "seq_num": 0, "global_seq_num": 0,
            "process": before,
            "event": { "exec": { "target": target, "args": arguments, "env": [], "script": null, "cwd": { "path": "/", "path_truncated": false },
                                 "dyld_exec_path": null, "last_fd": 0, "image_cputype": 16_777_228, "image_cpusubtype": 0, "fds": [] } },
            "action": { "result": { "result_type": 0, "result": { "auth": 0 } } }, "thread": { "thread_id": 1 },
        })
    };
    let (script_pid, tool_pid) = (1_000 + number * 2, 1_001 + number * 2);
    let path = format!("/Users/ann/Scripts/Job{number}.app/Contents/MacOS/applet");
    let launched = process(script_pid, 1, "/usr/libexec/xpcproxy", "com.apple.xpc.proxy", true, 1);
    let script = process(script_pid, 0, &path, "", false, 1);
    let tool = process(tool_pid, 0, "/usr/bin/curl", "com.apple.curl", true, script_pid);
    let forked = process(tool_pid, 1, &path, "", false, script_pid);
    let flow = serde_json::json!({ "flow": {
        "time": time, "flow_id": format!("departure-{number}"), "pid": tool_pid, "pidversion": tool_pid * 3, "transport": "tcp",
        "local": "192.0.2.1:50000", "remote": "198.51.100.23:443", "direction": "outbound", "protocol": "tls", "server_name": "files.example.net",
        "bytes_out": 40_000_000, "bytes_in": 1_000, "packets_out": 30_000, "packets_in": 10, "state": "closed",
    }});
    let lines = [exec(launched, script, &["applet"]), exec(forked, tool, &["curl", "-T", "x"]), flow];
    lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes()
}
