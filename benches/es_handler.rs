//! What the Endpoint Security handler costs an exec: noting its numbers, copying it and handing the copy over, without the kernel's part.
//!
//! The execs are those of the demo's fortnight, and one with as many arguments as are kept, of 100 bytes each. What is allocated is counted
//! beside the time: the copy has one allocation for each text that it owns, one for each list of texts, and one for itself.

#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reports to the terminal, on data of its own, and has nothing to say without them"
)]

use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use tidemark::observation::{Exec, Observation, ProcessInfo};
use tidemark::source::endpoint_security::{ExecView, Handler, ProcessView};
use tidemark::source::live::Live;
use tidemark::source::{Input, Merged, OpenOptions, Origins};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Execs of the fortnight; fewer than the stream holds, so that none is dropped.
fn execs() -> Vec<Exec> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/fortnight.ndjson.gz");
    let merged = Merged::new(Input::all([path], Origins::Joined, &OpenOptions::default()));
    merged
        .filter_map(|seen| match seen {
            Observation::Exec(exec) => Some(*exec),
            _ => None,
        })
        .take(1_000)
        .collect()
}

#[divan::bench]
fn recorded(bencher: Bencher<'_, '_>) {
    measure(bencher, &execs());
}

/// What cannot be saved: each text of the same execs, copied.
#[divan::bench]
fn baseline_of_texts_alone(bencher: Bencher<'_, '_>) {
    let execs = execs();
    bencher.counter(ItemsCount::new(execs.len())).bench_local(|| {
        for text in execs.iter().flat_map(texts) {
            divan::black_box(Arc::<str>::from(divan::black_box(text)));
        }
    });
}

fn texts(exec: &Exec) -> impl Iterator<Item = &str> {
    process_texts(&exec.actor)
        .chain(process_texts(&exec.target))
        .chain(exec.arguments.iter().map(|text| &**text))
        .chain([&exec.script, &exec.cwd, &exec.dyld_exec_path].into_iter().flatten().map(|text| &**text))
}

fn process_texts(info: &ProcessInfo) -> impl Iterator<Item = &str> {
    let optional = [&info.signing.signing_id, &info.signing.team_id, &info.tty];
    std::iter::once(&*info.executable.path).chain(optional.into_iter().flatten().map(|text| &**text))
}

#[divan::bench]
fn many_arguments(bencher: Bencher<'_, '_>) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/attack.ndjson");
    let merged = Merged::new(Input::all([path], Origins::Joined, &OpenOptions::default()));
    let mut execs: Vec<Exec> = merged
        .filter_map(|seen| match seen {
            Observation::Exec(exec) => Some(*exec),
            _ => None,
        })
        .take(1)
        .collect();
    for exec in &mut execs {
        exec.arguments = vec!["x".repeat(100).into(); 256];
        exec.arguments_total = 256;
    }
    measure(bencher, &execs);
}

fn measure(bencher: Bencher<'_, '_>, execs: &[Exec]) {
    let mut live = Live::new();
    let Some(outbox) = live.outbox("endpoint_security") else { return };
    let handler = Handler::new(outbox);
    let header = live.next();
    assert!(matches!(header, Some(Observation::Recording(_))));
    let taken = std::cell::RefCell::new(live);
    let first = std::cell::Cell::new(true);
    bencher
        .counter(ItemsCount::new(execs.len()))
        .with_inputs(|| {
            // What the pass before handed over is taken away outside the measurement.
            if !first.replace(false) {
                let mut live = taken.borrow_mut();
                for _ in 0..execs.len() {
                    assert!(matches!(live.next(), Some(Observation::Exec(_))), "nothing was dropped");
                }
            }
        })
        .bench_local_values(|()| {
            for exec in execs {
                handler.exec(view(exec));
            }
        });
}

/// A recorded exec as a message would lend it.
fn view(exec: &Exec) -> ExecView<'_, impl Iterator<Item = &[u8]>, impl Iterator<Item = &[u8]>> {
    let mut message = exec.message;
    (message.seq_num, message.global_seq_num) = (Some(0), Some(0));
    ExecView {
        message,
        actor: process(&exec.actor),
        target: process(&exec.target),
        arguments: exec.arguments.iter().map(|text| text.as_bytes()),
        arguments_total: exec.arguments_total,
        // As long as a usual environment, with the one entry that is kept at its end.
        environment: std::iter::repeat_n(&b"PATH=/usr/bin:/bin:/usr/sbin:/sbin"[..], 40)
            .chain(std::iter::once(&b"XPC_SERVICE_NAME=application.com.apple.Terminal.1.2"[..])),
        script: exec.script.as_deref().map(str::as_bytes),
        cwd: exec.cwd.as_deref().map(str::as_bytes),
        dyld_exec_path: exec.dyld_exec_path.as_deref().map(str::as_bytes),
        cpu_type: exec.cpu_type,
        denied: exec.denied,
    }
}

fn process(info: &ProcessInfo) -> ProcessView<'_> {
    ProcessView {
        key: info.key,
        parent: info.parent,
        responsible: info.responsible,
        ppid: info.ppid,
        original_ppid: info.original_ppid.unwrap_or_default(),
        group_id: info.group_id.unwrap_or_default(),
        session_id: info.session_id.unwrap_or_default(),
        credentials: info.credentials,
        path: info.executable.path.as_bytes(),
        path_truncated: false,
        signing_flags: info.signing.flags,
        is_platform_binary: info.signing.is_platform_binary,
        is_es_client: info.is_es_client,
        cdhash: info.signing.cdhash.unwrap_or_default(),
        signing_id: info.signing.signing_id.as_deref().unwrap_or_default().as_bytes(),
        team_id: info.signing.team_id.as_deref().unwrap_or_default().as_bytes(),
        tty: info.tty.as_deref().map(str::as_bytes),
        start_time: info.start_time,
    }
}
