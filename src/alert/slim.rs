//! The slim form: as much of an alert as fits a syslog message.
//!
//! What goes first is what an analyst can find again by other means. The order, the same for every format:
//!
//! 1. captions, observables and descriptions of OCSF;
//! 2. what was held back before, the subject's other destinations, DNS answers;
//! 3. the numbers behind each channel's score;
//! 4. ancestors from the fourth on;
//! 5. arguments beyond the first 240 characters of each process, other long texts beyond 120;
//! 6. the responsible app, then all ancestors, then the initiator's process (its identity stays in the subject);
//! 7. what is usual for each channel, and what would have kept it quiet;
//! 8. all texts beyond 40 characters, then arguments and all texts beyond 20;
//! 9. what the payload said but for the server's name, then all texts beyond 8.
//!
//! Nothing is cut in the text of the document: members are taken from the alert, and each step writes it anew, so that it is whole JSON and
//! reads back as an alert.

use std::sync::Arc;

use serde_json::Value;

use super::document::{Alert, ProcessSection};
use super::format::Format;
use super::{ecs, ocsf};
use crate::network::identify::Metadata;
use crate::process::Identity;

/// The alert in at most `limit` bytes, or as few as there can be.
pub(super) fn render(alert: &Alert, format: Format, limit: usize) -> String {
    let mut slim = alert.clone();
    let mut text = write(&slim, format);
    for step in STEPS {
        if text.len() <= limit {
            break;
        }
        step(&mut slim);
        text = write(&slim, format);
    }
    text
}

fn write(alert: &Alert, format: Format) -> String {
    match format {
        Format::Native => alert.to_json(),
        Format::Ocsf => ocsf::document(alert, ocsf::Extent::Slim).to_json(),
        Format::Ecs => ecs::document(alert).to_json(),
    }
}

/// Steps 2 to 9.
const STEPS: [fn(&mut Alert); 12] = [
    |alert| {
        alert.context.held.clear();
        alert.top_destinations.clear();
        alert.flow.metadata.dns_answers.clear();
    },
    |alert| alert.channels.iter_mut().for_each(|channel| channel.evidence = Value::Null),
    |alert| alert.ancestors.truncate(NEAREST),
    |alert| shorten(alert, 240, 120),
    |alert| alert.application = None,
    |alert| alert.ancestors.clear(),
    |alert| alert.initiator = None,
    |alert| {
        alert.channels.iter_mut().for_each(|channel| channel.expected = Value::Null);
        alert.unless.clear();
    },
    |alert| shorten(alert, 40, 40),
    |alert| {
        alert.process.arguments.clear();
        shorten(alert, 40, 20);
    },
    |alert| {
        let server_name = alert.flow.metadata.server_name.take();
        alert.flow.metadata = Metadata { server_name, ..Metadata::default() };
    },
    |alert| shorten(alert, 0, 8),
];

/// Ancestors that stay at first: what an initiator is, is seldom further away.
const NEAREST: usize = 3;

/// Cuts what foreign programs may have written at will.
fn shorten(alert: &mut Alert, arguments: usize, other: usize) {
    let processes =
        [&mut alert.process].into_iter().chain(&mut alert.initiator).chain(&mut alert.application);
    for process in processes.chain(&mut alert.ancestors) {
        shorten_process(process, arguments, other);
    }
    for identity in [&mut alert.subject.image].into_iter().chain(&mut alert.subject.initiator) {
        *identity = shortened_identity(identity, other);
    }
    alert.summary = cut(&alert.summary, other.saturating_mul(4));
    let names =
        [&mut alert.user.name, &mut alert.user.tty, &mut alert.host.serial_number, &mut alert.host.os_build];
    for name in names.into_iter().flatten() {
        *name = cut(name, other).into();
    }
    alert.host.name = cut(&alert.host.name, other).into();
    let flow = &mut alert.flow;
    for name in [&mut flow.destination, &mut flow.resolved_name, &mut flow.interface].into_iter().flatten() {
        *name = cut(name, other).into();
    }
    shorten_metadata(&mut flow.metadata, other);
}

fn shorten_process(process: &mut ProcessSection, arguments: usize, other: usize) {
    process.identity = shortened_identity(&process.identity, other);
    process.name = cut(&process.name, other);
    process.path = cut(&process.path, other).into();
    let mut left = arguments;
    process.arguments.retain_mut(|argument| {
        let kept = left > 0;
        *argument = cut(argument, left).into();
        left = left.saturating_sub(argument.len().max(1));
        kept
    });
    for text in [&mut process.cwd, &mut process.signing.signing_id].into_iter().flatten() {
        *text = cut(text, other).into();
    }
    if let Some(script) = &mut process.script {
        script.name = cut(&script.name, other).into();
    }
}

fn shorten_metadata(metadata: &mut Metadata, other: usize) {
    let texts: [&mut Option<Arc<str>>; 8] = [
        &mut metadata.server_name,
        &mut metadata.ja4,
        &mut metadata.http_host,
        &mut metadata.http_method,
        &mut metadata.user_agent,
        &mut metadata.dns_query,
        &mut metadata.ssh_banner,
        &mut metadata.proxied_to,
    ];
    for text in texts.into_iter().flatten() {
        *text = cut(text, other).into();
    }
    metadata.alpn.truncate(4);
    for text in &mut metadata.alpn {
        *text = cut(text, other).into();
    }
}

fn shortened_identity(identity: &Identity, most: usize) -> Identity {
    Identity::new(cut(identity.as_str(), most))
}

/// At most so many characters as JSON writes them, inside a text that is quoted once more.
fn cut(text: &str, most: usize) -> String {
    let mut room = most.saturating_mul(2);
    let mut kept = String::new();
    for character in text.chars() {
        let cost = match character {
            '"' | '\\' => 4,
            c if c.is_control() => 7,
            c => c.len_utf8().max(2),
        };
        let Some(left) = room.checked_sub(cost) else {
            kept.push('…');
            break;
        };
        room = left;
        kept.push(character);
    }
    kept
}
