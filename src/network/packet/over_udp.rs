//! Tunnels over UDP.

use super::{Datagram, Layer, Walk, capwap, gtp};
use crate::observation::Transport;

impl<'a> Datagram<'a> {
    /// The packet inside of a datagram of CAPWAP or GTP; `None` where this is none, or where its inside cannot be read.
    ///
    /// The port must be that of the tunnel, and the bytes must lead to an IP packet. Unlike the tunnels that [`walk`](super::walk) enters,
    /// which only the system can build, any program can send this datagram: whoever knows that a process sent it must take it for what
    /// it is, or that process could say of itself where it sends to.
    pub fn inside_udp_tunnel(&self) -> Option<Walk<'a>> {
        if self.transport != Transport::Udp || self.first_of.is_some() {
            return None;
        }
        let is = |port| self.destination.port() == port || self.source.port() == port;
        let layer = || Layer::new(self.payload, self.wire_payload);
        let inside = if is(capwap::DATA_PORT) {
            capwap::data(layer())
        } else if is(gtp::USER_PORT) {
            gtp::user_data(layer())
        } else {
            return None;
        };
        match inside.ok()? {
            Walk::Datagram(datagram) => Some(Walk::Datagram(Datagram { tunnelled: true, ..datagram })),
            fragment @ Walk::LaterFragment(_) => Some(fragment),
        }
    }
}
