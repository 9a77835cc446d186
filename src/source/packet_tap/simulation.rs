//! What the kernel writes into a buffer of the tap, for tests.

use crate::observation::Direction;

/// One record: `curl`'s packet, of a frame with an Ethernet header, as a tap shows it.
pub(crate) fn record(
    seconds: u32,
    wire_length: u32,
    frame: &[u8],
    pid: Option<i32>,
    interface: &str,
    direction: Direction,
) -> Vec<u8> {
    let mut tap = vec![0; TAP_LENGTH];
    let mut put = |offset: usize, value: &[u8]| tap[offset..offset + value.len()].copy_from_slice(value);
    put(0, &156_u32.to_le_bytes());
    put(4, &1_u32.to_le_bytes());
    put(8, &1_u32.to_le_bytes());
    put(12, interface.as_bytes());
    put(36, &if direction == Direction::Inbound { 1_u32 } else { 2 }.to_le_bytes());
    put(40, &2_u32.to_le_bytes());
    put(44, &14_u32.to_le_bytes());
    put(52, &pid.unwrap_or(-1).to_le_bytes());
    put(56, b"curl");
    put(84, &(-1_i32).to_le_bytes());
    let captured = u32::try_from(TAP_LENGTH + frame.len()).unwrap();
    let mut bytes = Vec::new();
    for word in [seconds, 0, captured, wire_length + 156] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.extend_from_slice(&20_u16.to_le_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(&tap);
    bytes.extend_from_slice(frame);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

const TAP_LENGTH: usize = 156;
