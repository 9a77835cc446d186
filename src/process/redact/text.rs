//! Secrets inside one text, found by what stands around them.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::HIDDEN;

/// The text without its secrets.
pub(super) fn hide(text: &str) -> Cow<'_, str> {
    // Nearly every argument of nearly every process has none of the marks; one pass over it says so.
    if MARKS.as_ref().is_some_and(|marks| !marks.is_match(text)) {
        return Cow::Borrowed(text);
    }
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    user_info(&lower, &mut found);
    named_values(&lower, &mut found);
    schemes(&lower, &mut found);
    tokens(text, &mut found);
    found.retain(|range: &Range<usize>| text.get(range.clone()).is_some_and(|secret| secret != HIDDEN));
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    found.sort_unstable_by_key(|range| (range.start, range.end));
    let (mut kept, mut at) = (String::with_capacity(text.len()), 0);
    for range in found {
        if range.start >= at {
            kept.push_str(text.get(at..range.start).unwrap_or_default());
            kept.push_str(HIDDEN);
        }
        at = at.max(range.end);
    }
    kept.push_str(text.get(at..).unwrap_or_default());
    Cow::Owned(kept)
}

/// `scheme://user:password@host`.
fn user_info(lower: &str, found: &mut Vec<Range<usize>>) {
    for (at, mark) in lower.match_indices(SCHEME_END) {
        let start = at.saturating_add(mark.len());
        let rest = lower.get(start..).unwrap_or_default();
        let end = rest.find(ends_authority).unwrap_or(rest.len());
        if let Some(sign) = rest.get(..end).and_then(|authority| authority.rfind('@'))
            && sign > 0
        {
            found.push(start..start.saturating_add(sign));
        }
    }
}

fn ends_authority(c: char) -> bool {
    c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>' | '`')
}

/// `name=value`, `name: value`, `"name": "value"`, where the name says that the value is a secret.
fn named_values(lower: &str, found: &mut Vec<Range<usize>>) {
    let headers = HEADER_NAMES.iter().map(|name| (*name, true));
    for (name, is_header) in SECRET_NAMES.iter().map(|name| (*name, false)).chain(headers) {
        for (at, _) in lower.match_indices(name) {
            let after = at.saturating_add(name.len());
            if let Some(value) = value_of(lower, after, is_header) {
                found.push(value);
            }
        }
    }
    for (at, mark) in lower.match_indices(OPENSSL_PASSWORD) {
        let start = at.saturating_add(mark.len());
        let end = end_of_word(lower, start);
        if start < end {
            found.push(start..end);
        }
    }
}

/// Where the value of a name stands that ends at or after a position. The whole line of a header is its value.
fn value_of(lower: &str, after: usize, is_header: bool) -> Option<Range<usize>> {
    let rest = lower.get(after..)?;
    let name_ends =
        rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))).unwrap_or(rest.len());
    let rest = rest.get(name_ends..)?;
    let unquoted = rest.trim_start_matches(['"', '\'', '\\', ']']);
    let signed = unquoted.trim_start_matches([' ', '\t']);
    let value = signed.strip_prefix("=>").or_else(|| signed.strip_prefix([':', '=']))?;
    // A method's address, as in `token://`, is no value.
    if value.starts_with("//") {
        return None;
    }
    let value = value.trim_start_matches([' ', '\t', '\\']);
    let start = lower.len().saturating_sub(value.len());
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
    let (start, end) = match quote {
        Some(quote) => {
            let inner = value.get(1..)?;
            (
                start.saturating_add(1),
                inner.find([quote, '\n']).unwrap_or(inner.len()).saturating_add(start).saturating_add(1),
            )
        }
        None if is_header => {
            (start, value.find(['"', '\'', '\n', '`']).unwrap_or(value.len()).saturating_add(start))
        }
        None => (start, end_of_word(lower, start)),
    };
    (start < end).then_some(start..end)
}

/// `Bearer abc`, `Basic abc`.
fn schemes(lower: &str, found: &mut Vec<Range<usize>>) {
    for scheme in CREDENTIAL_SCHEMES {
        for (at, _) in lower.match_indices(scheme) {
            let start = at.saturating_add(scheme.len());
            let end = end_of_word(lower, start);
            if end.saturating_sub(start) >= SHORTEST_CREDENTIAL {
                found.push(start..end);
            }
        }
    }
}

/// What has the form of an issued token.
fn tokens(text: &str, found: &mut Vec<Range<usize>>) {
    for prefix in TOKEN_PREFIXES {
        for (at, _) in text.match_indices(prefix) {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            let rest = text.get(at..).unwrap_or_default();
            let length = rest.find(|c: char| !is_of_token(c)).unwrap_or(rest.len());
            if !before.is_some_and(is_of_token) && length >= SHORTEST_TOKEN {
                found.push(at..at.saturating_add(length));
            }
        }
    }
}

fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

fn end_of_word(lower: &str, start: usize) -> usize {
    let rest = lower.get(start..).unwrap_or_default();
    let ends = |c: char| {
        c.is_whitespace() || matches!(c, '&' | ';' | ',' | '"' | '\'' | '`' | ')' | '}' | '<' | '>' | '|')
    };
    rest.find(ends).unwrap_or(rest.len()).saturating_add(start)
}

/// Everything by which the searches above begin, in any case. None where the automaton cannot be built; then each search is made.
static MARKS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let marks = [SCHEME_END, OPENSSL_PASSWORD].into_iter();
    let marks = marks.chain(CREDENTIAL_SCHEMES).chain(SECRET_NAMES).chain(HEADER_NAMES).chain(TOKEN_PREFIXES);
    AhoCorasick::builder().ascii_case_insensitive(true).build(marks).ok()
});

const SCHEME_END: &str = "://";
/// As `openssl -passin pass:…` has it.
const OPENSSL_PASSWORD: &str = "pass:";
const CREDENTIAL_SCHEMES: [&str; 2] = ["bearer ", "basic "];
/// Parts of names whose values are secrets, in lower case. `pwd` is left out, since most of all it names a folder.
pub(super) const SECRET_NAMES: [&str; 17] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pgpass",
    "token",
    "secret",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "access-key",
    "accesskey",
    "private_key",
    "private-key",
    "credential",
    "signature",
];
/// Headers whose whole line is a secret.
const HEADER_NAMES: [&str; 3] = ["authorization", "cookie", "x-auth"];
/// How issued tokens begin: the documentation of GitHub, `GitLab`, Slack, AWS, Google, `OpenAI` and npm; a JWT begins with `{"` in base64.
const TOKEN_PREFIXES: [&str; 16] = [
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "AKIA",
    "ASIA",
    "AIza",
    "sk-",
    "npm_",
    "eyJ",
];
/// The shortest of them is AWS's, of 20.
const SHORTEST_TOKEN: usize = 20;
/// `basic` is a word, and what follows a word is mostly shorter.
const SHORTEST_CREDENTIAL: usize = 8;
