//! What an interpreter runs.
//!
//! The interpreter is the image; the script is a fact beside it. It comes from the `#!` line where Endpoint Security saw one, and else from
//! the command line, read as the interpreter itself reads it. Code on the command line is hashed, so that an analyst can see whether it
//! was the same code, but its hash is part of no name: ten thousand different `python3 -c` are one subject.

use std::borrow::Borrow;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::facts::{Script, ScriptSource};
use super::{path, token};

/// A family of interpreters that read their command line alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
                Self::Java => java(&arguments),
                Self::Deno => deno(&arguments),
                Self::Bun => bun(&arguments),
                Self::Swift => swift(&arguments),
                _ => self.syntax().read(&arguments),
            }?
        };
        Some(code.into_script(cwd))
    }

    fn syntax(self) -> Syntax {
        match self {
            Self::Python => Syntax {
                inline: &["-c"],
                after_inline: AfterInline::Operands,
                module: &["-m"],
                valued: &["-W", "-X", "--check-hash-based-pycs"],
                nothing: &["-V", "--version", "-h", "--help"],
                ..Syntax::CLUSTERED
            },
            Self::Node => Syntax {
                inline: &["-e", "--eval", "-p", "--print", "-pe"],
                module: &["--run"],
                valued: &[
                    "-r",
                    "--require",
                    "--import",
                    "--loader",
                    "--experimental-loader",
                    "-C",
                    "--conditions",
                ],
                nothing: &["-v", "--version", "-h", "--help", "--test"],
                before_file: &["inspect", "debug"],
                ..Syntax::PLAIN
            },
            Self::Ruby => Syntax {
                inline: &["-e"],
                valued: &["-I", "-r", "-C", "-E"],
                attached: &["-F", "-K", "-T", "-W", "-i", "-x"],
                nothing: &["--version", "--help"],
                ..Syntax::CLUSTERED
            },
            Self::Perl => Syntax {
                inline: &["-e", "-E"],
                valued: &["-I"],
                attached: &["-C", "-D", "-F", "-M", "-V", "-i", "-m", "-x"],
                nothing: &["-v", "--version", "-V"],
                ..Syntax::CLUSTERED
            },
            Self::Php => Syntax {
                inline: &["-r", "-B", "-R", "-E", "--run"],
                file: &["-f", "-F", "--file"],
                valued: &["-c", "-d", "-t", "-S", "-z", "-g"],
                nothing: &["-v", "--version", "-i", "-m", "-S", "-h"],
                ..Syntax::CLUSTERED
            },
            Self::Osascript => Syntax { inline: &["-e"], valued: &["-l", "-s"], ..Syntax::PLAIN },
            Self::Lua => Syntax { inline: &["-e"], valued: &["-l"], nothing: &["-v"], ..Syntax::PLAIN },
            Self::Tcl => Syntax { inline: &["-c"], file: &["-f"], valued: &["-encoding"], ..Syntax::PLAIN },
            Self::R => Syntax {
                inline: &["-e"],
                file: &["-f", "--file"],
                valued: &["-g", "--gui", "-d"],
                nothing: &["--version", "--help"],
                ..Syntax::PLAIN
            },
            Self::PowerShell => Syntax {
                inline: &["-c", "-Command", "-command", "-e", "-ec", "-EncodedCommand", "-encodedcommand"],
                file: &["-f", "-File", "-file"],
                valued: &[
                    "-WorkingDirectory",
                    "-wd",
                    "-ExecutionPolicy",
                    "-ex",
                    "-ep",
                    "-OutputFormat",
                    "-InputFormat",
                ],
                nothing: &["-v", "-Version", "-h", "-Help"],
                ..Syntax::PLAIN
            },
            // The rest have readers of their own; a shell is read here.
            _ => Syntax {
                inline: &["-c", "--command"],
                valued: &["-o", "-O", "+o", "+O", "--rcfile", "--init-file", "-C", "--init-command"],
                stdin: &["-s"],
                nothing: &["--version", "--help"],
                after_inline: AfterInline::Code,
                ..Syntax::CLUSTERED
            },
        }
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

/// How a command line is read up to the script's name.
#[derive(Clone, Copy)]
struct Syntax {
    /// Options with code. Several are joined by line feeds, as the interpreters that allow it do.
    inline: &'static [&'static str],
    /// Options with a module's name.
    module: &'static [&'static str],
    /// Options with a file to run.
    file: &'static [&'static str],
    /// Other options with a value, attached or in the next argument.
    valued: &'static [&'static str],
    /// Other options that eat the rest of their cluster: `-i.bak`.
    attached: &'static [&'static str],
    /// Options that say "read standard input".
    stdin: &'static [&'static str],
    /// Options with which an interpreter may run no code at all.
    nothing: &'static [&'static str],
    /// Words before the file.
    before_file: &'static [&'static str],
    /// `-lc` is `-l -c`.
    clustered: bool,
    /// What the option with code says about the arguments behind it.
    after_inline: AfterInline,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AfterInline {
    /// They may hold more options and more code.
    Options,
    /// They belong to the code.
    Operands,
    /// The first of them that is no option is the code (POSIX `sh -c`).
    Code,
}

impl Syntax {
    const PLAIN: Self = Self {
        inline: &[],
        module: &[],
        file: &[],
        valued: &[],
        attached: &[],
        stdin: &[],
        nothing: &[],
        before_file: &[],
        clustered: false,
        after_inline: AfterInline::Options,
    };
    const CLUSTERED: Self = Self { clustered: true, ..Self::PLAIN };

    fn read(&self, arguments: &[&str]) -> Option<Code> {
        let mut code: Vec<&str> = Vec::new();
        let mut operand_is_code = false;
        let mut may_be_nothing = false;
        let mut left = arguments.iter().copied();
        let operand = 'arguments: loop {
            let Some(argument) = left.next() else { break None };
            match argument {
                "--" => break left.next(),
                "-" if code.is_empty() && !operand_is_code => return Some(Code::Stdin),
                word if self.before_file.contains(&word) => continue,
                word if !word.starts_with(['-', '+']) || word == "-" => break Some(word),
                _ => {}
            }
            for (option, attached) in self.options(argument) {
                let takes = |table: &[&str]| table.contains(&option.as_str());
                may_be_nothing |= takes(self.nothing);
                if takes(self.stdin) {
                    return Some(Code::Stdin);
                } else if takes(self.inline)
                    && self.after_inline == AfterInline::Code
                    && !option.starts_with("--")
                {
                    operand_is_code = true;
                } else if takes(self.inline) {
                    code.extend(attached.or_else(|| left.next()));
                    if self.after_inline != AfterInline::Options {
                        break 'arguments None;
                    }
                    break;
                } else if takes(self.module) {
                    return attached.or_else(|| left.next()).map(|name| Code::Module(name.to_owned()));
                } else if takes(self.file) {
                    return attached.or_else(|| left.next()).map(Code::file);
                } else if takes(self.attached) {
                    break;
                } else if takes(self.valued) {
                    if attached.is_none() {
                        left.next();
                    }
                    break;
                }
            }
        };
        match operand {
            Some(text) if operand_is_code => Some(Code::Inline(text.to_owned())),
            _ if !code.is_empty() => Some(Code::Inline(code.join("\n"))),
            Some(file) => Some(Code::file(file)),
            None if may_be_nothing => None,
            None => Some(Code::Stdin),
        }
    }

    /// The options in one argument, each with what is attached to it.
    fn options<'a>(&self, argument: &'a str) -> Vec<(String, Option<&'a str>)> {
        if argument.starts_with("--") {
            return match argument.split_once('=') {
                Some((name, value)) => vec![(name.to_owned(), Some(value))],
                None => vec![(argument.to_owned(), None)],
            };
        }
        if !self.clustered {
            return vec![(argument.to_owned(), None)];
        }
        let mut letters = argument.chars();
        let sign = letters.next().unwrap_or('-');
        let mut options = Vec::new();
        while let Some(letter) = letters.next() {
            let rest = letters.as_str();
            options.push((format!("{sign}{letter}"), (!rest.is_empty()).then_some(rest)));
        }
        options
    }
}

fn java(arguments: &[&str]) -> Option<Code> {
    let mut left = arguments.iter().copied();
    while let Some(argument) = left.next() {
        match argument {
            "-jar" => return left.next().map(|jar| Code::Jar(jar.to_owned())),
            "-m" | "--module" => return left.next().map(|name| Code::Module(name.to_owned())),
            "-cp" | "-classpath" | "--class-path" | "-p" | "--module-path" | "--add-modules"
            | "--add-opens" | "--add-exports" | "--add-reads" | "--source" => {
                left.next();
            }
            option if option.starts_with(['-', '@']) => {}
            source if has_extension(source, &["java"]) => return Some(Code::file(source)),
            class => return Some(Code::Module(class.to_owned())),
        }
    }
    None
}

/// The first argument that is no option, and those behind it.
fn operands<'a, 'b>(arguments: &'a [&'b str]) -> &'a [&'b str] {
    let mut left = arguments;
    while let [option, rest @ ..] = left {
        if !option.starts_with('-') {
            break;
        }
        left = match (DENO_VALUED.contains(option), rest) {
            (true, [_, rest @ ..]) => rest,
            _ => rest,
        };
    }
    left
}

fn deno(arguments: &[&str]) -> Option<Code> {
    match operands(arguments) {
        ["eval", rest @ ..] => operands(rest).first().map(|code| Code::Inline((*code).to_owned())),
        ["run" | "serve" | "test" | "bench", rest @ ..] => match operands(rest) {
            [] if rest.contains(&"-") => Some(Code::Stdin),
            [] => None,
            [file, ..] => Some(Code::file(file)),
        },
        ["task", rest @ ..] => operands(rest).first().map(|name| Code::Module((*name).to_owned())),
        [] if arguments.contains(&"-") => Some(Code::Stdin),
        [file, ..] if is_source(file) => Some(Code::file(file)),
        _ => None,
    }
}

fn bun(arguments: &[&str]) -> Option<Code> {
    if let Some(at) = arguments.iter().position(|a| matches!(*a, "-e" | "--eval" | "-p" | "--print")) {
        return arguments.get(at + 1).map(|code| Code::Inline((*code).to_owned()));
    }
    let file_or_name =
        |word: &str| if is_source(word) { Code::file(word) } else { Code::Module(word.to_owned()) };
    match operands(arguments) {
        ["run" | "x", rest @ ..] => operands(rest).first().map(|word| file_or_name(word)),
        [file, ..] if is_source(file) => Some(Code::file(file)),
        _ => None,
    }
}

/// `swift build` and its kin are a build system, which runs in a program of its own.
fn swift(arguments: &[&str]) -> Option<Code> {
    if let Some(at) = arguments.iter().position(|a| matches!(*a, "-interpret" | "-e")) {
        let next = arguments.get(at + 1)?;
        return Some(if arguments.get(at) == Some(&"-e") {
            Code::Inline((*next).to_owned())
        } else {
            Code::file(next)
        });
    }
    match operands(arguments) {
        [file, ..] if has_extension(file, &["swift"]) => Some(Code::file(file)),
        _ => None,
    }
}

/// Whether a word names a file or an address and not a command.
fn is_source(word: &str) -> bool {
    word.contains('/') || has_extension(word, &["js", "mjs", "cjs", "ts", "mts", "tsx", "jsx"])
}

fn has_extension(word: &str, extensions: &[&str]) -> bool {
    word.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
}

/// Options of deno that take the next argument.
const DENO_VALUED: [&str; 9] =
    ["-c", "--config", "-L", "--log-level", "--import-map", "--cert", "--location", "--seed", "--cwd"];

#[cfg(test)]
#[path = "interpreter_tests.rs"]
mod tests;
