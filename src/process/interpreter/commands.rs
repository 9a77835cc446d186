//! Interpreters that take commands, or a class instead of a file.

use super::Code;

pub(super) fn java(arguments: &[&str]) -> Option<Code> {
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

pub(super) fn deno(arguments: &[&str]) -> Option<Code> {
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

pub(super) fn bun(arguments: &[&str]) -> Option<Code> {
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
pub(super) fn swift(arguments: &[&str]) -> Option<Code> {
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
