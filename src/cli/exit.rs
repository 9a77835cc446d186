//! How a command ends: exit codes that mean something, and one sentence on standard error.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub struct Failure {
    /// What a script sees.
    pub code: Code,
    /// What a person reads; empty where there is nothing to say.
    pub message: String,
}

/// The exit codes, after `sysexits.h` where that has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Fine.
    Ok = 0,
    /// A check failed.
    CheckFailed = 1,
    /// The command line is wrong (clap's own code).
    Usage = 2,
    /// `EX_DATAERR`: nothing in the input could be read.
    BadData = 65,
    /// `EX_NOINPUT`: an input is missing or may not be read.
    NoInput = 66,
    /// `EX_UNAVAILABLE`: no daemon runs.
    Unavailable = 69,
    /// `EX_IOERR`: writing failed.
    Io = 74,
    /// `EX_NOPERM`: not for this user.
    NotPermitted = 77,
    /// `EX_CONFIG`: the configuration is wrong.
    Config = 78,
}

/// The table for `--help` and the manual page.
pub const EXIT_CODES: &str = "\
Exit codes:
  0   fine
  1   a check failed
  2   the command line is wrong
  65  bad input data: nothing in it could be read
  66  no input: a file is missing or may not be read
  69  no daemon runs
  74  the output could not be written
  77  not for this user
  78  bad configuration";

impl Failure {
    /// With a message for people.
    pub fn new(code: Code, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }
}

impl From<io::Error> for Failure {
    /// Writing to standard output failed. A reader that went away (`| head`) is no failure.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self { code: Code::Ok, message: String::new() }
        } else {
            Self::new(Code::Io, format!("cannot write the output: {error}"))
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}
