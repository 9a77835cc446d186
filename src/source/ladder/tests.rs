use super::*;
use crate::observation::{Origin, Timestamp};
use crate::source::RecordingReader;
use crate::source::running::Listed;

/// A Mac that offers some things and refuses others.
#[derive(Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each thing is offered or not, independently of the others")]
struct Offer {
    endpoint_security: Result<(), Denied>,
    eslogger: bool,
    statistics: bool,
    tap: bool,
    unified_log: bool,
    /// What the tap was asked for.
    wanted: Option<Wanted>,
}

const EVERYTHING: Offer = Offer {
    endpoint_security: Ok(()),
    eslogger: true,
    statistics: true,
    tap: true,
    unified_log: true,
    wanted: None,
};

fn source(name: &'static str) -> BoxedSource {
    Box::new(RecordingReader::new(&b""[..], name, Origin(0)))
}

impl Mac for Offer {
    fn endpoint_security(&mut self, _outbox: Outbox) -> Result<(), Denied> {
        self.endpoint_security.clone()
    }

    fn eslogger(&mut self) -> io::Result<BoxedSource> {
        if self.eslogger { Ok(source("eslogger")) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn running(&mut self) -> Vec<Running> {
        vec![Listed { pid: 77, ..Listed::default() }.observe(Timestamp::EPOCH)]
    }

    fn statistics(&mut self) -> Result<BoxedSource, String> {
        if self.statistics { Ok(source("network_statistics")) } else { Err("of another layout".to_owned()) }
    }

    fn tap(&mut self, wanted: Wanted) -> Result<BoxedSource, String> {
        self.wanted = Some(wanted);
        if self.tap { Ok(source("packet_tap")) } else { Err("not permitted".to_owned()) }
    }

    fn unified_log(&mut self) -> io::Result<BoxedSource> {
        if self.unified_log { Ok(source("unified_log")) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

/// What was taken, and the sources that came to live. Each ends at once, which is a gap.
fn climbed(offer: &mut Offer) -> (Coverage, Vec<String>) {
    let mut live = Live::new();
    let coverage = climb(offer, &mut live).unwrap();
    let sources = match (coverage.processes, coverage.flows) {
        (_, FlowSource::None) => 0,
        (_, FlowSource::StatisticsAndTap) => 2,
        _ => 1,
    };
    let processes = usize::from(coverage.processes == ProcessSource::Eslogger);
    let mut ended: Vec<String> = live
        .filter_map(|seen| match seen {
            Observation::Gap(gap) => Some(gap.source.to_string()),
            _ => None,
        })
        .take(sources + processes)
        .collect();
    ended.sort();
    ended.dedup();
    (coverage, ended)
}

#[test]
fn a_mac_that_offers_everything_is_seen_as_well_as_can_be() {
    let mut offer = EVERYTHING;
    let (coverage, fed) = climbed(&mut offer);
    assert_eq!(coverage.processes, ProcessSource::EndpointSecurity);
    assert_eq!((coverage.flows, offer.wanted), (FlowSource::StatisticsAndTap, Some(Wanted::Identification)));
    assert_eq!(
        (coverage.refused.len(), fed),
        (0, vec!["network_statistics".to_owned(), "packet_tap".to_owned()])
    );
}

#[test]
fn without_the_entitlement_apple_s_own_client_is_read() {
    let mut offer = Offer { endpoint_security: Err(Denied::NotEntitled), ..EVERYTHING };
    let (coverage, fed) = climbed(&mut offer);
    assert_eq!(coverage.processes, ProcessSource::Eslogger);
    assert!(fed.contains(&"eslogger".to_owned()) && coverage.refused[0].contains("entitlement"));
    assert!(coverage.to_string().contains("eslogger"));
}

#[test]
fn a_refusal_that_may_pass_is_waited_for_and_said() {
    let mut offer = Offer { endpoint_security: Err(Denied::NotPermitted), ..EVERYTHING };
    let (coverage, fed) = climbed(&mut offer);
    assert_eq!(coverage.processes, ProcessSource::EndpointSecurity);
    assert!(!fed.contains(&"eslogger".to_owned()) && coverage.refused[0].contains("Full Disk Access"));
}

#[test]
fn each_rung_below_says_what_it_cannot_see() {
    let mut tap = Offer { statistics: false, ..EVERYTHING };
    assert_eq!(climbed(&mut tap).0.flows, FlowSource::Tap);
    assert_eq!(tap.wanted, Some(Wanted::Volume), "without the kernel's counters packets are counted");
    let (statistics, _) = climbed(&mut Offer { tap: false, ..EVERYTHING });
    assert_eq!(statistics.flows, FlowSource::Statistics);
    assert!(statistics.blind_spots().any(|unseen| unseen.starts_with("protocols")));
    let (log, fed) = climbed(&mut Offer { tap: false, statistics: false, ..EVERYTHING });
    assert_eq!((log.flows, log.refused.len()), (FlowSource::UnifiedLog, 2));
    assert_eq!(fed, ["unified_log"]);
    let nothing = Offer {
        endpoint_security: Err(Denied::NotBuilt),
        eslogger: false,
        statistics: false,
        tap: false,
        unified_log: false,
        wanted: None,
    };
    let (nothing, _) = climbed(&mut { nothing });
    assert_eq!((nothing.processes, nothing.flows), (ProcessSource::None, FlowSource::None));
    assert_eq!(nothing.refused.len(), 5);
}

#[test]
fn what_runs_already_is_told_before_flows() {
    let mut live = Live::new();
    climb(&mut EVERYTHING.clone(), &mut live).unwrap();
    assert!(matches!(live.nth(1), Some(Observation::Running(running)) if running.process.key.pid == 77));
}
