//! The numbers of the format, for the reader and the writer.

use crate::source::capture::LONGEST_FRAME;

/// `Byte-Order Magic` of a section header.
pub(in crate::source::capture) const BYTE_ORDER_MARK: u32 = 0x1a2b_3c4d;
/// A block that is kept, in bytes: the longest frame, with 64 KiB for what stands around it.
pub(in crate::source::capture) const LONGEST_BLOCK: u32 = LONGEST_FRAME + (64 << 10);
/// Names are cut here, in bytes: about twice the longest of Windows (`\Device\NPF_` and a GUID); those of macOS have 16 to 32.
pub(in crate::source::capture) const LONGEST_NAME: usize = 100;
/// Interfaces in a section. A Mac has some dozens.
pub(in crate::source::capture) const MOST_INTERFACES: usize = 1 << 16;
/// Processes in a section. Apple's libpcap writes a block for each that it meets, and XNU counts process numbers to 99,999.
pub(in crate::source::capture) const MOST_PROCESSES: usize = 1 << 17;

/// Types of blocks.
pub(in crate::source::capture) mod kind {
    /// Section header.
    pub(in crate::source::capture) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
    /// Interface description.
    pub(in crate::source::capture) const INTERFACE_DESCRIPTION: u32 = 1;
    /// The obsolete packet block.
    pub(in crate::source::capture) const PACKET: u32 = 2;
    /// Simple packet.
    pub(in crate::source::capture) const SIMPLE_PACKET: u32 = 3;
    /// Interface statistics.
    pub(in crate::source::capture) const INTERFACE_STATISTICS: u32 = 5;
    /// Enhanced packet.
    pub(in crate::source::capture) const ENHANCED_PACKET: u32 = 6;
    /// Process information, `PCAPNG_BT_PIB` of Apple.
    pub(in crate::source::capture) const PROCESS_INFORMATION: u32 = 0x8000_0001;
}

/// Codes of options. The same code means another thing in another block.
pub(in crate::source::capture) mod code {
    /// `opt_endofopt`.
    pub(in crate::source::capture) const END: u16 = 0;
    /// `shb_userappl`.
    pub(in crate::source::capture) const APPLICATION: u16 = 4;
    /// `if_name`.
    pub(in crate::source::capture) const INTERFACE_NAME: u16 = 2;
    /// `if_tsresol`.
    pub(in crate::source::capture) const CLOCK_RESOLUTION: u16 = 9;
    /// `if_tsoffset`.
    pub(in crate::source::capture) const CLOCK_OFFSET: u16 = 14;
    /// `isb_ifdrop`.
    pub(in crate::source::capture) const DROPPED_BY_INTERFACE: u16 = 5;
    /// `isb_osdrop`.
    pub(in crate::source::capture) const DROPPED_BY_SYSTEM: u16 = 7;
    /// `epb_flags`, and `pack_flags` of the obsolete block.
    pub(in crate::source::capture) const FLAGS: u16 = 2;
    /// `epb_dropcount`.
    pub(in crate::source::capture) const DROP_COUNT: u16 = 4;
    /// `PCAPNG_EPB_PIB_INDEX` of Apple.
    pub(in crate::source::capture) const PROCESS: u16 = 0x8001;
    /// `PCAPNG_EPB_E_PIB_INDEX` of Apple.
    pub(in crate::source::capture) const EFFECTIVE_PROCESS: u16 = 0x8003;
    /// `PCAPNG_EPB_FLOW_ID` of Apple.
    pub(in crate::source::capture) const FLOW_ID: u16 = 0x8005;
    /// `PCAPNG_PIB_NAME` of Apple.
    pub(in crate::source::capture) const PROCESS_NAME: u16 = 2;
    /// `PCAPNG_PIB_PATH` of Apple.
    pub(in crate::source::capture) const PROCESS_PATH: u16 = 3;
}
