//! What an interpreter runs.
//!
//! The interpreter is the image; the script is a fact beside it. It comes from the `#!` line where Endpoint Security saw one, and else from
//! the command line, read as the interpreter itself reads it. Code on the command line is hashed, so that an analyst can see whether it
//! was the same code, but its hash is part of no name: ten thousand different `python3 -c` are one subject.

mod commands;
mod syntax;

use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use syntax::Syntax;

use super::facts::{Script, ScriptSource};
use super::{path, token};

/// A family of interpreters that read their command line alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Language {
    Bun,
    Deno,
    Java,
    Lua,
    Node,
    Osascript,
    Perl,
    Php,
    PowerShell,
    Python,
    R,
    Ruby,
    Shell,
    Swift,
    Tcl,
}

impl Language {
    /// From a file's name: `python3.12`, `Python`, `perl5.30`.
    pub(super) fn of(name: &str) -> Option<Self> {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        Some(match stem {
            "bun" | "bunx" => Self::Bun,
            "deno" => Self::Deno,
            "java" => Self::Java,
            "lua" | "luajit" | "texlua" => Self::Lua,
            "node" | "nodejs" => Self::Node,
            "osascript" => Self::Osascript,
            "perl" => Self::Perl,
            "php" | "php-cgi" => Self::Php,
            "pwsh" => Self::PowerShell,
            "python" | "Python" | "pythonw" | "pypy" => Self::Python,
            "R" | "Rscript" => Self::R,
            "ruby" | "jruby" | "truffleruby" => Self::Ruby,
            "sh" | "ash" | "bash" | "csh" | "dash" | "elvish" | "fish" | "ksh" | "mksh" | "nu" | "rbash"
            | "tcsh" | "yash" | "zsh" => Self::Shell,
            "swift" | "swift-frontend" => Self::Swift,
            "expect" | "jimsh" | "tclsh" | "wish" => Self::Tcl,
            _ => return None,
        })
    }

    /// What this command line runs; `None` where that cannot be said. `shebang` is the script that was executed itself.
    pub(super) fn script<S: Borrow<str>>(
        self,
        arguments: &[S],
        cwd: Option<&str>,
        shebang: Option<&str>,
    ) -> Option<Script> {
        let code = if let Some(script) = shebang {
            Code::File(script.to_owned())
        } else {
            let arguments: Vec<&str> = arguments.iter().skip(1).map(Borrow::borrow).collect();
            match self {
                Self::Java => commands::java(&arguments),
                Self::Deno => commands::deno(&arguments),
                Self::Bun => commands::bun(&arguments),
                Self::Swift => commands::swift(&arguments),
                _ => Syntax::of(self).read(&arguments),
            }?
        };
        Some(code.into_script(cwd))
    }
}

/// Where code comes from, before its name is made.
enum Code {
    File(String),
    Module(String),
    Jar(String),
    Inline(String),
    Stdin,
}

impl Code {
    fn file(name: &str) -> Self {
        let standard_input = name == "/dev/stdin" || name.starts_with("/dev/fd/");
        if standard_input { Self::Stdin } else { Self::File(name.to_owned()) }
    }

    fn into_script(self, cwd: Option<&str>) -> Script {
        // A script fetched by its address (deno) keeps it.
        let place = |name: &str| {
            if name.contains("://") { name.to_owned() } else { path::normalise(&path::absolute(name, cwd)) }
        };
        let (source, name, sha256) = match self {
            Self::File(name) => (ScriptSource::File, place(&name), None),
            Self::Jar(name) => (ScriptSource::Module, place(&name), None),
            Self::Module(name) => (ScriptSource::Module, name, None),
            Self::Inline(code) => (
                ScriptSource::Inline,
                "inline".to_owned(),
                Some(token::hex(&Sha256::digest(code.as_bytes()))),
            ),
            Self::Stdin => (ScriptSource::Stdin, "stdin".to_owned(), None),
        };
        Script { source, name: name.into(), sha256: sha256.map(Arc::from) }
    }
}

#[cfg(test)]
mod tests;
