//! `[daemon]`: what the daemon itself offers.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `[daemon]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// An address of this machine alone at which metrics are told, such as `127.0.0.1:9464`; none by default. Read at the start.
    pub metrics_listen: Option<String>,
}

/// A setting of `[daemon]` cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`metrics_listen` is an address of this machine alone with a port, such as 127.0.0.1:9464, and {0:?} is not"
)]
pub struct InvalidSetting(String);

impl Settings {
    /// Whether every setting can be kept.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        match &self.metrics_listen {
            Some(text) if self.metrics_address().is_none() => Err(InvalidSetting(text.clone())),
            _ => Ok(()),
        }
    }

    /// Where metrics are told beside the socket.
    pub(super) fn metrics_address(&self) -> Option<SocketAddr> {
        let address: SocketAddr = self.metrics_listen.as_deref()?.parse().ok()?;
        address.ip().is_loopback().then_some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_never_told_to_the_network() {
        let of = |text: &str| Settings { metrics_listen: Some(text.to_owned()) };
        assert!(Settings::default().validate().is_ok());
        assert!(of("127.0.0.1:9464").validate().is_ok() && of("[::1]:9464").validate().is_ok());
        for wrong in ["0.0.0.0:9464", "192.0.2.1:9464", "[::]:9464", "localhost:9464", "9464", ""] {
            assert!(of(wrong).validate().is_err(), "{wrong}");
        }
    }
}
