//! The `pktap` interface and the BPF device that reads it.

#![allow(unsafe_code, reason = "system calls; every block says what it relies on")]

use std::ffi::{CStr, c_char, c_int, c_ulong, c_void};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::Duration;

use super::filter::{Instruction, Wanted, program};
use super::{Statistics, Tap};

/// A tap on every interface of the Mac. The interface goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Device {
    /// Closed before the interface is destroyed.
    file: File,
    interface: Interface,
    buffer_length: usize,
}

impl Device {
    /// Makes an interface and reads it.
    ///
    /// # Errors
    /// What the system says, and which step it was.
    pub(crate) fn open(wanted: Wanted) -> io::Result<Self> {
        let interface = Interface::create().map_err(|error| step("pktap interface", &error))?;
        let file = free_device().map_err(|error| step("/dev/bpf", &error))?;
        // The order is the kernel's: what comes before the interface is named cannot be changed afterwards, and a filter that came later would let
        // everything pass until then.
        let mut length = WANTED_BUFFER;
        control(&file, BIOCSBLEN, &mut length).map_err(|error| step("BIOCSBLEN", &error))?;
        let mut on: u32 = 1;
        control(&file, BIOCSWANTPKTAP, &mut on).map_err(|error| step("BIOCSWANTPKTAP", &error))?;
        install(&file, wanted).map_err(|error| step("BIOCSETF", &error))?;
        let mut on: u32 = 1;
        control(&file, BIOCIMMEDIATE, &mut on).map_err(|error| step("BIOCIMMEDIATE", &error))?;
        let mut request = interface.request();
        control(&file, BIOCSETIF, &mut request).map_err(|error| step("BIOCSETIF", &error))?;
        let mut link_type = 0_u32;
        control(&file, BIOCGDLT, &mut link_type).map_err(|error| step("BIOCGDLT", &error))?;
        if link_type != DLT_PKTAP {
            return Err(io::Error::other(format!("the tap has link type {link_type}, not {DLT_PKTAP}")));
        }
        let mut length = 0_u32;
        control(&file, BIOCGBLEN, &mut length).map_err(|error| step("BIOCGBLEN", &error))?;
        let buffer_length = usize::try_from(length).unwrap_or_default();
        Ok(Self { file, interface, buffer_length })
    }

    /// The interface's name.
    pub(crate) fn interface(&self) -> String {
        let name = self.interface.name.iter().take_while(|byte| **byte != 0);
        name.map(|byte| char::from(*byte)).collect()
    }
}

impl Tap for Device {
    fn buffer_length(&self) -> usize {
        self.buffer_length
    }

    fn read(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
        let mut poll = libc::pollfd { fd: self.file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let millis = c_int::try_from(patience.as_millis()).unwrap_or(c_int::MAX);
        // Safety: `poll` is one `pollfd`.
        let ready = unsafe { libc::poll(&raw mut poll, 1, millis) };
        if ready == 0 {
            return Ok(0);
        }
        match self.file.read(buffer) {
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                Ok(0)
            }
            read => read,
        }
    }

    fn statistics(&mut self) -> io::Result<Statistics> {
        let mut counts = [0_u32; 2];
        control(&self.file, BIOCGSTATS, &mut counts)?;
        let [received, dropped] = counts;
        Ok(Statistics { received, dropped })
    }
}

/// A `pktap` interface of ours.
#[derive(Debug)]
struct Interface {
    name: [u8; NAME_SIZE],
    /// Any socket: requests about interfaces go through one.
    socket: UdpSocket,
}

impl Interface {
    fn create() -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        destroy_stale(&socket);
        let mut request = InterfaceRequest::named(b"pktap");
        control(&socket, SIOCIFCREATE, &mut request)?;
        let interface = Self { name: request.name, socket };
        // A mark to know it by, should we not live to destroy it.
        let mut description = Description::of(interface.name);
        description.put(MARK);
        control(&interface.socket, SIOCSIFDESC, &mut description)?;
        let mut filters = filters();
        let mut request = DriverRequest {
            name: interface.name,
            command: PKTP_CMD_FILTER_SET,
            length: c_ulong::try_from(size_of_val(&filters)).unwrap_or_default(),
            data: filters.as_mut_ptr().cast(),
        };
        control(&interface.socket, SIOCSDRVSPEC, &mut request)?;
        Ok(interface)
    }

    fn request(&self) -> InterfaceRequest {
        InterfaceRequest { name: self.name, rest: [0; 16] }
    }
}

impl Drop for Interface {
    fn drop(&mut self) {
        if let Err(error) = control(&self.socket, SIOCIFDESTROY, &mut self.request()) {
            tracing::warn!(%error, "the pktap interface cannot be destroyed");
        }
    }
}

/// Destroys interfaces that an earlier process of ours left behind: those that bear our mark.
fn destroy_stale(socket: &UdpSocket) {
    for number in 0..MOST_INTERFACES {
        let request = InterfaceRequest::named(format!("pktap{number}").as_bytes());
        let mut description = Description::of(request.name);
        description.length = DESCRIPTION_SIZE;
        let found = control(socket, SIOCGIFDESC, &mut description).is_ok();
        if found && CStr::from_bytes_until_nul(&description.text).is_ok_and(|text| text.to_bytes() == MARK) {
            let destroyed = control(socket, SIOCIFDESTROY, &mut { request });
            tracing::info!(number, ok = destroyed.is_ok(), "a stale pktap interface was destroyed");
        }
    }
}

/// The first BPF device that nobody has.
fn free_device() -> io::Result<File> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for number in 0..MOST_DEVICES {
        match OpenOptions::new().read(true).write(true).open(format!("/dev/bpf{number}")) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => last = error,
            // The kernel makes devices as they are needed: behind the last one there is none.
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            opened => return opened,
        }
    }
    Err(last)
}

fn install(file: &File, wanted: Wanted) -> io::Result<()> {
    let instructions = program(wanted);
    let mut program = Program {
        length: u32::try_from(instructions.len()).unwrap_or_default(),
        instructions: instructions.as_ptr(),
    };
    control(file, BIOCSETF, &mut program)
}

/// Makes a request that reads or writes a `T`.
fn control<T>(device: &impl AsRawFd, request: c_ulong, value: &mut T) -> io::Result<()> {
    // The size of what is passed stands in the request's number (`_IOC`), so that a wrong type cannot reach the kernel.
    if (request >> 16) & SIZE_MASK != c_ulong::try_from(size_of::<T>()).unwrap_or_default() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let value: *mut T = value;
    // Safety: the request passes as many bytes as `T` has, and every pointer in a `T` of this file points to as much memory as it says,
    // for as long as the call lasts.
    let status = unsafe { libc::ioctl(device.as_raw_fd(), request, value) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn step(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// Which interfaces are tapped, the first that suits deciding: those of the network, tunnels and loopback. Bridges are not: they show the
/// packets of virtual machines a second time.
fn filters() -> [Filter; 8] {
    let mut filters = [Filter { operation: 0, parameter: 0, value: 0, rest: [0; 20] }; 8];
    let types = [IFT_ETHER, IFT_OTHER, IFT_LOOP, IFT_PPP, IFT_CELLULAR];
    for (filter, kind) in filters.iter_mut().zip(types) {
        *filter = Filter { operation: 1, parameter: 1, value: kind, rest: [0; 20] };
    }
    filters
}

/// `struct ifreq`, of which only the name is used.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct InterfaceRequest {
    name: [u8; NAME_SIZE],
    rest: [u8; 16],
}

impl InterfaceRequest {
    fn named(name: &[u8]) -> Self {
        let mut field = [0; NAME_SIZE];
        // The last byte stays NUL.
        for (to, from) in field.iter_mut().take(NAME_SIZE - 1).zip(name) {
            *to = *from;
        }
        Self { name: field, rest: [0; 16] }
    }
}

/// `struct if_descreq`.
#[repr(C)]
struct Description {
    name: [u8; NAME_SIZE],
    length: u32,
    text: [u8; 128],
}

impl Description {
    fn of(name: [u8; NAME_SIZE]) -> Self {
        Self { name, length: 0, text: [0; 128] }
    }

    fn put(&mut self, text: &[u8]) {
        for (to, from) in self.text.iter_mut().zip(text) {
            *to = *from;
        }
        self.length = u32::try_from(text.len()).unwrap_or_default();
    }
}

/// `struct ifdrv`.
#[repr(C)]
struct DriverRequest {
    name: [u8; NAME_SIZE],
    command: c_ulong,
    length: c_ulong,
    data: *mut c_void,
}

/// `struct pktap_filter`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Filter {
    /// `PKTAP_FILTER_OP_*`: 0 none, 1 pass.
    operation: u32,
    /// `PKTAP_FILTER_PARAM_*`: 1 type of interface.
    parameter: u32,
    value: u32,
    rest: [u8; 20],
}

/// `struct bpf_program`.
#[repr(C)]
struct Program {
    length: u32,
    instructions: *const Instruction,
}

const _: () = assert!(size_of::<c_char>() == 1 && size_of::<InterfaceRequest>() == 32);
const _: () = assert!(size_of::<Description>() == 148 && size_of::<DriverRequest>() == 40);
const _: () = assert!(size_of::<Filter>() == 32 && size_of::<Program>() == 16);

/// Requests of `bpf.h` and `sockio.h`: direction, size, group and number (`_IOC`).
const BIOCGBLEN: c_ulong = 0x4004_4266;
const BIOCSBLEN: c_ulong = 0xC004_4266;
const BIOCSETF: c_ulong = 0x8010_4267;
const BIOCGDLT: c_ulong = 0x4004_426A;
const BIOCSETIF: c_ulong = 0x8020_426C;
const BIOCGSTATS: c_ulong = 0x4008_426F;
const BIOCIMMEDIATE: c_ulong = 0x8004_4270;
const BIOCSWANTPKTAP: c_ulong = 0xC004_427F;
const SIOCIFCREATE: c_ulong = 0xC020_6978;
const SIOCIFDESTROY: c_ulong = 0x8020_6979;
const SIOCSDRVSPEC: c_ulong = 0x8028_697B;
const SIOCSIFDESC: c_ulong = 0xC094_698F;
const SIOCGIFDESC: c_ulong = 0xC094_6990;
/// `IOCPARM_MASK`.
const SIZE_MASK: c_ulong = 0x1fff;
/// `PKTP_CMD_FILTER_SET` of `pktap.h`.
const PKTP_CMD_FILTER_SET: c_ulong = 3;
/// `DLT_USER2`, which Darwin uses for PKTAP.
const DLT_PKTAP: u32 = 149;
const IFT_OTHER: u32 = 1;
const IFT_ETHER: u32 = 6;
const IFT_PPP: u32 = 23;
const IFT_LOOP: u32 = 24;
const IFT_CELLULAR: u32 = 0xff;
/// `IFNAMSIZ`.
const NAME_SIZE: usize = 16;
/// `IF_DESCSIZE`.
const DESCRIPTION_SIZE: u32 = 128;
/// What our interfaces are described as.
const MARK: &[u8] = b"tidemark";
/// Interfaces that are looked at for our mark.
const MOST_INTERFACES: u32 = 32;
/// BPF devices that are tried.
const MOST_DEVICES: u32 = 256;
/// Bytes; the kernel gives less where it allows less, and keeps two such buffers.
const WANTED_BUFFER: u32 = 2 << 20;
