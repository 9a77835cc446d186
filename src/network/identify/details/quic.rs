//! Opening QUIC Initial packets (RFC 9001, section 5; RFC 9369, section 3.3) to read the `ClientHello` inside.
//!
//! Their keys come from the connection number that the client chose, so anyone can open them; the tag that AES-GCM checks then proves
//! beyond chance that this is QUIC and that nothing was changed.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::{BlockCipherEncrypt, KeyInit as _};
use aes_gcm::{AeadInOut, Aes128Gcm};
use hkdf::Hkdf;
use sha2::Sha256;
use smallvec::SmallVec;

use super::client_hello::ClientHello;
use super::ja4::Carrier;
use super::{Notes, Progress};
use crate::cursor::Cursor;

/// A piece of the cryptographic stream: where it belongs, and its bytes.
pub(in super::super) type CryptoFrames<'a> = SmallVec<[(usize, &'a [u8]); 8]>;

/// Keys of a client's Initials.
pub(in super::super) struct InitialKeys {
    packet: Aes128Gcm,
    header: Aes128,
    iv: [u8; IV],
}

impl std::fmt::Debug for InitialKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InitialKeys").finish_non_exhaustive()
    }
}

/// A long header whose packet is an Initial.
struct Initial<'a> {
    version: Version,
    destination: &'a [u8],
    /// Bytes before the packet number.
    header: usize,
    /// Bytes of packet number and payload.
    length: usize,
}

/// A version whose Initials can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
    /// Drafts up to 22, and Facebook's stack of that time.
    Draft22,
    /// Drafts 23 to 28, and Facebook's stack of that time.
    Draft23,
    /// Drafts 29 to 32, which Chrome and others spoke for a year before version 1.
    Draft29,
    /// Google's last version of its own with TLS.
    GoogleT051,
}

/// Opens the Initials of one datagram of the client with its known keys, or with those that its own connection number gives, and puts
/// the plain text into `plain`. The keys that fitted are left in `keys`. `false` where no packet of the datagram is an Initial of the
/// client.
pub(in super::super) fn open(
    datagram: &[u8],
    keys: &mut Option<Box<InitialKeys>>,
    plain: &mut Vec<u8>,
) -> bool {
    let mut rest = datagram;
    let mut opened = false;
    // A datagram may hold several packets (RFC 9000, section 12.2); more than one Initial is rare.
    for _ in 0..MOST_COALESCED {
        let Some(initial) = Initial::read(rest) else { break };
        let Some((packet, tail)) = rest.split_at_checked(initial.header + initial.length) else { break };
        rest = tail;
        let known = keys.as_ref().is_some_and(|keys| keys.open(&initial, packet, plain));
        if !known {
            // After a Retry the client goes on with the number that the server gave it (RFC 9001, section 5.2).
            let Some(fresh) = InitialKeys::derive(initial.version, initial.destination) else { break };
            if !fresh.open(&initial, packet, plain) {
                break;
            }
            *keys = Some(Box::new(fresh));
        }
        opened = true;
    }
    opened
}

/// The CRYPTO frames of a plain text (RFC 9000, section 19), up to the first frame that an Initial cannot have.
pub(in super::super) fn crypto_frames(plain: &[u8]) -> CryptoFrames<'_> {
    let mut cursor = Cursor::new(plain);
    let mut frames = CryptoFrames::new();
    while frames.len() < MOST_FRAMES
        && let Some(kind) = cursor.u8()
    {
        let read = match kind {
            // An Initial is padded to the size of a datagram, so that this is most of it.
            PADDING => cursor.skip(cursor.rest().iter().take_while(|byte| **byte == PADDING).count()),
            PING => Some(()),
            ACK | ACK_WITH_ECN => skip_acknowledgement(&mut cursor, kind),
            CRYPTO => crypto(&mut cursor).map(|frame| frames.push(frame)),
            _ => None,
        };
        if read.is_none() {
            break;
        }
    }
    frames
}

/// Reads the hello from what has been put together of the cryptographic stream.
pub(in super::super) fn read(crypto: &[u8], last: bool, notes: &mut Notes<'_>) -> Progress {
    let mut cursor = Cursor::new(crypto);
    let (Some(kind), Some(length)) = (cursor.u8(), cursor.u24_be()) else { return Progress::More };
    if kind != CLIENT_HELLO {
        return Progress::Complete;
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if cursor.remaining() < length && !last {
        return Progress::More;
    }
    let body = cursor.rest();
    if let Some(hello) = ClientHello::parse(body.get(..length).unwrap_or(body), false) {
        hello.note(Carrier::Quic, notes);
    }
    Progress::Complete
}

impl<'a> Initial<'a> {
    /// Reads the header up to the packet number, which is protected.
    fn read(packet: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(packet);
        let first = cursor.u8()?;
        let version = match cursor.u32_be()? {
            0x0000_0001 | 0xff00_0021..=0xff00_0022 => Version::One,
            0x6b33_43cf => Version::Two,
            0xff00_0013..=0xff00_0016 | 0xface_b000..=0xface_b001 => Version::Draft22,
            0xff00_0017..=0xff00_001c | 0xface_b002..=0xface_b013 => Version::Draft23,
            0xff00_001d..=0xff00_0020 => Version::Draft29,
            0x5430_3531 => Version::GoogleT051,
            _ => return None,
        };
        // The type bits of an Initial: 0 in version 1 and 1 in version 2 (RFC 9369, section 3.2).
        let kind = first >> 4 & 3;
        let expected = u8::from(version == Version::Two);
        if first & 0x80 == 0 || kind != expected {
            return None;
        }
        let destination = usize::from(cursor.u8()?);
        let destination = cursor.take(destination)?;
        let source = usize::from(cursor.u8()?);
        cursor.skip(source)?;
        let token = variable_integer(&mut cursor)?;
        cursor.skip(token)?;
        let length = variable_integer(&mut cursor)?;
        let header = packet.len() - cursor.remaining();
        (length >= SAMPLE_AT + SAMPLE && length <= cursor.remaining()).then_some(Self {
            version,
            destination,
            header,
            length,
        })
    }
}

impl InitialKeys {
    fn derive(version: Version, destination: &[u8]) -> Option<Self> {
        let salt = match version {
            Version::One => &SALT_1,
            Version::Two => &SALT_2,
            Version::Draft22 => &SALT_DRAFT_22,
            Version::Draft23 => &SALT_DRAFT_23,
            Version::Draft29 => &SALT_DRAFT_29,
            Version::GoogleT051 => &SALT_T051,
        };
        let (key_label, iv_label, header_label) = match version {
            Version::Two => (&b"quicv2 key"[..], &b"quicv2 iv"[..], &b"quicv2 hp"[..]),
            _ => (&b"quic key"[..], &b"quic iv"[..], &b"quic hp"[..]),
        };
        let initial = Hkdf::<Sha256>::new(Some(salt), destination);
        let mut client = [0; 32];
        expand(&initial, b"client in", &mut client)?;
        let client = Hkdf::<Sha256>::from_prk(&client).ok()?;
        let (mut key, mut iv, mut header) = ([0; KEY], [0; IV], [0; KEY]);
        expand(&client, key_label, &mut key)?;
        expand(&client, iv_label, &mut iv)?;
        expand(&client, header_label, &mut header)?;
        Some(Self { packet: Aes128Gcm::new(&key.into()), header: Aes128::new(&header.into()), iv })
    }

    /// Takes the protection off a packet (RFC 9001, section 5.4.2 and 5.3) and adds its plain text to `plain`; `false` where the tag
    /// does not fit.
    fn open(&self, initial: &Initial<'_>, packet: &[u8], plain: &mut Vec<u8>) -> bool {
        self.try_open(initial, packet, plain).is_some()
    }

    fn try_open(&self, initial: &Initial<'_>, packet: &[u8], plain: &mut Vec<u8>) -> Option<()> {
        let sample: [u8; SAMPLE] = *packet.get(initial.header + SAMPLE_AT..)?.first_chunk()?;
        let mut mask = sample.into();
        self.header.encrypt_block(&mut mask);
        let [first_mask, number_mask @ ..]: [u8; SAMPLE] = mask.into();
        let first = packet.first()? ^ (first_mask & 0x0f);
        let number_length = usize::from(first & 0x03) + 1;
        let mut header: SmallVec<[u8; LONGEST_HEADER]> =
            SmallVec::from_slice(packet.get(..initial.header + number_length)?);
        *header.first_mut()? = first;
        let mut number = 0_u64;
        for (byte, mask) in header.iter_mut().skip(initial.header).zip(number_mask) {
            *byte ^= mask;
            number = number << 8 | u64::from(*byte);
        }
        let mut nonce = self.iv;
        for (byte, number) in nonce.iter_mut().rev().zip(number.to_le_bytes()) {
            *byte ^= number;
        }
        let sealed = packet.get(header.len()..)?;
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG>()?;
        let before = plain.len();
        plain.extend_from_slice(ciphertext);
        let opened = self.packet.decrypt_inout_detached(
            &nonce.into(),
            &header,
            InOutBuf::from(plain.get_mut(before..)?),
            &(*tag).into(),
        );
        if opened.is_err() {
            plain.truncate(before);
        }
        opened.ok()
    }
}

/// `HKDF-Expand-Label` of RFC 8446, section 7.1, with an empty context; `label` without the `tls13 ` that stands before every one.
fn expand(secret: &Hkdf<Sha256>, label: &[u8], out: &mut [u8]) -> Option<()> {
    let mut info: SmallVec<[u8; 32]> = SmallVec::new();
    info.extend_from_slice(&u16::try_from(out.len()).ok()?.to_be_bytes());
    info.push(u8::try_from(label.len() + LABEL_PREFIX.len()).ok()?);
    info.extend_from_slice(LABEL_PREFIX);
    info.extend_from_slice(label);
    info.push(0);
    secret.expand(&info, out).ok()
}

fn crypto<'a>(cursor: &mut Cursor<'a>) -> Option<(usize, &'a [u8])> {
    let offset = variable_integer(cursor)?;
    let length = variable_integer(cursor)?;
    Some((offset, cursor.take(length)?))
}

fn skip_acknowledgement(cursor: &mut Cursor<'_>, kind: u8) -> Option<()> {
    variable_integer(cursor)?;
    variable_integer(cursor)?;
    let ranges = variable_integer(cursor)?;
    variable_integer(cursor)?;
    if ranges > MOST_RANGES {
        return None;
    }
    let counts = if kind == ACK_WITH_ECN { 3 } else { 0 };
    for _ in 0..2 * ranges + counts {
        variable_integer(cursor)?;
    }
    Some(())
}

/// RFC 9000, section 16.
fn variable_integer(cursor: &mut Cursor<'_>) -> Option<usize> {
    let first = cursor.u8()?;
    let mut value = u64::from(first & 0x3f);
    for _ in 1..1_u8 << (first >> 6) {
        value = value << 8 | u64::from(cursor.u8()?);
    }
    usize::try_from(value).ok()
}

/// RFC 9001, section 5.2.
const SALT_1: [u8; 20] = *b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a";
/// RFC 9369, section 3.3.1.
const SALT_2: [u8; 20] = *b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9";
/// draft-ietf-quic-tls-22, section 5.2.
const SALT_DRAFT_22: [u8; 20] =
    *b"\x7f\xbc\xdb\x0e\x7c\x66\xbb\xe9\x19\x3a\x96\xcd\x21\x51\x9e\xbd\x7a\x02\x64\x4a";
/// draft-ietf-quic-tls-23, section 5.2.
const SALT_DRAFT_23: [u8; 20] =
    *b"\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02";
/// QUICHE, `quic/core/crypto/crypto_utils.cc`, `kT051Salt`.
const SALT_T051: [u8; 20] =
    *b"\x7a\x4e\xde\xf4\xe7\xcc\xee\x5f\xa4\x50\x6c\x19\x12\x4f\xc8\xcc\xda\x6e\x03\x3d";
/// draft-ietf-quic-tls-29, section 5.2.
const SALT_DRAFT_29: [u8; 20] =
    *b"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99";
const LABEL_PREFIX: &[u8] = b"tls13 ";
const KEY: usize = 16;
const IV: usize = 12;
const TAG: usize = 16;
/// The sample starts where the payload would if the packet number had its greatest length.
const SAMPLE_AT: usize = 4;
const SAMPLE: usize = 16;
/// What a header takes without a token, in bytes; one with a token is longer and goes to the heap.
const LONGEST_HEADER: usize = 64;
const MOST_COALESCED: usize = 3;
const MOST_FRAMES: usize = 64;
const MOST_RANGES: usize = 64;
const PADDING: u8 = 0x00;
const PING: u8 = 0x01;
const ACK: u8 = 0x02;
const ACK_WITH_ECN: u8 = 0x03;
const CRYPTO: u8 = 0x06;
const CLIENT_HELLO: u8 = 1;
