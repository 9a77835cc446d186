//! Tunnels over UDP.

use super::{Datagram, Layer, Walk, capwap, gtp};
use crate::observation::Transport;

impl<'a> Datagram<'a> {
    /// Whether it is worth to ask for [what is inside](Self::inside_udp_tunnel): the port must be that of a tunnel.
    #[inline]
    pub fn may_be_udp_tunnel(&self) -> bool {
        let is_tunnel = |port| matches!(port, capwap::DATA_PORT | gtp::USER_PORT);
        self.transport == Transport::Udp
            && (is_tunnel(self.destination.port()) || is_tunnel(self.source.port()))
            && self.first_of.is_none()
    }

    /// The packet inside of a datagram of CAPWAP or GTP; `None` where this is none, or where its inside cannot be read.
    ///
    /// The port must be that of the tunnel, and the bytes must lead to an IP packet. Unlike the tunnels that [`walk`](super::walk) enters,
    /// which only the system can build, any program can send this datagram: whoever knows that a process sent it must take it for what
    /// it is, or that process could say of itself where it sends to.
    pub fn inside_udp_tunnel(&self) -> Option<Walk<'a>> {
        if !self.may_be_udp_tunnel() {
            return None;
        }
        let layer = Layer::new(self.payload, self.wire_payload);
        let is_capwap = [self.destination, self.source].iter().any(|end| end.port() == capwap::DATA_PORT);
        let inside = if is_capwap { capwap::data(layer) } else { gtp::user_data(layer) };
        match inside.ok()? {
            Walk::Datagram(datagram) => Some(Walk::Datagram(Datagram { tunnelled: true, ..datagram })),
            fragment @ Walk::LaterFragment(_) => Some(fragment),
        }
    }
}
