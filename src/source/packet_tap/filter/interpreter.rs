//! The kernel's filter machine, for tests.

use super::Instruction;

/// Runs a program as `bpf_filter` of XNU does: big-endian loads, and a load outside the packet returns zero.
pub(crate) fn run(program: &[Instruction], packet: &[u8]) -> u32 {
    let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
    let load = |offset: u32, size: usize| {
        let offset = usize::try_from(offset).unwrap();
        packet
            .get(offset..offset + size)
            .map(|bytes| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    };
    loop {
        let Instruction { code, jump_true, jump_false, operand: k } = program[at];
        at += 1;
        let mut test = |holds: bool| at += usize::from(if holds { jump_true } else { jump_false });
        let loaded = match code {
            0x30 => load(k, 1),
            0x50 => load(x + k, 1),
            0x48 => load(x + k, 2),
            0x40 => load(x + k, 4),
            0x80 => Some(u32::try_from(packet.len()).unwrap()),
            _ => Some(a),
        };
        let Some(loaded) = loaded else { return 0 };
        a = loaded;
        match code {
            0x30 | 0x50 | 0x48 | 0x40 | 0x80 => {}
            0x07 => x = a,
            0x87 => a = x,
            0x04 => a = a.wrapping_add(k),
            0x0c => a = a.wrapping_add(x),
            0x1c => a = a.wrapping_sub(x),
            0x54 => a &= k,
            0x64 => a <<= k,
            0x74 => a >>= k,
            0x15 => test(a == k),
            0x35 => test(a >= k),
            0x45 => test(a & k != 0),
            0x05 => at += usize::try_from(k).unwrap(),
            0x06 => return k,
            other => panic!("no such instruction: {other:#x}"),
        }
    }
}
