//! What can be answered anywhere: clock, disk, configuration, state, receivers.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{Finding, Patient};
use crate::baseline::Store;
use crate::cli::run::BASELINES;
use crate::config::{Config, Effective, Layers};
use crate::daemon::{STATUS_FILE, integrity_faults};
use crate::sink::{Receiver, SinkSettings};

pub(super) fn findings(patient: &Patient) -> Vec<Finding> {
    let status = read_status(&patient.state);
    let mut findings = vec![clock(&patient.state, SystemTime::now())];
    let layers = Layers {
        file: patient.config.clone(),
        managed: Some(patient.managed.clone()),
        environment: Layers::environment(),
        ..Layers::default()
    };
    match layers.load() {
        Ok(Effective { config, .. }) => {
            findings.push(configuration(patient));
            findings.push(permissions(patient, &config));
            findings.push(exceptions(&config));
            findings.push(disk(&patient.state, u64::from(config.delivery.spool_max_mib) << 20));
            findings.extend(sinks(&config.delivery.sinks, status.as_ref()));
        }
        Err(error) => {
            findings.push(Finding::failed(
                CONFIGURATION,
                error.to_string().replace('\n', "; "),
                "correct it: the daemon does not start with it",
            ));
            findings.push(disk(&patient.state, crate::sink::Settings::default().caps().bytes));
        }
    }
    let running = daemon(&patient.state, SystemTime::now());
    let is_running = running.result == super::Health::Ok;
    findings.extend([running, privacy(&patient.state), store(&patient.state, is_running)]);
    findings
}

fn configuration(patient: &Patient) -> Finding {
    let file = patient.config.as_ref().map(|path| path.display().to_string());
    let file = file.unwrap_or_else(|| "every setting has its default".to_owned());
    if patient.managed.exists() {
        return Finding::ok(CONFIGURATION, format!("{file}, and above it {}", patient.managed.display()));
    }
    Finding::ok(CONFIGURATION, file)
}

/// Whoever may write what the daemon is told may silence it.
fn permissions(patient: &Patient, config: &Config) -> Finding {
    let program = std::env::current_exe().ok();
    let named = [
        patient.config.as_deref(),
        Some(patient.managed.as_path()),
        config.exceptions.directory.as_deref(),
        program.as_deref(),
        Some(patient.state.as_path()),
    ];
    let faults = integrity_faults(named.into_iter().flatten());
    if faults.is_empty() {
        return Finding::ok(
            PERMISSIONS,
            "nobody else can change configuration, exceptions, state and program",
        );
    }
    Finding::failed(PERMISSIONS, faults.join("; "), "chown root and chmod go-w what is named")
}

fn exceptions(config: &Config) -> Finding {
    match config.exceptions.load() {
        Ok(exceptions) => Finding::ok("exceptions", format!("{} can be read", exceptions.iter().count())),
        Err(rejected) => {
            let first = rejected.errors().first().map(ToString::to_string).unwrap_or_default();
            let more = match rejected.errors().len() {
                0 | 1 => String::new(),
                many => format!(" (and {} more)", many - 1),
            };
            Finding::failed("exceptions", first + &more, "`tidemark exceptions check` shows all")
        }
    }
}

/// A clock that is far off dates alerts wrongly, and one that was set back makes days that were learnt lie in the future.
fn clock(state: &Path, now: SystemTime) -> Finding {
    let mend = "set it: systemsetup -setusingnetworktime on";
    if now < SystemTime::UNIX_EPOCH + FIRST_RELEASE {
        return Finding::failed("clock", "stands before tidemark was written", mend);
    }
    let written = fs::metadata(state.join(STATUS_FILE)).and_then(|status| status.modified());
    match written.map(|written| written.duration_since(now)) {
        Ok(Ok(ahead)) if ahead > CLOCK_TOLERANCE => Finding::warning(
            "clock",
            format!("was set back: the daemon wrote its status {} s from now", ahead.as_secs()),
            mend,
        ),
        _ => Finding::ok("clock", "stands where it can"),
    }
}

/// Room for a spool that fills while the receivers are away, and for the store beside it.
fn disk(state: &Path, spool: u64) -> Finding {
    let folder = state.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let volume = match rustix::fs::statvfs(folder) {
        Ok(volume) => volume,
        Err(error) => return Finding::skipped("disk", format!("{}: {error}", folder.display())),
    };
    let free = volume.f_bavail.saturating_mul(volume.f_frsize);
    let says = format!("{} MiB are free for {}", free >> 20, state.display());
    let mend = format!("the spool may take {} MiB: free some, or lower spool_max_mib", spool >> 20);
    if free < spool.saturating_add(STORE_ROOM) {
        Finding::failed("disk", says, mend)
    } else {
        Finding::ok("disk", says)
    }
}

/// One finding a receiver: whether it can be used as it is configured, and what the daemon last heard of it.
fn sinks(sinks: &[SinkSettings], status: Option<&Value>) -> Vec<Finding> {
    if sinks.is_empty() {
        let mend = "name a receiver under [[delivery.sink]] (docs/delivery.md)";
        return vec![Finding::warning("sinks", "none: alerts go to standard output", mend)];
    }
    sinks.iter().map(|sink| receiver(sink, status)).collect()
}

fn receiver(sink: &SinkSettings, status: Option<&Value>) -> Finding {
    let name = sink.name();
    if let Err(error) = Receiver::new(sink) {
        return Finding::failed("sinks", error.to_string(), "correct its settings or the file that it names");
    }
    let told = status.and_then(|status| {
        status.get("sinks")?.as_array()?.iter().find(|told| told.get("name").is_some_and(|n| n == name))
    });
    let text = |key: &str| told.and_then(|told| told.get(key)?.as_str());
    let error = text("last_error").unwrap_or("no reason was given");
    match text("state") {
        Some("refused") => Finding::failed(
            "sinks",
            format!("{name} is refused by its receiver: {error}"),
            "correct what it says, then `tidemark sink test`",
        ),
        Some("waiting") => Finding::warning(
            "sinks",
            format!("{name} cannot deliver now: {error}"),
            "nothing is lost while the spool has room; `tidemark sink test` says more",
        ),
        Some(_) => Finding::ok("sinks", format!("{name} delivers")),
        None => Finding::ok("sinks", format!("{name} can be used; `tidemark sink test` tries it")),
    }
}

fn read_status(state: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(state.join(STATUS_FILE)).ok()?).ok()
}

/// The daemon writes its status every few seconds.
fn daemon(state: &Path, now: SystemTime) -> Finding {
    let mend = "start `tidemark run`; on a Mac `launchctl print system/com.tidemark.daemon` and /Library/Logs/Tidemark/stderr.log say why it does not run";
    match fs::metadata(state.join(STATUS_FILE)).and_then(|status| status.modified()) {
        Ok(written) if now.duration_since(written).unwrap_or_default() <= STATUS_FRESH => {
            Finding::ok("daemon", "runs")
        }
        Ok(_) => Finding::failed("daemon", "has stopped writing its status", mend),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Finding::skipped("daemon", format!("{} may not be read; use sudo", state.display()))
        }
        Err(_) => Finding::warning("daemon", format!("never ran with {}", state.display()), mend),
    }
}

/// What was learnt says what people do at this machine.
fn privacy(state: &Path) -> Finding {
    match fs::metadata(state) {
        Ok(folder) if folder.permissions().mode() & OTHERS == 0 => {
            Finding::ok("state", format!("{} is its owner's alone", state.display()))
        }
        Ok(_) => Finding::warning(
            "state",
            format!("others may look into {}", state.display()),
            format!("chmod 700 '{}'", state.display()),
        ),
        Err(_) => Finding::skipped("state", format!("{} is not there yet", state.display())),
    }
}

/// Opens a copy: opening a store that cannot be read sets it aside, and doctor changes nothing.
fn store(state: &Path, is_running: bool) -> Finding {
    let folder = state.join(BASELINES);
    if is_running {
        return Finding::ok("store", "the daemon has it open");
    }
    if !folder.is_dir() {
        return Finding::skipped("store", "nothing was learnt yet");
    }
    let copied = copy(&folder).map_err(|error| error.to_string()).and_then(|copy| {
        let opened = Store::open(&copy.0).map_err(|error| error.to_string())?;
        if opened.set_aside.is_some() {
            return Err("it cannot be read".to_owned());
        }
        opened.store.load().map(|saved| saved.subjects.len()).map_err(|error| error.to_string())
    });
    match copied {
        Ok(subjects) => Finding::ok("store", format!("{subjects} subjects are known")),
        Err(why) => Finding::failed(
            "store",
            why,
            "restore it from `tidemark baseline export`, or let the daemon set it aside and learn anew",
        ),
    }
}

/// A copy that goes when it is dropped.
struct Copy(std::path::PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        // What cannot be removed lies among the system's temporary files, which the system removes.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn copy(folder: &Path) -> io::Result<Copy> {
    let copy = Copy(std::env::temp_dir().join(format!("tidemark-doctor-{}", std::process::id())));
    // Not `create_dir_all`: a folder that is there already is somebody else's.
    std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), 0o700).create(&copy.0)?;
    copy_into(folder, &copy.0)?;
    Ok(copy)
}

fn copy_into(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy_into(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

const CONFIGURATION: &str = "configuration";
const PERMISSIONS: &str = "permissions";
/// 2026-01-01: no Mac that runs this stands before it.
const FIRST_RELEASE: Duration = Duration::from_secs(1_767_225_600);
/// What time synchronisation may put right without a word.
const CLOCK_TOLERANCE: Duration = Duration::from_mins(5);
/// Several times the daemon's own interval, for a Mac that is busy.
const STATUS_FRESH: Duration = Duration::from_mins(1);
/// Bytes: a store of 20,000 subjects while sled rewrites it.
const STORE_ROOM: u64 = 200 << 20;
/// The permissions of group and others.
const OTHERS: u32 = 0o077;
