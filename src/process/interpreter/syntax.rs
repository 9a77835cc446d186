//! Interpreters that take options, then a file.

use super::{Code, Language};

/// How a command line is read up to the script's name.
#[derive(Clone, Copy)]
pub(super) struct Syntax {
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

    /// How a language reads its command line.
    pub(super) fn of(language: Language) -> Self {
        match language {
            Language::Python => Self {
                inline: &["-c"],
                after_inline: AfterInline::Operands,
                module: &["-m"],
                valued: &["-W", "-X", "--check-hash-based-pycs"],
                nothing: &["-V", "--version", "-h", "--help"],
                ..Self::CLUSTERED
            },
            Language::Node => Self {
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
                ..Self::PLAIN
            },
            Language::Ruby => Self {
                inline: &["-e"],
                valued: &["-I", "-r", "-C", "-E"],
                attached: &["-F", "-K", "-T", "-W", "-i", "-x"],
                nothing: &["--version", "--help"],
                ..Self::CLUSTERED
            },
            Language::Perl => Self {
                inline: &["-e", "-E"],
                valued: &["-I"],
                attached: &["-C", "-D", "-F", "-M", "-V", "-i", "-m", "-x"],
                nothing: &["-v", "--version", "-V"],
                ..Self::CLUSTERED
            },
            Language::Php => Self {
                inline: &["-r", "-B", "-R", "-E", "--run"],
                file: &["-f", "-F", "--file"],
                valued: &["-c", "-d", "-t", "-S", "-z", "-g"],
                nothing: &["-v", "--version", "-i", "-m", "-S", "-h"],
                ..Self::CLUSTERED
            },
            Language::Osascript => Self { inline: &["-e"], valued: &["-l", "-s"], ..Self::PLAIN },
            Language::Lua => Self { inline: &["-e"], valued: &["-l"], nothing: &["-v"], ..Self::PLAIN },
            Language::Tcl => Self { inline: &["-c"], file: &["-f"], valued: &["-encoding"], ..Self::PLAIN },
            Language::R => Self {
                inline: &["-e"],
                file: &["-f", "--file"],
                valued: &["-g", "--gui", "-d"],
                nothing: &["--version", "--help"],
                ..Self::PLAIN
            },
            Language::PowerShell => Self {
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
                ..Self::PLAIN
            },
            // The rest have readers of their own; a shell is read here.
            _ => Self {
                inline: &["-c", "--command"],
                valued: &["-o", "-O", "+o", "+O", "--rcfile", "--init-file", "-C", "--init-command"],
                stdin: &["-s"],
                nothing: &["--version", "--help"],
                after_inline: AfterInline::Code,
                ..Self::CLUSTERED
            },
        }
    }

    /// What the arguments behind the interpreter's name run.
    pub(super) fn read(&self, arguments: &[&str]) -> Option<Code> {
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
