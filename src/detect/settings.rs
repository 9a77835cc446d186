//! What an operator can set about detection.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The `[detection]` table of the configuration. Every key has a default, and a key that is not known is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// B: how many alerts a Mac may raise a day, on average. 0.05 is one in 20 days.
    pub alerts_per_mac_per_day: f64,
    /// The same budget in a SOC's own unit: it takes the place of `alerts_per_mac_per_day`.
    pub fleet: Option<Fleet>,
    /// The most alerts that leave a Mac in a day, `high` and `critical` not counted. What is held back is told in a digest.
    pub alerts_per_day_cap: u32,
    /// How many days in which the Mac was awake and observed it learns before ordinary findings leave.
    pub learn_days: u32,
    /// Bytes that a subject must have sent in a day before volume and new destinations are scored (10^6 is a megabyte).
    pub floor_bytes: u64,
    /// Half-life of what was learnt, in observed days.
    pub half_life_days: f64,
    /// Observed days without any activity after which a subject is forgotten.
    pub forget_after_days: u32,
    /// Hours for which the Mac settles after a change of the system or a wave of new images.
    pub settling_hours: u32,
    /// How many new images in one day make such a wave.
    pub settling_new_images: u32,
    /// The most subjects kept; beyond it the one that was idle for longest makes room, and is counted.
    pub subjects: u32,
    /// Images that are expected to open sockets (AN1227's `SocketParentProcessMatch`): exact identities, or with a `*` at the end
    /// their beginnings. The first use of the network by any other image that has run for long without it is scored as rarer.
    pub socket_parents: Vec<String>,
    /// Scores bytes received as a channel of their own. Off: it finds next to nothing that bytes sent do not (METHOD.md's
    /// measurement: recall 0.15 against 0.60).
    pub bytes_in: bool,
    /// Scores the number of new flows as a channel of its own. Off.
    pub fan_out: bool,
}

/// A budget for a fleet: 10,000 Macs and 50 alerts a day make 0.005 a Mac.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fleet {
    /// How many Macs.
    pub fleet_size: u32,
    /// How many alerts they may raise together in a day.
    pub alerts_per_fleet_per_day: f64,
}

/// A setting that cannot be kept.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("`{key}` is {value}, but must be {rule}")]
pub struct InvalidSetting {
    /// The key, inside `[detection]`.
    pub key: &'static str,
    /// What it was set to.
    pub value: f64,
    /// What it may be.
    pub rule: &'static str,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            alerts_per_mac_per_day: 0.05,
            fleet: None,
            alerts_per_day_cap: 5,
            learn_days: 7,
            floor_bytes: 1_000_000,
            half_life_days: 30.0,
            forget_after_days: 60,
            settling_hours: 48,
            settling_new_images: 10,
            subjects: 20_000,
            socket_parents: SOCKET_PARENTS.iter().map(ToString::to_string).collect(),
            bytes_in: false,
            fan_out: false,
        }
    }
}

impl Settings {
    /// B, from whichever form it was set in: alerts per Mac and day.
    pub fn budget(&self) -> f64 {
        match self.fleet {
            Some(fleet) => fleet.alerts_per_fleet_per_day / f64::from(fleet.fleet_size),
            None => self.alerts_per_mac_per_day,
        }
    }

    /// The least score that alerts: −log10 of the budget.
    pub fn threshold(&self) -> f64 {
        -libm::log10(self.budget())
    }

    /// Checks what types cannot.
    ///
    /// # Errors
    /// Names the first key that is out of range.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let check = |key, value: f64, rule, kept: bool| {
            if kept { Ok(()) } else { Err(InvalidSetting { key, value, rule }) }
        };
        if let Some(fleet) = self.fleet {
            check("fleet.fleet_size", f64::from(fleet.fleet_size), "at least 1", fleet.fleet_size >= 1)?;
        }
        let budget = self.budget();
        let key =
            if self.fleet.is_some() { "fleet.alerts_per_fleet_per_day" } else { "alerts_per_mac_per_day" };
        check(key, budget, "between 0.00001 and 10 a Mac", (MIN_BUDGET..=MAX_BUDGET).contains(&budget))?;
        check(
            "half_life_days",
            self.half_life_days,
            "at least 1 and finite",
            self.half_life_days >= 1.0 && self.half_life_days.is_finite(),
        )?;
        check(
            "forget_after_days",
            f64::from(self.forget_after_days),
            "at least 1",
            self.forget_after_days >= 1,
        )?;
        check(
            "alerts_per_day_cap",
            f64::from(self.alerts_per_day_cap),
            "at least 1",
            self.alerts_per_day_cap >= 1,
        )?;
        check("subjects", f64::from(self.subjects), "at least 100", self.subjects >= 100)
    }

    /// Whether an image is expected to open sockets.
    pub fn expects_sockets(&self, image: &str) -> bool {
        self.socket_parents.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => image.starts_with(beginning),
            None => image == pattern,
        })
    }
}

/// A budget below this asks for more history than any Mac has: one alert in 274 years.
const MIN_BUDGET: f64 = 1e-5;
/// A budget above this is no budget.
const MAX_BUDGET: f64 = 10.0;

/// Browsers and system parts whose work is the network.
const SOCKET_PARENTS: &[&str] = &[
    "apple:com.apple.Safari*",
    "apple:com.apple.WebKit*",
    "apple:com.apple.mDNSResponder",
    "apple:com.apple.nsurlsessiond",
    "EQHXZ8M8AV:com.google.Chrome*",
    "43AQ936H96:org.mozilla.*",
    "UBF8T346G9:com.microsoft.edgemac*",
    "KL8N8XSYF4:com.brave.Browser*",
    "S6N382Y83G:company.thebrowser.*",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_of_ten_thousand_with_fifty_alerts_has_five_thousandths_a_mac() {
        let fleet = Fleet { fleet_size: 10_000, alerts_per_fleet_per_day: 50.0 };
        let settings = Settings { fleet: Some(fleet), ..Settings::default() };
        assert!((settings.budget() - 0.005).abs() < 1e-12);
        assert_eq!(settings.validate(), Ok(()));
    }

    #[test]
    fn a_budget_of_nothing_is_refused_by_name() {
        let settings = Settings { alerts_per_mac_per_day: 0.0, ..Settings::default() };
        assert_eq!(settings.validate().unwrap_err().key, "alerts_per_mac_per_day");
        let nan = Settings { half_life_days: f64::NAN, ..Settings::default() };
        assert_eq!(nan.validate().unwrap_err().key, "half_life_days");
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        let error = toml::from_str::<Settings>("alerts_per_mac = 1.0").unwrap_err();
        assert!(error.to_string().contains("alerts_per_mac"));
    }

    #[test]
    fn only_a_star_at_the_end_matches_beginnings() {
        let settings = Settings::default();
        assert!(settings.expects_sockets("EQHXZ8M8AV:com.google.Chrome.helper"));
        assert!(!settings.expects_sockets("apple:com.apple.osascript"));
    }
}
