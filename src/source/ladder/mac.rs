//! What this Mac offers.

use std::io;

use super::Mac;
use crate::observation::{Origin, Running};
use crate::source::endpoint_security::Denied;
use crate::source::live::{BoxedSource, EffortCell, Outbox, SystemClock, wall};
use crate::source::network_statistics::{self, ControlSocket, OwnConnection, prove};
use crate::source::packet_tap::filter::Wanted;
use crate::source::packet_tap::{self, Device};
use crate::source::running::{SystemLookup, processes};
use crate::source::{eslogger, unified_log};

/// This Mac.
#[derive(Clone, Default)]
pub(crate) struct ThisMac {
    /// What its sources keep to.
    effort: EffortCell,
}

impl ThisMac {
    /// Whose sources keep to this effort.
    pub(crate) fn new(effort: EffortCell) -> Self {
        Self { effort }
    }
}

impl Mac for ThisMac {
    #[cfg(feature = "endpoint-security")]
    fn endpoint_security(&mut self, outbox: Outbox) -> Result<(), Denied> {
        crate::source::endpoint_security::subscribe(outbox)
    }

    #[cfg(not(feature = "endpoint-security"))]
    fn endpoint_security(&mut self, _outbox: Outbox) -> Result<(), Denied> {
        Err(Denied::NotBuilt)
    }

    fn eslogger(&mut self) -> io::Result<BoxedSource> {
        let mut source = eslogger::live();
        source.start()?;
        Ok(Box::new(source))
    }

    fn running(&mut self) -> Vec<Running> {
        processes(wall())
    }

    fn statistics(&mut self) -> Result<BoxedSource, String> {
        let connect = || ControlSocket::connect().map_err(|error| error.to_string());
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        let generation = prove(connect()?, SystemClock::default(), own, OwnConnection::open)
            .map_err(|doubt| doubt.to_string())?;
        tracing::info!(?generation, "the kernel's statistics proved themselves");
        let clock = SystemClock::default();
        // The kernel numbers sources by client: the time of our start keeps those of two runs apart.
        let prefix = format!("ntstat-{:x}-", wall().as_millis());
        let reader =
            network_statistics::Reader::new(connect()?, SystemLookup, clock, prefix, Origin::default());
        Ok(Box::new(reader.with_effort(self.effort.clone())))
    }

    fn tap(&mut self, wanted: Wanted) -> Result<BoxedSource, String> {
        let device = Device::open(wanted).map_err(|error| error.to_string())?;
        tracing::info!(interface = device.interface(), "packets are tapped");
        let reader = packet_tap::Reader::new(device, SystemClock::default(), Origin::default());
        // Where the packets are what is counted, none may be passed over.
        let effort = match wanted {
            Wanted::Identification => self.effort.clone(),
            Wanted::Volume => EffortCell::default(),
        };
        Ok(Box::new(reader.with_effort(effort)))
    }

    fn unified_log(&mut self) -> io::Result<BoxedSource> {
        let mut source = unified_log::live();
        source.start()?;
        Ok(Box::new(source))
    }
}
