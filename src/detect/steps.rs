//! When a subject is scored again: not before one of its running sums has entered another half-bit bin.

use super::Settings;
use crate::baseline::Network;

/// The half-bit steps on which the running sums stand: a subject is scored again only when one of them is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Steps([u32; 6], bool);

impl Steps {
    pub(super) fn of(network: &Network, settings: &Settings) -> Self {
        let (hour, day) = (&network.hour.sums, &network.day.sums);
        let received = if settings.bytes_in { half_bits(hour.received) } else { 0 };
        let flows = if settings.fan_out { half_bits(u64::from(hour.flows)) } else { 0 };
        let steps = [
            half_bits(hour.out),
            half_bits(day.out),
            half_bits(hour.new),
            half_bits(day.new),
            received,
            flows,
        ];
        Self(steps, day.out >= settings.floor_bytes)
    }
}

/// 2 · log2(1 + bytes), rounded down, without a logarithm.
fn half_bits(bytes: u64) -> u32 {
    let value = bytes.saturating_add(1);
    let shift = value.leading_zeros();
    2 * (63 - shift) + u32::from(value << shift >= SQRT_2_SCALED)
}

/// √2 · 2^63, rounded up.
const SQRT_2_SCALED: u64 = 0xb504_f333_f9de_6485;
