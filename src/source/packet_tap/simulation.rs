//! What the kernel writes into a buffer of the tap, for tests.

use crate::observation::{Direction, Packet, PacketOwner, Timestamp};

/// One record: `curl`'s packet, of a frame with an Ethernet header, as a tap shows it.
pub(crate) fn record(
    seconds: u32,
    wire_length: u32,
    frame: &[u8],
    pid: Option<i32>,
    interface: &str,
    direction: Direction,
) -> Vec<u8> {
    let packet = Packet {
        time: Timestamp::from_seconds(seconds.into(), 0),
        origin: crate::observation::Origin(0),
        interface: Some(interface.into()),
        link_type: crate::observation::LinkType::ETHERNET,
        wire_length,
        data: bytes::Bytes::copy_from_slice(frame),
        direction: Some(direction),
        owner: PacketOwner { pid, name: Some("curl".into()), ..PacketOwner::default() },
        flow_id: None,
    };
    buffered(&packet, u32::MAX)
}

/// The PKTAP header and the frame of a packet, as the filter sees them.
pub(crate) fn tapped(packet: &Packet) -> Vec<u8> {
    let mut tap = vec![0; TAP_LENGTH];
    let mut put = |offset: usize, value: &[u8]| tap[offset..offset + value.len()].copy_from_slice(value);
    put(0, &156_u32.to_le_bytes());
    put(4, &1_u32.to_le_bytes());
    put(8, &packet.link_type.0.to_le_bytes());
    put(12, packet.interface.as_deref().unwrap_or_default().as_bytes());
    let direction: u32 = match packet.direction {
        Some(Direction::Inbound) => 1,
        Some(Direction::Outbound) => 2,
        None => 0,
    };
    put(36, &direction.to_le_bytes());
    put(40, &2_u32.to_le_bytes());
    put(44, &14_u32.to_le_bytes());
    put(52, &packet.owner.pid.unwrap_or(-1).to_le_bytes());
    put(56, packet.owner.name.as_deref().unwrap_or_default().as_bytes());
    put(84, &packet.owner.effective_pid.unwrap_or(-1).to_le_bytes());
    tap.extend_from_slice(&packet.data);
    tap
}

/// A record of the buffer, of which the filter keeps so many bytes.
pub(crate) fn buffered(packet: &Packet, kept: u32) -> Vec<u8> {
    let tapped = tapped(packet);
    let captured = tapped.len().min(usize::try_from(kept).unwrap());
    let nanos = packet.time.as_nanos();
    let words = [
        u32::try_from(nanos / 1_000_000_000).unwrap(),
        u32::try_from(nanos % 1_000_000_000 / 1_000).unwrap(),
        u32::try_from(captured).unwrap(),
        packet.wire_length + 156,
    ];
    let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    bytes.extend_from_slice(&20_u16.to_le_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(&tapped[..captured]);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

const TAP_LENGTH: usize = 156;
