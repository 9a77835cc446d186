//! The identification strings of SSH (RFC 4253, section 4.2).

use super::super::recognise::text::line;
use super::{Conversation, Notes, Progress};

/// Reads the server's, else the client's.
pub(super) fn read(conversation: &Conversation<'_>, notes: &mut Notes<'_>) -> Progress {
    let mut banner =
        |bytes| line(bytes).filter(|line| line.starts_with(b"SSH-")).and_then(|line| notes.shown(line));
    let (client, server) = (banner(conversation.client), banner(conversation.server));
    if let Some(server) = server {
        notes.write().ssh_banner = Some(server);
        return Progress::Complete;
    }
    if let Some(client) = client
        && notes.read().is_none_or(|metadata| metadata.ssh_banner.is_none())
    {
        notes.write().ssh_banner = Some(client);
    }
    Progress::More
}
