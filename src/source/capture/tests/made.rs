//! Makes captures byte by byte, also such as no writer would write.

use super::super::fields::ByteOrder;

pub(super) const ETHERNET: u32 = 1;

/// Bytes in one byte order.
#[derive(Clone)]
pub(super) struct Bytes {
    pub(super) order: ByteOrder,
    pub(super) bytes: Vec<u8>,
}

impl Bytes {
    pub(super) fn new(order: ByteOrder) -> Self {
        Self { order, bytes: Vec::new() }
    }

    pub(super) fn u16(mut self, value: u16) -> Self {
        self.bytes.extend(match self.order {
            ByteOrder::Big => value.to_be_bytes(),
            ByteOrder::Little => value.to_le_bytes(),
        });
        self
    }

    pub(super) fn u32(mut self, value: u32) -> Self {
        self.bytes.extend(match self.order {
            ByteOrder::Big => value.to_be_bytes(),
            ByteOrder::Little => value.to_le_bytes(),
        });
        self
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(super) fn padded(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn option(self, code: u16, value: &[u8]) -> Self {
        self.u16(code).u16(u16::try_from(value.len()).unwrap()).padded(value)
    }

    pub(super) fn option_u32(self, code: u16, value: u32) -> Self {
        self.u16(code).u16(4).u32(value)
    }

    pub(super) fn option_u64(self, code: u16, value: u64) -> Self {
        let value = match self.order {
            ByteOrder::Big => value.to_be_bytes(),
            ByteOrder::Little => value.to_le_bytes(),
        };
        self.option(code, &value)
    }

    /// A pcapng block; the body is padded to four bytes already.
    pub(super) fn block(self, kind: u32, body: impl FnOnce(Self) -> Self) -> Self {
        let body = body(Self::new(self.order)).bytes;
        assert_eq!(body.len() % 4, 0);
        let length = u32::try_from(body.len() + 12).unwrap();
        self.u32(kind).u32(length).raw(&body).u32(length)
    }

    /// A section header block, in another byte order from here on.
    pub(super) fn section(mut self, order: ByteOrder) -> Self {
        self.order = order;
        self.block(0x0a0d_0d0a, |body| body.u32(0x1a2b_3c4d).u16(1).u16(0).raw(&[0xff; 8]))
    }

    /// An interface description block.
    pub(super) fn interface(
        self,
        link_type: u16,
        snapshot_length: u32,
        options: impl FnOnce(Self) -> Self,
    ) -> Self {
        self.block(1, |body| options(body.u16(link_type).u16(0).u32(snapshot_length)))
    }

    /// An enhanced packet block; `time` is in the interface's ticks.
    pub(super) fn packet(
        self,
        interface: u32,
        time: u64,
        frame: &[u8],
        options: impl FnOnce(Self) -> Self,
    ) -> Self {
        let length = u32::try_from(frame.len()).unwrap();
        self.block(6, |body| {
            let body = body.u32(interface).ticks(time).u32(length).u32(length).padded(frame);
            options(body)
        })
    }

    pub(super) fn ticks(self, ticks: u64) -> Self {
        self.u32(u32::try_from(ticks >> 32).unwrap()).u32(u32::try_from(ticks & 0xffff_ffff).unwrap())
    }

    /// A process information block of Apple.
    pub(super) fn process(self, pid: u32, name: &[u8]) -> Self {
        self.block(0x8000_0001, |body| body.u32(pid).option(2, name))
    }
}

/// The header of a pcap file.
pub(super) fn pcap_header(order: ByteOrder, magic: u32, minor: u16, link_type: u32) -> Bytes {
    Bytes::new(order).u32(magic).u16(2).u16(minor).u32(0).u32(0).u32(0).u32(link_type)
}

/// A little-endian pcap file of Ethernet frames, a second apart.
pub(super) fn pcap(frames: &[&[u8]]) -> Vec<u8> {
    let mut bytes = pcap_header(ByteOrder::Little, 0xa1b2_c3d4, 4, ETHERNET);
    for (second, frame) in (100..).zip(frames) {
        let length = u32::try_from(frame.len()).unwrap();
        bytes = bytes.u32(second).u32(5).u32(length).u32(length).raw(frame);
    }
    bytes.bytes
}

/// A section with one Ethernet interface.
pub(super) fn pcapng(order: ByteOrder) -> Bytes {
    Bytes::new(order).section(order).interface(1, 0, |options| options)
}

pub(super) fn none(options: Bytes) -> Bytes {
    options
}
