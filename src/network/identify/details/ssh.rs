//! The identification strings of SSH (RFC 4253, section 4.2).

use super::super::recognise::text::line;
use super::{Conversation, Notes, Progress, text};

/// Reads the server's, else the client's.
pub(super) fn read(conversation: &Conversation<'_>, notes: &mut Notes<'_>) -> Progress {
    let banner = |bytes| line(bytes).filter(|line| line.starts_with(b"SSH-")).and_then(text::shown);
    if let Some(server) = banner(conversation.server) {
        notes.write().ssh_banner = Some(server);
        return Progress::Complete;
    }
    if let Some(client) = banner(conversation.client)
        && notes.read().is_none_or(|metadata| metadata.ssh_banner.is_none())
    {
        notes.write().ssh_banner = Some(client);
    }
    Progress::More
}
