//! The client. `endpoint-sec` holds the unsafe lines; what is here decides when which of its calls is made.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

use endpoint_sec::sys::{NewClientError, es_auth_result_t, es_event_type_t};
use endpoint_sec::{Action, ActionResult, AuditToken, Client, Event, EventExec, Message, Process, version};

use super::{Denied, ExecView, Handler, ProcessView};
use crate::observation::{self, Credentials, ProcessKey, Timestamp};
use crate::source::live::{Outbox, system_text};

/// Subscribes to exec, fork and exit. The client lives on a thread of its own, since it must be deleted where it was made; it ends with
/// the process.
///
/// Where the refusal may pass, the thread stays and tries again, and the refusal is given back all the same: the caller says so.
///
/// # Errors
/// What macOS refuses.
pub(crate) fn subscribe(outbox: Outbox) -> Result<(), Denied> {
    let (told, answer) = sync_channel(1);
    let client = move || live(&outbox, &told);
    let started = thread::Builder::new().name(super::SOURCE_NAME.to_owned()).spawn(client);
    started.map_err(|error| Denied::Other(error.to_string()))?;
    match answer.recv_timeout(PATIENCE) {
        Ok(answer) => answer,
        Err(RecvTimeoutError::Timeout) => Err(Denied::Other("es_new_client does not return".to_owned())),
        Err(RecvTimeoutError::Disconnected) => Err(Denied::Other("the client's thread panicked".to_owned())),
    }
}

/// Keeps a client for as long as the process lives.
fn live(outbox: &Outbox, told: &SyncSender<Result<(), Denied>>) {
    let version = system_text(c"kern.osproductversion").unwrap_or_default();
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let (major, minor, patch) =
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if major < OLDEST_MAJOR {
        let _ = told.send(Err(Denied::Other(format!("macOS {version} is older than {OLDEST_MAJOR}"))));
        return;
    }
    // Before the first client and never again: it decides how messages are held, and one held one way must not be let go the other.
    version::set_runtime_version(major, minor, patch);
    loop {
        let denied = match client(outbox.clone()) {
            Ok(_client) => {
                let _ = told.try_send(Ok(()));
                // The client is deleted when it is dropped; it never is while the process lives.
                loop {
                    thread::park();
                }
            }
            Err(denied) => denied,
        };
        let may_pass = denied.may_pass();
        tracing::warn!(%denied, retry = may_pass, "no Endpoint Security client");
        let _ = told.try_send(Err(denied));
        if !may_pass {
            return;
        }
        thread::sleep(RETRY_AFTER);
    }
}

/// A client that is subscribed.
fn client(outbox: Outbox) -> Result<Client<'static>, Denied> {
    let handler = Handler::new(outbox);
    let handle = send_and_sync(move |_client: &mut Client<'_>, message: Message| {
        // A panic that left the handler would free the client that is in use (`endpoint-sec` 0.6.2, `client.rs`: the temporary client
        // in the block is forgotten only behind the handler).
        if catch_unwind(AssertUnwindSafe(|| take(&handler, &message))).is_err() {
            handler.lose();
        }
    });
    let mut client = Client::new(handle)?;
    let fatal = |what: &str, error: &dyn std::fmt::Display| Denied::Other(format!("{what}: {error}"));
    // Before subscribing: what this process does itself is of no interest, and would feed on itself.
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let token = AuditToken::from_pid(own).map_err(|code| fatal("own audit token", &code))?;
    client.mute_process(&token).map_err(|error| fatal("es_mute_process", &error))?;
    // Notifications only: an event that asks for permission and gets no answer stops the Mac.
    client
        .subscribe(&[
            es_event_type_t::ES_EVENT_TYPE_NOTIFY_EXEC,
            es_event_type_t::ES_EVENT_TYPE_NOTIFY_FORK,
            es_event_type_t::ES_EVENT_TYPE_NOTIFY_EXIT,
        ])
        .map_err(|error| fatal("es_subscribe", &error))?;
    Ok(client)
}

/// Endpoint Security calls the handler on a queue of its own; `Client::new` does not ask for what that needs.
fn send_and_sync<F: Fn(&mut Client<'_>, Message) + Send + Sync + 'static>(handler: F) -> F {
    handler
}

/// What is done with a message.
fn take(handler: &Handler, message: &Message) {
    let actor = view(&message.process());
    let about = about(message);
    match message.event() {
        Some(Event::NotifyExec(exec)) => take_exec(handler, message, about, actor, &exec),
        Some(Event::NotifyFork(fork)) => handler.fork(about, &actor, &view(&fork.child())),
        Some(Event::NotifyExit(exit)) => handler.exit(about, &actor, exit.stat()),
        _ => handler.lose(),
    }
}

fn take_exec(
    handler: &Handler,
    message: &Message,
    about: observation::Message,
    actor: ProcessView<'_>,
    exec: &EventExec<'_>,
) {
    // The notification is sent all the same when another client denied the exec.
    let denied = matches!(
        message.action(),
        Some(Action::Notify(ActionResult::Auth(es_auth_result_t::ES_AUTH_RESULT_DENY)))
    );
    let (script, cwd) = (exec.script(), exec.cwd());
    handler.exec(ExecView {
        message: about,
        actor,
        target: view(&exec.target()),
        // Taken one after the other: `nth` of these iterators counts from the beginning, so that `skip` would read wrong ones.
        arguments: exec.args().map(OsStr::as_bytes),
        arguments_total: exec.arg_count(),
        environment: exec.envs().map(OsStr::as_bytes),
        script: script.as_ref().map(|file| file.path().as_bytes()),
        cwd: cwd.as_ref().map(|file| file.path().as_bytes()),
        dyld_exec_path: exec.dyld_exec_path().map(OsStr::as_bytes),
        cpu_type: exec.image_cputype(),
        denied,
    });
}

fn about(message: &Message) -> observation::Message {
    observation::Message {
        time: timestamp(message.time()),
        mach_time: Some(message.raw_mach_time()),
        version: message.version(),
        seq_num: message.seq_num(),
        global_seq_num: message.global_seq_num(),
    }
}

fn view<'a>(process: &Process<'a>) -> ProcessView<'a> {
    let token = process.audit_token();
    let executable = process.executable();
    ProcessView {
        key: key(&token),
        parent: process.parent_audit_token().as_ref().map(key),
        responsible: process.responsible_audit_token().as_ref().map(key),
        ppid: process.ppid(),
        original_ppid: process.original_ppid(),
        group_id: process.group_id(),
        session_id: process.session_id(),
        credentials: Credentials {
            auid: Some(token.auid()).filter(|auid| *auid != NO_AUDIT_USER),
            euid: Some(token.euid()),
            ruid: Some(token.ruid()),
            asid: Some(token.asid()),
        },
        path: executable.path().as_bytes(),
        path_truncated: executable.path_truncated(),
        signing_flags: process.codesigning_flags(),
        is_platform_binary: process.is_platform_binary(),
        is_es_client: process.is_es_client(),
        cdhash: process.cdhash(),
        signing_id: process.signing_id().as_bytes(),
        team_id: process.team_id().as_bytes(),
        tty: process.tty().map(|file| file.path().as_bytes()),
        start_time: process.start_time().map(timestamp),
    }
}

fn key(token: &AuditToken) -> ProcessKey {
    ProcessKey { pid: token.pid(), pidversion: Some(token.pidversion()) }
}

fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::EPOCH.after(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

impl From<NewClientError> for Denied {
    fn from(error: NewClientError) -> Self {
        match error {
            NewClientError::NotEntitled => Self::NotEntitled,
            NewClientError::NotPermitted => Self::NotPermitted,
            NewClientError::NotPrivileged => Self::NotPrivileged,
            NewClientError::TooManyClients => Self::TooManyClients,
            other => Self::Other(other.to_string()),
        }
    }
}

/// `AU_DEFAUDITID` of `bsm/audit.h`: no user logged in for this process.
const NO_AUDIT_USER: u32 = u32::MAX;
/// The oldest macOS that is supported.
const OLDEST_MAJOR: u64 = 13;
/// How long the first answer of `es_new_client` is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long until a refusal that may pass is tried again: a person grants access within minutes.
const RETRY_AFTER: Duration = Duration::from_secs(30);
