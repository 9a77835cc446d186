//! FTP's control connection (RFC 959, sections 4.1 and 4.2; RFC 2228, 2389, 2428).
//!
//! SMTP greets with the same 220 and POP3 has the same USER, so either needs the word `FTP`, or the other end's agreement; commands
//! and replies that only FTP has are enough.

use super::{FirstBytes, OfStreams, Recogniser, Stream, Verdict, text};
use crate::network::protocol::Protocol;

pub(super) const STREAMS: OfStreams =
    Recogniser { opens: FirstBytes::LETTERS.or(FirstBytes::DIGITS), recognise: streams };

fn streams(stream: &Stream<'_>) -> Verdict {
    let (bytes, reply) = (stream.bytes, stream.reply);
    let proof = is_own_command(bytes)
        || is_own_reply(bytes)
        || (is_reply(bytes) && is_command(reply))
        || (is_command(bytes) && is_reply(reply));
    match text::line(bytes) {
        _ if proof => Verdict::Match(Protocol::Ftp),
        // Alone, either end is only a hint.
        Some(line) if text::is_one_of(text::command(line), &[b"USER"]) || bytes.starts_with(b"220") => {
            stream.on_its_port(Protocol::Ftp)
        }
        _ => Verdict::No,
    }
}

fn is_own_command(bytes: &[u8]) -> bool {
    text::line(bytes).is_some_and(|line| {
        text::is_one_of(line, &[b"PASV", b"EPSV", b"SYST", b"FEAT", b"TYPE I", b"TYPE A"])
            || text::begins(line, b"PORT ") && line.split(|byte| *byte == b',').count() == 6
            || text::begins(line, b"EPRT |")
    })
}

fn is_own_reply(bytes: &[u8]) -> bool {
    let Some((code, _)) = text::reply_code(bytes) else { return false };
    let line = text::line(bytes).unwrap_or_default();
    match code {
        220 | 120 | 421 | 530 => text::contains(line, b"FTP") && !text::contains(line, b"SMTP"),
        227 => text::contains(line, b"Passive Mode"),
        229 => text::contains(line, b"(|||"),
        331 => text::contains(line, b"password"),
        230 => text::contains(line, b"logged in"),
        226 => text::contains(line, b"Transfer complete"),
        _ => false,
    }
}

fn is_reply(bytes: &[u8]) -> bool {
    text::reply_code(bytes).is_some_and(|(code, _)| {
        matches!(code, 110 | 120 | 125 | 150 | 200 | 202 | 211..=215 | 220 | 221 | 225..=234 | 250 | 257 | 331 | 332 | 350 | 421 | 425..=452 | 500..=536 | 550..=553)
    })
}

fn is_command(bytes: &[u8]) -> bool {
    text::line(bytes).is_some_and(|line| text::is_one_of(text::command(line), COMMANDS))
}

/// Commands that a client may open with and that SMTP does not have.
const COMMANDS: &[&[u8]] = &[
    b"USER", b"PASS", b"ACCT", b"CWD", b"CDUP", b"PORT", b"PASV", b"EPRT", b"EPSV", b"TYPE", b"RETR",
    b"STOR", b"LIST", b"NLST", b"MLSD", b"MLST", b"SIZE", b"MDTM", b"SYST", b"FEAT", b"OPTS", b"AUTH",
    b"PBSZ", b"PROT", b"PWD", b"MKD", b"RMD", b"DELE", b"RNFR", b"RNTO", b"SITE", b"HOST", b"CLNT", b"QUIT",
    b"REST", b"ABOR",
];

#[cfg(test)]
mod tests {
    use super::super::testing::{answered, opening};
    use crate::network::protocol::Protocol;

    #[test]
    fn a_greeting_needs_a_word_or_an_answer() {
        assert_eq!(opening(b"220 ProFTPD ready\r\n"), Some(Protocol::Ftp));
        assert_eq!(opening(b"220 ready\r\n"), None);
        assert_eq!(answered(b"220 ready\r\n", b"USER anonymous\r\n"), Some(Protocol::Ftp));
        assert_eq!(opening(b"227 Entering Passive Mode (1,2,3,4,5,6)\r\n"), Some(Protocol::Ftp));
    }
}
