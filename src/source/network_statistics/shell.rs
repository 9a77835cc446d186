//! The control socket.

#![allow(unsafe_code, reason = "system calls; every block says what it relies on")]

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use super::{KernelSocket, Received};

/// A socket of the kernel control `com.apple.network.statistics`.
#[derive(Debug)]
pub(crate) struct ControlSocket(OwnedFd);

impl ControlSocket {
    /// Connects to the control.
    ///
    /// # Errors
    /// Where there is no such control, or it may not be used.
    pub(crate) fn connect() -> io::Result<Self> {
        // Safety: no memory is passed.
        let number =
            checked(unsafe { libc::socket(libc::PF_SYSTEM, libc::SOCK_DGRAM, libc::SYSPROTO_CONTROL) })?;
        // Safety: the number was given to us just now, and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(number) };
        let mut info = libc::ctl_info { ctl_id: 0, ctl_name: [0; 96] };
        for (to, from) in info.ctl_name.iter_mut().zip(CONTROL) {
            *to = from.cast_signed();
        }
        // Safety: the request reads and writes a `ctl_info`, which `info` is.
        checked(unsafe { libc::ioctl(socket.as_raw_fd(), libc::CTLIOCGINFO, &raw mut info) })?;
        let size = size_of::<libc::sockaddr_ctl>();
        let address = libc::sockaddr_ctl {
            sc_len: u8::try_from(size).unwrap_or_default(),
            sc_family: u8::try_from(libc::AF_SYSTEM).unwrap_or_default(),
            ss_sysaddr: u16::try_from(libc::AF_SYS_CONTROL).unwrap_or_default(),
            sc_id: info.ctl_id,
            sc_unit: 0,
            sc_reserved: [0; 5],
        };
        let size = libc::socklen_t::try_from(size).unwrap_or_default();
        // Safety: `address` is a `sockaddr_ctl` of `size` bytes, which is what the family asks for.
        checked(unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), size) })?;
        let socket = Self(socket);
        socket.enlarge_buffer();
        Ok(socket)
    }

    /// Asks for a receive buffer far above the 8 KiB that a control socket has by default. Less is not fatal: what does not fit is an
    /// overrun, and is told.
    fn enlarge_buffer(&self) {
        let mut size = WANTED_BUFFER;
        while size >= LEAST_BUFFER {
            let length = libc::socklen_t::try_from(size_of_val(&size)).unwrap_or_default();
            let value: *const c_void = (&raw const size).cast();
            // Safety: `value` points to a `c_int` of `length` bytes.
            let status = unsafe {
                libc::setsockopt(self.0.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, value, length)
            };
            if status == 0 {
                return;
            }
            size /= 2;
        }
        tracing::warn!("the receive buffer of the kernel's statistics cannot be enlarged");
    }
}

impl KernelSocket for ControlSocket {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        // Safety: `message` has as many readable bytes as is said.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), message.as_ptr().cast(), message.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn receive(&mut self, buffer: &mut [u8], patience: Duration) -> io::Result<Received> {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let millis = c_int::try_from(patience.as_millis()).unwrap_or(c_int::MAX);
        // Safety: `poll` is one `pollfd`.
        match checked(unsafe { libc::poll(&raw mut poll, 1, millis) }) {
            Ok(0) => return Ok(Received::Nothing),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Received::Nothing),
            Err(error) => return Err(error),
        }
        // Safety: `buffer` has as many writable bytes as is said.
        let length = unsafe { libc::recv(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        match usize::try_from(length) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => Ok(Received::Datagram(length)),
            Err(_) => {
                let error = io::Error::last_os_error();
                match error.raw_os_error() {
                    Some(libc::ENOBUFS) => Ok(Received::Overrun),
                    Some(libc::EINTR | libc::EAGAIN) => Ok(Received::Nothing),
                    _ => Err(error),
                }
            }
        }
    }

    fn nudge(&mut self) -> io::Result<()> {
        Self::connect().map(drop)
    }
}

fn checked(status: c_int) -> io::Result<c_int> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(status) }
}

/// `NET_STAT_CONTROL_NAME`.
const CONTROL: &[u8] = b"com.apple.network.statistics";
/// Bytes: some four thousand updates.
const WANTED_BUFFER: c_int = 2 << 20;
/// Bytes: what the kernel gives by itself.
const LEAST_BUFFER: c_int = 8 << 10;
