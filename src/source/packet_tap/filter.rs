//! What the kernel is asked to pass on: a program for its packet filter.
//!
//! On a PKTAP interface the program sees the PKTAP header (of version 1, whatever the reader asked for) with the packet behind it.
//! libpcap's compiler makes no code for that, so the program is written here, with names for the places that it jumps to.
//!
//! **Every value that it returns is zero or at least 156.** The value is how many bytes are kept; and when a record is read, the kernel
//! writes the process's name and UUID into the PKTAP header without a look at how much of it was kept (`bpf_finalize_pktap`), so that a
//! smaller value would let it write over the records behind.

/// `struct bpf_insn`.
#[doc(alias = "bpf_insn")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// How many instructions to pass over where a test holds.
    pub jump_true: u8,
    /// And where it does not.
    pub jump_false: u8,
    /// The operand.
    pub operand: u32,
}

/// Which packets are passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// What identifies a flow: datagrams, and of TCP the segments that open, close or carry a message's beginning or end. Bulk data
    /// stays in the kernel, which counts it.
    Identification,
    /// That, and the headers of everything else: the packets are what is counted.
    Volume,
}

/// The program.
pub fn program(wanted: Wanted) -> Vec<Instruction> {
    let rest = match wanted {
        Wanted::Identification => Goto(Drop),
        Wanted::Volume => Goto(Headers),
    };
    assemble(&[
        // X = length of what stands between the PKTAP header and the IP header: a little-endian number below 256, so its first byte.
        Load(Byte, FRAME_PRE_LENGTH),
        Index,
        LoadAt(Byte, PACKET),
        And(0xf0),
        Test(Equal, 0x40, V4, Next),
        Test(Equal, 0x60, V6, Drop),
        Mark(V4),
        // The headers of fragments but the first are in the first.
        LoadAt(Half, PACKET + 6),
        Test(AnyBit, 0x1fff, Rest, Next),
        LoadAt(Byte, PACKET + 9),
        Test(Equal, UDP, Whole, Next),
        Test(Equal, ICMP, Whole, Next),
        Test(Equal, TCP, V4Tcp, Other),
        Mark(V4Tcp),
        LoadAt(Byte, PACKET),
        And(0x0f),
        ShiftLeft(2),
        AddIndex,
        Index,
        Goto(Tcp),
        Mark(V6),
        LoadAt(Byte, PACKET + 6),
        Test(Equal, UDP, Whole, Next),
        Test(Equal, ICMP6, Whole, Next),
        Test(Equal, TCP, V6Tcp, Next),
        // Extension headers are rare: such packets are passed on whole, so that nobody hides behind them.
        Test(Equal, HOP_BY_HOP, Whole, Next),
        Test(Equal, ROUTING, Whole, Next),
        Test(Equal, FRAGMENT, Whole, Next),
        Test(Equal, DESTINATION, Whole, Other),
        Mark(V6Tcp),
        FromIndex,
        Add(40),
        Index,
        Mark(Tcp),
        LoadAt(Byte, PACKET + 13),
        Test(AnyBit, FIN | SYN | RST | PSH, Whole, Next),
        // X = where the payload begins, if four bytes of it are there.
        LoadAt(Byte, PACKET + 12),
        And(0xf0),
        ShiftRight(2),
        AddIndex,
        Index,
        Length,
        SubtractIndex,
        Test(AtLeast, PACKET + 4, Payload, Rest),
        Mark(Payload),
        // A large ClientHello fills several segments, and only the last has PSH; so do the first lines of long requests.
        LoadAt(Half, PACKET),
        Test(Equal, 0x1603, Whole, Next),
        LoadAt(Word, PACKET),
        Test(Equal, u32::from_be_bytes(*b"GET "), Whole, Next),
        Test(Equal, u32::from_be_bytes(*b"POST"), Whole, Next),
        Test(Equal, u32::from_be_bytes(*b"PUT "), Whole, Next),
        Test(Equal, u32::from_be_bytes(*b"HTTP"), Whole, Next),
        Test(Equal, u32::from_be_bytes(*b"SSH-"), Whole, Rest),
        Mark(Other),
        // What the kernel itself encrypts was seen before, in its tunnel, and would be counted twice.
        Test(Equal, ESP, Drop, Next),
        Test(Equal, AH, Drop, Rest),
        Mark(Rest),
        rest,
        Mark(Headers),
        Return(KEPT_OF_HEADERS),
        Mark(Whole),
        Return(KEPT_OF_WHOLE),
        Mark(Drop),
        Return(0),
    ])
}

/// One line of the program as it is written: an instruction, or the mark of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Mark(Place),
    Load(Size, u32),
    /// As [`Load`], from the index on.
    LoadAt(Size, u32),
    /// The length of header and packet, whole.
    Length,
    Index,
    FromIndex,
    Add(u32),
    AddIndex,
    SubtractIndex,
    And(u32),
    ShiftLeft(u32),
    ShiftRight(u32),
    Test(Comparison, u32, Place, Place),
    Goto(Place),
    Return(u32),
}

/// A place in the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The line that follows.
    Next,
    V4,
    V4Tcp,
    V6,
    V6Tcp,
    Tcp,
    Payload,
    Other,
    Rest,
    Headers,
    Whole,
    Drop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Word,
    Half,
    Byte,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    AtLeast,
    AnyBit,
}

use Comparison::{AnyBit, AtLeast, Equal};
use Line::{
    Add, AddIndex, And, FromIndex, Goto, Index, Length, Load, LoadAt, Mark, Return, ShiftLeft, ShiftRight,
    SubtractIndex, Test,
};
use Place::{Drop, Headers, Next, Other, Payload, Rest, Tcp, V4, V4Tcp, V6, V6Tcp, Whole};
use Size::{Byte, Half, Word};

/// Turns lines into instructions: marks vanish, and places become distances.
fn assemble(lines: &[Line]) -> Vec<Instruction> {
    let instructions = || lines.iter().filter(|line| !matches!(line, Mark(_)));
    // Jumps go forward only, and from one instruction to behind it at the nearest.
    let distance = |from: usize, place: Place| -> u32 {
        let mut number = 0_usize;
        for line in lines {
            match line {
                Mark(mark) if *mark == place => break,
                Mark(_) => {}
                _ => number += 1,
            }
        }
        let target = if place == Next { from + 1 } else { number };
        u32::try_from(target.saturating_sub(from + 1)).unwrap_or(u32::MAX)
    };
    // The program is too short for a distance that does not fit, which a test makes sure of.
    let near = |from, place| u8::try_from(distance(from, place)).unwrap_or(u8::MAX);
    let plain = |code, operand| Instruction { code, jump_true: 0, jump_false: 0, operand };
    instructions()
        .enumerate()
        .map(|(number, line)| match *line {
            Load(size, operand) => plain(code::LOAD | code::ABSOLUTE | size.code(), operand),
            LoadAt(size, operand) => plain(code::LOAD | code::INDEXED | size.code(), operand),
            Length => plain(code::LOAD | code::LENGTH, 0),
            Index => plain(code::TO_INDEX, 0),
            FromIndex => plain(code::FROM_INDEX, 0),
            Add(operand) => plain(code::ARITHMETIC | code::ADD, operand),
            AddIndex => plain(code::ARITHMETIC | code::ADD | code::WITH_INDEX, 0),
            SubtractIndex => plain(code::ARITHMETIC | code::SUBTRACT | code::WITH_INDEX, 0),
            And(operand) => plain(code::ARITHMETIC | code::AND, operand),
            ShiftLeft(operand) => plain(code::ARITHMETIC | code::SHIFT_LEFT, operand),
            ShiftRight(operand) => plain(code::ARITHMETIC | code::SHIFT_RIGHT, operand),
            Test(comparison, operand, yes, no) => Instruction {
                code: code::JUMP | comparison.code(),
                jump_true: near(number, yes),
                jump_false: near(number, no),
                operand,
            },
            Goto(place) => plain(code::JUMP, distance(number, place)),
            // A mark is no instruction and was left out.
            Return(_) | Mark(_) => plain(code::RETURN, if let Return(kept) = *line { kept } else { 0 }),
        })
        .collect()
}

impl Size {
    const fn code(self) -> u16 {
        match self {
            Self::Word => 0x00,
            Self::Half => 0x08,
            Self::Byte => 0x10,
        }
    }
}

impl Comparison {
    const fn code(self) -> u16 {
        match self {
            Self::Equal => 0x10,
            Self::AtLeast => 0x30,
            Self::AnyBit => 0x40,
        }
    }
}

/// `BPF_*` of `bsd/net/bpf.h`.
mod code {
    pub(super) const LOAD: u16 = 0x00;
    pub(super) const ARITHMETIC: u16 = 0x04;
    pub(super) const JUMP: u16 = 0x05;
    pub(super) const RETURN: u16 = 0x06;
    pub(super) const TO_INDEX: u16 = 0x07;
    pub(super) const FROM_INDEX: u16 = 0x87;
    pub(super) const ABSOLUTE: u16 = 0x20;
    pub(super) const INDEXED: u16 = 0x40;
    pub(super) const LENGTH: u16 = 0x80;
    pub(super) const ADD: u16 = 0x00;
    pub(super) const SUBTRACT: u16 = 0x10;
    pub(super) const AND: u16 = 0x50;
    pub(super) const SHIFT_LEFT: u16 = 0x60;
    pub(super) const SHIFT_RIGHT: u16 = 0x70;
    pub(super) const WITH_INDEX: u16 = 0x08;
}

/// Length of version 1 of the PKTAP header, behind which the packet stands.
const PACKET: u32 = 156;
/// `pth_frame_pre_length`.
const FRAME_PRE_LENGTH: u32 = 44;
/// The PKTAP header and a frame of 1,500 bytes: a server's name may stand behind a key share of 1.2 kB.
const KEPT_OF_WHOLE: u32 = 2_048;
/// The PKTAP header, a link header and the longest headers of IPv4 and TCP (60 bytes each).
const KEPT_OF_HEADERS: u32 = 320;

const ICMP: u32 = 1;
const TCP: u32 = 6;
const UDP: u32 = 17;
const ESP: u32 = 50;
const AH: u32 = 51;
const ICMP6: u32 = 58;
const HOP_BY_HOP: u32 = 0;
const ROUTING: u32 = 43;
const FRAGMENT: u32 = 44;
const DESTINATION: u32 = 60;
const FIN: u32 = 0x01;
const SYN: u32 = 0x02;
const RST: u32 = 0x04;
const PSH: u32 = 0x08;

#[cfg(test)]
pub(crate) mod interpreter;
#[cfg(test)]
mod tests;
