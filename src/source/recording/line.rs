//! One line of a recording: what it may hold, told apart by its members.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::observation::{Clock, FlowReport, Gap, RecordingHeader, Timestamp};
use crate::source::eslogger::{Action, Arguments, Environment, Events, Process};

/// Every member that a line of a recording may have. A record of tidemark's own is the one member that names it; an `eslogger` line has
/// its members at the top; the line of `ProcessMonitor` has a text as its `event`. Other members are passed over.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, expecting = "an object")]
pub(super) struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recording: Option<Cow<'a, RecordingHeader>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) flow: Option<Cow<'a, FlowReport>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gap: Option<Cow<'a, Gap>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) clock: Option<Clock>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(super) running: Option<Box<RunningRecord<'a>>>,

    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub(super) schema_version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mach_time: Option<u64>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub(super) event_type: Option<u32>,
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub(super) action_type: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<Action>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seq_num: Option<u64>,
    /// Jamf Protect calls it `glob_seq_num`.
    #[serde(alias = "glob_seq_num", skip_serializing_if = "Option::is_none")]
    pub(super) global_seq_num: Option<u64>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(super) process: Option<Box<Process<'a>>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(super) event: Option<EventMember<'a>>,
}

/// The `running` record: a process that ran already when observation began, in the form of an `eslogger` line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RunningRecord<'a> {
    pub(super) time: Timestamp,
    #[serde(borrow)]
    pub(super) process: Process<'a>,
    #[serde(default)]
    pub(super) args: Arguments,
    #[serde(default)]
    pub(super) env: Environment,
}

/// The `event` member.
#[derive(Debug)]
pub(super) enum EventMember<'a> {
    /// Of `eslogger`: an object with one member, named for the type.
    Events(Events<'a>),
    /// Of `ProcessMonitor`: the type's name. The line has to be read again by its rules.
    Name,
}

impl Serialize for EventMember<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Events(events) => events.serialize(serializer),
            Self::Name => Err(serde::ser::Error::custom("lines of ProcessMonitor are only read")),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for EventMember<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectOrName;
        impl<'de> Visitor<'de> for ObjectOrName {
            type Value = EventMember<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event")
            }
            fn visit_str<E: de::Error>(self, _: &str) -> Result<EventMember<'de>, E> {
                Ok(EventMember::Name)
            }
            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<EventMember<'de>, A::Error> {
                Events::deserialize(MapAccessDeserializer::new(members)).map(EventMember::Events)
            }
        }
        deserializer.deserialize_any(ObjectOrName)
    }
}
