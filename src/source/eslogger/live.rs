//! Apple's own `eslogger`, started and read: process events without an entitlement of ours.
//!
//! It is signed by Apple with the entitlement that Endpoint Security asks for. It needs root, and Full Disk Access for the process that is
//! responsible for it: tidemark, where launchd started tidemark.

use std::time::Duration;

use crate::observation::Origin;
use crate::source::live::CommandSource;
use crate::source::recording::RecordingReader;

/// What `eslogger` tells while it runs.
pub(crate) fn live() -> CommandSource {
    CommandSource::new(NAME, PROGRAM, Some(RESTART_AFTER), |output| {
        Box::new(RecordingReader::new(output, NAME, Origin::default()))
    })
}

const NAME: &str = "eslogger";
const PROGRAM: &[&str] = &["/usr/bin/eslogger", "exec", "fork", "exit"];
/// A person who is told to grant access does it within minutes.
const RESTART_AFTER: Duration = Duration::from_secs(30);
