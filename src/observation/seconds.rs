//! A span of time as a JSON number of seconds: `{"awake_seconds": 86400.25}` is what others can write and read, serde's own form is not.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

#[allow(clippy::ref_option, reason = "serde's `with` passes a reference to the field")]
pub(super) fn serialize<S: Serializer>(span: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    span.map(|span| span.as_secs_f64()).serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let Some(seconds) = Option::<f64>::deserialize(deserializer)? else {
        return Ok(None);
    };
    // What a float of this size cannot hold is rounded off, so that whole microseconds read back as they were written.
    match Duration::try_from_secs_f64(seconds + HALF_MICROSECOND) {
        Ok(span) => Ok(Some(Duration::new(span.as_secs(), span.subsec_micros() * NANOS_PER_MICROSECOND))),
        Err(_) => Err(de::Error::invalid_value(de::Unexpected::Float(seconds), &"seconds since boot")),
    }
}

const HALF_MICROSECOND: f64 = 0.000_000_5;
const NANOS_PER_MICROSECOND: u32 = 1_000;
