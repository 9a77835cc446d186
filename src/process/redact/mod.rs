//! Secrets on command lines, taken out before anything is kept.
//!
//! An argument is kept because it tells an analyst what a tool was told to do; a password in it tells whoever reads the SIEM more than the
//! analyst needs. What looks like a secret is replaced by [`HIDDEN`], and the rest of the argument stays. That happens once, where a process's facts
//! are made: state, alerts, findings, evidence and exceptions all see the same. It errs towards hiding.
//!
//! What counts as a secret:
//! - the user info of a URL: `https://user:password@host/`;
//! - the value of a name that says so: `password=…`, `"api_key": "…"`, `Authorization: …`, `Cookie: …`, `--token …`, `AWS_SECRET_ACCESS_KEY=…`;
//! - what follows the user in `-u user:password`, and the values that `mysql`, `sshpass`, `security` and `curl` take by short options;
//! - what has the form of a token that is issued in great numbers (GitHub, `GitLab`, Slack, AWS, Google, `OpenAI`, a JWT).

mod text;

use std::borrow::Cow;
use std::sync::Arc;

use super::path;

/// What stands where a secret stood.
pub(super) const HIDDEN: &str = "***";

/// The arguments without their secrets; those that have none are as they were. The first is the program's own name for itself.
pub(super) fn arguments(given: &[Arc<str>]) -> impl Iterator<Item = Arc<str>> + '_ {
    let program = given.first().map_or("", |program| path::file_name(program));
    let mut takes = Takes::Nothing;
    given.iter().map(move |argument| {
        let this = std::mem::replace(&mut takes, Takes::of(program, argument));
        match this.hide(program, argument) {
            Cow::Borrowed(_) => Arc::clone(argument),
            Cow::Owned(text) => Arc::from(text),
        }
    })
}

/// What an option says of the argument after it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    /// A secret.
    Secret,
    /// A user, perhaps with a password behind a colon.
    User,
}

impl Takes {
    fn of(program: &str, option: &str) -> Self {
        if let Some(name) = option.strip_prefix("--").filter(|name| !name.contains('=')) {
            return if is_secret_option(name) { Self::Secret } else { Self::Nothing };
        }
        let by_program = SHORT_SECRETS.iter().any(|(of, short)| *of == program && *short == option);
        match option {
            _ if by_program => Self::Secret,
            "-u" | "-U" => Self::User,
            // The long options of openssl and java have one dash.
            _ => match option.strip_prefix('-') {
                Some(name) if name.len() > 1 && !name.contains(['=', ':']) && is_secret_option(name) => {
                    Self::Secret
                }
                _ => Self::Nothing,
            },
        }
    }

    fn hide<'a>(self, program: &str, argument: &'a str) -> Cow<'a, str> {
        match self {
            // Another option where a value was expected: then there was none.
            Self::Secret if !argument.starts_with('-') && !argument.is_empty() => {
                Cow::Owned(HIDDEN.to_owned())
            }
            Self::User if !argument.starts_with('-') => {
                after_user(argument, 0).unwrap_or_else(|| text::hide(argument))
            }
            _ => attached(program, argument).unwrap_or_else(|| text::hide(argument)),
        }
    }
}

/// `user:password`, from a position on.
fn after_user(argument: &str, from: usize) -> Option<Cow<'_, str>> {
    let user = argument.get(from..)?.find(':')?;
    let kept = argument.get(..from.saturating_add(user).saturating_add(1))?;
    // The colon of a URL is nobody's password.
    let rest = argument.get(kept.len()..)?;
    (!rest.is_empty() && !rest.starts_with("//")).then(|| Cow::Owned(format!("{kept}{HIDDEN}")))
}

/// A short option with its value in one argument: `-psecret`, `-uuser:password`.
fn attached<'a>(program: &str, argument: &'a str) -> Option<Cow<'a, str>> {
    for (of, short) in SHORT_SECRETS {
        if of == program && argument.strip_prefix(short).is_some_and(|value| !value.is_empty()) {
            return Some(Cow::Owned(format!("{short}{HIDDEN}")));
        }
    }
    (argument.starts_with("-u") && !argument.contains('=')).then(|| after_user(argument, 2)).flatten()
}

/// Whether an option's name, without its dashes, says that a secret follows.
fn is_secret_option(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let parts = || name.split(['-', '_', '.']);
    text::SECRET_NAMES.iter().any(|word| name.contains(word))
        || parts().any(|part| matches!(part, "pass" | "passin" | "passout" | "user" | "auth" | "oauth2"))
            && parts().all(|part| part != "agent" && part != "file")
}

/// Short options whose value is a secret, by program: their manual pages.
const SHORT_SECRETS: [(&str, &str); 8] = [
    ("curl", "-b"),
    ("curl", "-E"),
    ("mysql", "-p"),
    ("mysqladmin", "-p"),
    ("mysqldump", "-p"),
    ("security", "-w"),
    ("security", "-P"),
    ("sshpass", "-p"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redacted(given: &[&str]) -> Vec<String> {
        let given: Vec<Arc<str>> = given.iter().map(|text| Arc::from(*text)).collect();
        arguments(&given).map(|text| text.to_string()).collect()
    }

    #[test]
    fn a_secret_goes_and_what_it_was_for_stays() {
        for (given, expected) in [
            (
                vec!["curl", "-u", "ann:hunter2", "https://a.example/x"],
                vec!["curl", "-u", "ann:***", "https://a.example/x"],
            ),
            (vec!["curl", "-uann:hunter2"], vec!["curl", "-uann:***"]),
            (
                vec!["curl", "https://ann:hunter2@a.example/x?y=1"],
                vec!["curl", "https://***@a.example/x?y=1"],
            ),
            (vec!["curl", "-H", "Authorization: Bearer abc.def"], vec!["curl", "-H", "Authorization: ***"]),
            (vec!["curl", "-HX-Api-Key: abc"], vec!["curl", "-HX-Api-Key: ***"]),
            (vec!["curl", "-b", "sid=1"], vec!["curl", "-b", "***"]),
            (
                vec!["curl", "https://a.example/?token=abc&page=2"],
                vec!["curl", "https://a.example/?token=***&page=2"],
            ),
            (
                vec!["curl", "-d", r#"{"password": "a b", "name": "x"}"#],
                vec!["curl", "-d", r#"{"password": "***", "name": "x"}"#],
            ),
            (vec!["x", "--token", "abc"], vec!["x", "--token", "***"]),
            (vec!["x", "--api-key=abc", "y"], vec!["x", "--api-key=***", "y"]),
            (
                vec!["env", "AWS_SECRET_ACCESS_KEY=abc", "aws"],
                vec!["env", "AWS_SECRET_ACCESS_KEY=***", "aws"],
            ),
            (vec!["mysql", "-phunter2", "-h", "db"], vec!["mysql", "-p***", "-h", "db"]),
            (vec!["sshpass", "-p", "hunter2", "ssh", "h"], vec!["sshpass", "-p", "***", "ssh", "h"]),
            (vec!["openssl", "rsa", "-passin", "pass:hunter2"], vec!["openssl", "rsa", "-passin", "***"]),
            (
                vec!["git", "clone", "https://ghp_abcdefghijklmnopqrstuvwxyz0123456789@github.com/x"],
                vec!["git", "clone", "https://***@github.com/x"],
            ),
            (vec!["x", "key ghp_abcdefghijklmnopqrstuvwxyz0123456789 end"], vec!["x", "key *** end"]),
            (
                vec!["sh", "-c", "curl -H 'Authorization: Basic YTpi' x"],
                vec!["sh", "-c", "curl -H 'Authorization: ***' x"],
            ),
            (vec!["python3", "-c", "p(password='a', n=2)"], vec!["python3", "-c", "p(password='***', n=2)"]),
        ] {
            assert_eq!(redacted(&given), expected);
        }
    }

    #[test]
    fn what_is_no_secret_stays_as_it_is() {
        for given in [
            vec!["curl", "-T", "/Users/ann/file.zip", "https://a.example:8443/upload?id=7"],
            vec!["ssh", "-p", "2222", "ann@host.example"],
            vec!["sudo", "-u", "ann", "id"],
            vec!["python3", "-u", "script.py"],
            vec!["curl", "-A", "x", "--user-agent", "Mozilla/5.0"],
            vec!["git", "remote", "add", "origin", "git@github.com:x/y.git"],
        ] {
            assert_eq!(redacted(&given), given);
        }
    }

    proptest! {
        #[test]
        fn a_canary_is_gone_wherever_it_was_planted(
            canary in "[A-Za-z0-9]{12,40}",
            noise in "[ -~]{0,20}",
            form in 0_usize..10,
        ) {
            let planted: Vec<String> = match form {
                0 => vec!["-u".into(), format!("ann:{canary}")],
                1 => vec![format!("https://ann:{canary}@h.example/{}", noise.replace(['@', ' ', '"', '\''], ""))],
                2 => vec!["-H".into(), format!("Authorization: Bearer {canary}")],
                3 => vec![format!("--password={canary}")],
                4 => vec!["--client-secret".into(), canary.clone()],
                5 => vec![format!("https://h.example/?access_token={canary}&x=1")],
                6 => vec![format!("{{\"api_key\":\"{canary}\"}}")],
                7 => vec![format!("PGPASSWORD={canary}")],
                8 => vec!["-H".into(), format!("Cookie: sid={canary}; other={canary}")],
                _ => vec!["-c".into(), format!("requests.get(u, headers={{'Authorization': 'Bearer {canary}'}})")],
            };
            let mut given = vec!["tool".to_owned(), noise.clone()];
            given.extend(planted);
            let given: Vec<&str> = given.iter().map(String::as_str).collect();
            // An option before it that takes a secret hides the option itself, not the canary.
            prop_assume!(!noise.starts_with('-'));
            let once = redacted(&given);
            prop_assert!(!once.concat().contains(&canary), "{once:?}");
        }

        #[test]
        fn any_text_is_taken_and_twice_is_once(given in proptest::collection::vec("\\PC{0,60}", 0..6)) {
            let given: Vec<&str> = given.iter().map(String::as_str).collect();
            let once = redacted(&given);
            let again: Vec<&str> = once.iter().map(String::as_str).collect();
            prop_assert_eq!(redacted(&again), once.clone());
        }
    }
}
