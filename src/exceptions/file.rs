//! Exceptions as TOML.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use super::{Day, Exception, Scope};
use crate::detect::Channel;
use crate::network::Protocol;

/// Why exceptions cannot be used. Each is a sentence with the file and the id or line.
#[derive(Debug, Error)]
pub enum ExceptionError {
    /// Not TOML of this form; the message names line and key.
    #[error("{path}: {source}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<toml::de::Error>,
    },
    /// Well-formed, but it says something that cannot be meant.
    #[error("{path}: exception {id:?}: {what}")]
    Meaning {
        /// The file.
        path: PathBuf,
        /// The exception.
        id: String,
        /// What is wrong, and the next step.
        what: String,
    },
    /// One id for two exceptions.
    #[error("exception {id:?} is defined twice; give one of them another id")]
    Twice {
        /// The id.
        id: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    exception: Vec<Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    id: String,
    owner: String,
    reason: String,
    ticket: Option<String>,
    created: toml::value::Datetime,
    expires: toml::value::Datetime,
    #[serde(default = "all_channels")]
    channels: Vec<Channel>,
    #[serde(rename = "match")]
    scope: Scope,
}

fn all_channels() -> Vec<Channel> {
    vec![Channel::Volume, Channel::Destination, Channel::Protocol, Channel::Initiator]
}

/// Reads the text of one file; `path` is only for messages.
///
/// # Errors
/// The first thing that is wrong. A file with an error is refused whole: half of an organisation's decisions is none of them.
pub fn parse(path: &Path, text: &str) -> Result<Vec<Exception>, ExceptionError> {
    let document: Document = toml::from_str(text)
        .map_err(|source| ExceptionError::Syntax { path: path.to_owned(), source: Box::new(source) })?;
    document.exception.into_iter().map(|table| table.check(path)).collect()
}

impl Table {
    fn check(self, path: &Path) -> Result<Exception, ExceptionError> {
        let wrong =
            |what: String| ExceptionError::Meaning { path: path.to_owned(), id: self.id.clone(), what };
        let named =
            !self.id.is_empty() && self.id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !named {
            return Err(wrong("the id must be letters, digits, '-', '_' or '.'".to_owned()));
        }
        for (key, value) in [("owner", &self.owner), ("reason", &self.reason)] {
            if value.trim().is_empty() {
                return Err(wrong(format!("{key} is empty; say who answers for it and why it is accepted")));
            }
        }
        let day = |key: &str, value: &toml::value::Datetime| {
            let text = value.to_string();
            text.parse()
                .map(Day)
                .map_err(|_| wrong(format!("{key} = {text} is no date; write {key} = 2026-12-31")))
        };
        let created = day("created", &self.created)?;
        let expires = day("expires", &self.expires)?;
        if expires < created {
            return Err(wrong("it expires before it was created".to_owned()));
        }
        if self.scope.is_empty() {
            return Err(wrong(
                "match is empty, which would suppress everything; name at least the image".to_owned(),
            ));
        }
        if self.channels.is_empty() {
            return Err(wrong(
                "channels is empty, so it covers nothing; leave it out to cover all four".to_owned(),
            ));
        }
        if let Some(label) = self.scope.protocol.iter().find(|label| label.parse::<Protocol>().is_err()) {
            return Err(wrong(format!("there is no protocol {label:?}")));
        }
        if self.scope.domain.iter().any(|domain| domain.is_empty() || domain.starts_with('.')) {
            return Err(wrong(
                "a domain is written without a leading dot and covers its subdomains".to_owned(),
            ));
        }
        Ok(Exception {
            id: self.id,
            owner: self.owner,
            reason: self.reason,
            ticket: self.ticket,
            created,
            expires,
            channels: self.channels,
            scope: self.scope,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        [[exception]]
        id = "EXC-1"
        owner = "it@example.com"
        reason = "nightly inventory"
        created = 2026-01-01
        expires = 2026-12-31
        match.image = "apple:com.apple.curl"
        match.domain = ["inventory.example.com"]
    "#;

    fn message(text: &str) -> String {
        parse(Path::new("x.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn reads_a_table() {
        let exceptions = parse(Path::new("x.toml"), GOOD).unwrap();
        assert_eq!(exceptions.len(), 1);
        assert_eq!(exceptions[0].channels.len(), 4);
        assert!(exceptions[0].in_force("2026-12-31T23:59:59Z".parse_time()));
        assert!(!exceptions[0].in_force("2027-01-01T00:00:00Z".parse_time()));
    }

    trait ParseTime {
        fn parse_time(&self) -> crate::observation::Timestamp;
    }
    impl ParseTime for str {
        fn parse_time(&self) -> crate::observation::Timestamp {
            crate::observation::Timestamp::parse(self).unwrap()
        }
    }

    #[test]
    fn each_mistake_has_its_sentence() {
        for (from, to, says) in [
            ("match.image", "match.imgae", "unknown field `imgae`"),
            ("owner = \"it@example.com\"", "owner = \" \"", "owner is empty"),
            ("expires = 2026-12-31", "expires = 2025-12-31", "expires before it was created"),
            ("expires = 2026-12-31", "", "missing field `expires`"),
            ("created = 2026-01-01", "created = 10:00:00", "is no date"),
            ("EXC-1", "EXC 1", "the id must be"),
            (
                "match.domain = [\"inventory.example.com\"]",
                "match.protocol = [\"gopher\"]",
                "no protocol \"gopher\"",
            ),
            ("[\"inventory.example.com\"]", "[\".example.com\"]", "without a leading dot"),
        ] {
            let text = GOOD.replace(from, to);
            assert!(message(&text).contains(says), "{}", message(&text));
        }
        let everything = GOOD.lines().filter(|line| !line.contains("match.")).collect::<Vec<_>>().join("\n");
        assert!(message(&format!("{everything}\nmatch = {{}}")).contains("suppress everything"));
    }

    #[test]
    fn an_id_may_stand_once() {
        let mut twice = parse(Path::new("x.toml"), GOOD).unwrap();
        twice.extend(parse(Path::new("y.toml"), GOOD).unwrap());
        assert!(matches!(super::super::Exceptions::new(twice), Err(ExceptionError::Twice { .. })));
    }
}
