//! Apple's own `eslogger`, started and read: process events without an entitlement of ours.
//!
//! It is signed by Apple with the entitlement that Endpoint Security asks for. It needs root, and Full Disk Access for the process that is
//! responsible for it: tidemark, where launchd started tidemark.

use crate::observation::Origin;
use crate::source::live::CommandSource;
use crate::source::recording::RecordingReader;

/// What `eslogger` tells while it runs.
pub(crate) fn live() -> CommandSource {
    CommandSource::new(NAME, PROGRAM, |output| {
        Box::new(RecordingReader::new(output, NAME, Origin::default()))
    })
}

const NAME: &str = "eslogger";
const PROGRAM: &[&str] = &["/usr/bin/eslogger", "exec", "fork", "exit"];
