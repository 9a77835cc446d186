//! `[delivery]`: the spool's caps and the receivers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::spool::{Caps, Queue};
use crate::alert::Format;

/// `[delivery]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// MiB that the spool may take; 256 by default.
    pub spool_max_mib: u32,
    /// Days, counted while tidemark runs, after which an event that no receiver took is dropped; 7 by default.
    pub spool_max_days: u32,
    /// `[[delivery.sink]]`: the receivers. None by default, which means alerts on standard output.
    #[serde(rename = "sink")]
    pub sinks: Vec<SinkSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { spool_max_mib: 256, spool_max_days: 7, sinks: Vec::new() }
    }
}

/// One receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SinkSettings {
    /// A file that grows by a line an event.
    File(FileSettings),
    /// Standard output.
    Stdout(StdoutSettings),
    /// Splunk's HTTP Event Collector.
    Hec(HttpSettings),
    /// Elasticsearch's or OpenSearch's `_bulk`.
    Elastic(HttpSettings),
    /// NDJSON by POST.
    Webhook(HttpSettings),
    /// RFC 5424 over TLS: best effort, see [`super::SyslogSink`].
    Syslog(SyslogSettings),
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSettings {
    /// Names the sink: its cursor, its status, its log lines.
    pub name: String,
    /// The form of alerts: `native`, `ocsf` or `ecs`; `native` by default. Health events and telemetry have one form.
    #[serde(default)]
    pub format: Format,
    /// What is sent: `alerts`, `health`, `telemetry`; all by default.
    #[serde(default = "everything")]
    pub send: Vec<Queue>,
    /// The file, relative to the configuration's folder.
    pub path: PathBuf,
    /// MiB at which the file is renamed and a new one begun; 100 by default, 0 for never.
    #[serde(default = "hundred")]
    pub rotate_mib: u32,
    /// Whether a new file begins with each day (UTC); on by default.
    #[serde(default = "yes")]
    pub rotate_daily: bool,
    /// Renamed files that are kept; 7 by default.
    #[serde(default = "seven")]
    pub keep: u32,
}

/// Standard output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StdoutSettings {
    /// Names the sink.
    pub name: String,
    /// The form of alerts: `native`, `ocsf` or `ecs`; `native` by default. Health events and telemetry have one form.
    #[serde(default)]
    pub format: Format,
    /// What is sent: `alerts`, `health`, `telemetry`; all by default.
    #[serde(default = "everything")]
    pub send: Vec<Queue>,
}

/// A receiver that speaks HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Names the sink.
    pub name: String,
    /// The form of alerts: `native`, `ocsf` or `ecs`; `ocsf` by default. Health events and telemetry have one form.
    #[serde(default = "ocsf")]
    pub format: Format,
    /// What is sent: `alerts`, `health`, `telemetry`; all by default.
    #[serde(default = "everything")]
    pub send: Vec<Queue>,
    /// The whole address, such as `https://splunk.example.com:8088/services/collector/event`; for `elastic` the address before `/_bulk`.
    pub url: String,
    /// A file that holds the HEC token, the Elastic API key, or the webhook's bearer token; or a whole `Authorization` value such as `Basic …`.
    /// Only its owner may read it.
    pub token_file: Option<PathBuf>,
    /// The index: optional for HEC, `tidemark-alerts` by default for Elastic, without meaning for a webhook.
    pub index: Option<String>,
    /// HEC: seconds to wait for the indexer's acknowledgement, where it gives one; 0 by default, which does not ask. Splunk Cloud gives none.
    #[serde(default)]
    pub ack_seconds: u32,
    /// Whether bodies are compressed; on by default.
    #[serde(default = "yes")]
    pub gzip: bool,
    /// Events in a request; 100 by default.
    #[serde(default = "hundred")]
    pub batch_events: u32,
    /// KiB of events in a request before compression; 512 by default. A longer event is sent by itself.
    #[serde(default = "half_a_mib")]
    pub batch_kib: u32,
    /// Seconds for a request and its answer; 30 by default.
    #[serde(default = "thirty")]
    pub timeout_seconds: u32,
    /// An HTTP proxy, such as `http://proxy.example.com:3128`; the system's by default, `none` for none.
    pub proxy: Option<String>,
    /// TLS.
    #[serde(default)]
    pub tls: TlsSettings,
}

/// A syslog receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyslogSettings {
    /// Names the sink.
    pub name: String,
    /// The form of alerts: `native`, `ocsf` or `ecs`; `ocsf` by default. Health events and telemetry have one form.
    #[serde(default = "ocsf")]
    pub format: Format,
    /// What is sent: `alerts`, `health`, `telemetry`; all by default.
    #[serde(default = "everything")]
    pub send: Vec<Queue>,
    /// Host and port, such as `syslog.example.com:6514`.
    pub address: String,
    /// Bytes that the receiver takes as one message; 8,096 by default (what rsyslog takes). A longer alert leaves in its
    /// slim form; what is longer even then is set aside, never cut.
    #[serde(default = "most_message_bytes")]
    pub max_message_bytes: u32,
    /// TLS.
    #[serde(default)]
    pub tls: TlsSettings,
}

/// `tls = { … }` of a sink: at least TLS 1.2, always with verification.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// The only authorities to trust, as PEM; by default those that the system trusts, which on a managed Mac include the organisation's.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate and what leads from it to its authority, as PEM.
    pub certificate_file: Option<PathBuf>,
    /// The client's key, as PEM. Only its owner may read it.
    pub key_file: Option<PathBuf>,
}

/// A setting of `[delivery]` cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidSetting {
    /// The name of a sink is the name of files.
    #[error("a sink's name is made of 1 to 64 letters, digits, - and _, and {0:?} is not")]
    Name(String),
    /// Two sinks would share a cursor.
    #[error("two sinks are named {0:?}")]
    Twice(String),
    /// Events leave the Mac in the clear.
    #[error(
        "sink {0:?}: the address begins with https://, or with http:// where the receiver is on this Mac"
    )]
    Clear(String),
    /// A number that must not be 0.
    #[error("{0} is at least 1")]
    Zero(&'static str),
    /// One half of a pair.
    #[error("sink {0:?}: certificate_file and key_file go together")]
    HalfAPair(String),
}

impl Settings {
    /// The spool's bounds.
    pub fn caps(&self) -> Caps {
        Caps {
            bytes: u64::from(self.spool_max_mib) << 20,
            age: Duration::from_hours(u64::from(self.spool_max_days) * 24),
            ..Caps::default()
        }
    }

    /// The first file that alerts are written to: where an alert is looked up by its id.
    pub fn file(&self) -> Option<&Path> {
        self.sinks.iter().find_map(|sink| match sink {
            SinkSettings::File(file) => Some(file.path.as_path()),
            _ => None,
        })
    }

    /// Relative paths start from this folder.
    pub fn resolve(&mut self, folder: &Path) {
        for sink in &mut self.sinks {
            sink.paths(|path| *path = folder.join(&path));
        }
    }

    /// Whether every setting can be kept.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        if self.spool_max_mib == 0 {
            return Err(InvalidSetting::Zero("spool_max_mib"));
        }
        if self.spool_max_days == 0 {
            return Err(InvalidSetting::Zero("spool_max_days"));
        }
        let mut names = BTreeSet::new();
        for sink in &self.sinks {
            let name = sink.name();
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || name.len() > MOST_NAME_BYTES || !name.chars().all(plain) {
                return Err(InvalidSetting::Name(name.to_owned()));
            }
            if !names.insert(name) {
                return Err(InvalidSetting::Twice(name.to_owned()));
            }
            if let SinkSettings::Hec(http) | SinkSettings::Elastic(http) | SinkSettings::Webhook(http) = sink
            {
                http.validate()?;
            }
            if let Some(tls) = sink.tls()
                && tls.certificate_file.is_some() != tls.key_file.is_some()
            {
                return Err(InvalidSetting::HalfAPair(name.to_owned()));
            }
        }
        Ok(())
    }
}

impl SinkSettings {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::File(file) => &file.name,
            Self::Stdout(stdout) => &stdout.name,
            Self::Hec(http) | Self::Elastic(http) | Self::Webhook(http) => &http.name,
            Self::Syslog(syslog) => &syslog.name,
        }
    }

    /// The form of its alerts.
    pub fn format(&self) -> Format {
        match self {
            Self::File(file) => file.format,
            Self::Stdout(stdout) => stdout.format,
            Self::Hec(http) | Self::Elastic(http) | Self::Webhook(http) => http.format,
            Self::Syslog(syslog) => syslog.format,
        }
    }

    /// What it sends.
    pub fn send(&self) -> &[Queue] {
        match self {
            Self::File(file) => &file.send,
            Self::Stdout(stdout) => &stdout.send,
            Self::Hec(http) | Self::Elastic(http) | Self::Webhook(http) => &http.send,
            Self::Syslog(syslog) => &syslog.send,
        }
    }

    fn tls(&self) -> Option<&TlsSettings> {
        match self {
            Self::File(_) | Self::Stdout(_) => None,
            Self::Hec(http) | Self::Elastic(http) | Self::Webhook(http) => Some(&http.tls),
            Self::Syslog(syslog) => Some(&syslog.tls),
        }
    }

    fn paths(&mut self, mut each: impl FnMut(&mut PathBuf)) {
        let (token, tls) = match self {
            Self::File(file) => return each(&mut file.path),
            Self::Stdout(_) => return,
            Self::Hec(http) | Self::Elastic(http) | Self::Webhook(http) => {
                (http.token_file.as_mut(), &mut http.tls)
            }
            Self::Syslog(syslog) => (None, &mut syslog.tls),
        };
        token.into_iter().for_each(&mut each);
        [&mut tls.ca_file, &mut tls.certificate_file, &mut tls.key_file].into_iter().flatten().for_each(each);
    }
}

impl HttpSettings {
    fn validate(&self) -> Result<(), InvalidSetting> {
        let local = ["http://127.0.0.1", "http://[::1]", "http://localhost"].into_iter().any(|local| {
            self.url.strip_prefix(local).is_some_and(|rest| rest.starts_with([':', '/']) || rest.is_empty())
        });
        if !local && !self.url.starts_with("https://") {
            return Err(InvalidSetting::Clear(self.name.clone()));
        }
        if self.batch_events == 0 {
            return Err(InvalidSetting::Zero("batch_events"));
        }
        if self.timeout_seconds == 0 {
            return Err(InvalidSetting::Zero("timeout_seconds"));
        }
        Ok(())
    }
}

const fn ocsf() -> Format {
    Format::Ocsf
}
fn everything() -> Vec<Queue> {
    Queue::ALL.to_vec()
}
const fn yes() -> bool {
    true
}
const fn seven() -> u32 {
    7
}
const fn thirty() -> u32 {
    30
}
const fn hundred() -> u32 {
    100
}
const fn half_a_mib() -> u32 {
    512
}
/// rsyslog's default limit: a message of 7,913 bytes was taken whole there, one of 8,113 cut.
const fn most_message_bytes() -> u32 {
    8_096
}
const MOST_NAME_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        let settings: Settings = toml::from_str(text).map_err(|error| error.to_string())?;
        settings.validate().map_err(|error| error.to_string())?;
        Ok(settings)
    }

    #[test]
    fn a_collector_needs_a_name_and_an_address() {
        let settings =
            parse("[[sink]]\ntype='hec'\nname='splunk'\nurl='https://s.example:8088/x'\ntoken_file='t'")
                .unwrap();
        let SinkSettings::Hec(hec) = &settings.sinks[0] else { panic!("{settings:?}") };
        assert!(hec.gzip && hec.ack_seconds == 0 && hec.batch_events == 100);
    }

    #[test]
    fn an_unknown_key_in_a_sink_is_named() {
        let error = parse("[[sink]]\ntype='file'\nname='f'\npaht='x'").unwrap_err();
        assert!(error.contains("paht") && error.contains("path"), "{error}");
    }

    #[test]
    fn a_token_never_stands_in_the_configuration() {
        let error = parse("[[sink]]\ntype='hec'\nname='s'\nurl='https://s'\ntoken='secret'").unwrap_err();
        assert!(error.contains("token_file"), "{error}");
    }

    #[test]
    fn alerts_leave_in_the_clear_only_to_this_machine() {
        let sink = |url: &str| parse(&format!("[[sink]]\ntype='webhook'\nname='w'\nurl='{url}'"));
        assert!(sink("http://127.0.0.1:8088/x").is_ok());
        assert!(sink("http://localhost/x").is_ok());
        for url in [
            "http://siem.example/x",
            "http://localhost.evil.example/",
            "http://127.0.0.1.evil.example",
            "ftp://x",
        ] {
            assert!(sink(url).unwrap_err().contains("https://"), "{url}");
        }
    }

    #[test]
    fn names_are_safe_as_file_names_and_unique() {
        let stdout = |name: &str| format!("[[sink]]\ntype='stdout'\nname='{name}'\n");
        assert!(parse(&stdout("../x")).unwrap_err().contains("letters"));
        assert!(parse(&stdout("")).is_err());
        assert!(parse(&(stdout("a") + &stdout("a"))).unwrap_err().contains("two sinks"));
    }

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        let error =
            parse("[[sink]]\ntype='syslog'\nname='s'\naddress='h:6514'\ntls={certificate_file='c.pem'}");
        assert!(error.unwrap_err().contains("go together"));
    }

    #[test]
    fn paths_start_from_the_configurations_folder() {
        let mut settings = parse(
            "[[sink]]\ntype='hec'\nname='s'\nurl='https://s'\ntoken_file='t'\ntls={ca_file='/ca.pem'}\n[[sink]]\ntype='file'\nname='f'\npath='a/b'",
        )
        .unwrap();
        settings.resolve(Path::new("/etc/tidemark"));
        let SinkSettings::Hec(hec) = &settings.sinks[0] else { panic!() };
        assert_eq!(hec.token_file.as_deref(), Some(Path::new("/etc/tidemark/t")));
        assert_eq!(hec.tls.ca_file.as_deref(), Some(Path::new("/ca.pem")));
        let SinkSettings::File(file) = &settings.sinks[1] else { panic!() };
        assert_eq!(file.path, Path::new("/etc/tidemark/a/b"));
    }
}
