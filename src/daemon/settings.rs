//! `[daemon]`: what the daemon itself offers.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::governor::Budget;

/// `[daemon]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// An address of this machine alone at which metrics are told, such as `127.0.0.1:9464`; none by default. Read at the start.
    pub metrics_listen: Option<String>,
    /// Percent of one core that the daemon may use in the mean of half a minute, from 0 (no bound) to 10000; 5 by default. Beyond it live sources try less,
    /// and the status says so.
    pub cpu_percent: f64,
    /// MiB of memory that the daemon may use, 0 for no bound; 100 by default. Beyond it as for `cpu_percent`.
    pub memory_mib: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { metrics_listen: None, cpu_percent: 5.0, memory_mib: 100 }
    }
}

/// A setting of `[daemon]` cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidSetting {
    /// `metrics_listen`.
    #[error(
        "`metrics_listen` is an address of this machine alone with a port, such as 127.0.0.1:9464, and {0:?} is not"
    )]
    Address(String),
    /// `cpu_percent`.
    #[error("`cpu_percent` is from 0 to 10000, and {0} is not")]
    Percent(String),
}

impl Settings {
    /// Whether every setting can be kept.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        if !(0.0..=MOST_PERCENT).contains(&self.cpu_percent) {
            return Err(InvalidSetting::Percent(self.cpu_percent.to_string()));
        }
        match &self.metrics_listen {
            Some(text) if self.metrics_address().is_none() => Err(InvalidSetting::Address(text.clone())),
            _ => Ok(()),
        }
    }

    /// What the daemon may use.
    pub(super) fn budget(&self) -> Budget {
        Budget {
            cpu_percent: Some(self.cpu_percent).filter(|percent| *percent > 0.0),
            memory_bytes: Some(u64::from(self.memory_mib) << 20).filter(|bytes| *bytes > 0),
        }
    }

    /// Where metrics are told beside the socket.
    pub(super) fn metrics_address(&self) -> Option<SocketAddr> {
        let address: SocketAddr = self.metrics_listen.as_deref()?.parse().ok()?;
        address.ip().is_loopback().then_some(address)
    }
}

/// A hundred cores.
const MOST_PERCENT: f64 = 10_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_never_told_to_the_network() {
        let of = |text: &str| Settings { metrics_listen: Some(text.to_owned()), ..Settings::default() };
        assert!(Settings::default().validate().is_ok());
        assert!(of("127.0.0.1:9464").validate().is_ok() && of("[::1]:9464").validate().is_ok());
        for wrong in ["0.0.0.0:9464", "192.0.2.1:9464", "[::]:9464", "localhost:9464", "9464", ""] {
            assert!(of(wrong).validate().is_err(), "{wrong}");
        }
        for wrong in [-1.0, f64::NAN, 20_000.0] {
            assert!(Settings { cpu_percent: wrong, ..Settings::default() }.validate().is_err(), "{wrong}");
        }
    }
}
