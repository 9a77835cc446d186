use super::simulation::{self, Source};
use super::*;
use crate::observation::{Direction, FlowReport, FlowState, Observation, Origin, Timestamp, Transport};
use crate::source::live::Effort;
use crate::source::live::Moment;
use std::sync::Arc;
use std::time::Duration;

/// A Mac on which the process that has a number has a generation of ten times that.
struct Mac;

impl Lookup for Mac {
    fn generation(&mut self, pid: i32, unique_pid: u64) -> Option<i32> {
        (unique_pid == 0x1_0000 + u64::from(pid.unsigned_abs())).then(|| pid * 10)
    }

    fn interface(&mut self, number: u32) -> Option<Arc<str>> {
        Some(Arc::from(format!("en{number}")))
    }
}

/// A session and its kernel, talking in one thread.
struct Conversation {
    session: Session,
    now: Moment,
    out: Vec<Observation>,
}

impl Conversation {
    /// Nothing was said yet.
    fn begun() -> Self {
        let now = Moment { wall: Timestamp::from_seconds(1_000, 0), steady: Duration::ZERO };
        Self { session: Session::new("s", Origin(0), now), now, out: Vec::new() }
    }

    /// Every provider was answered, and the first poll found these sources.
    fn listed(existing: &[Source]) -> Self {
        let mut talk = Self::begun();
        for provider in Provider::FOLLOWED {
            talk.hear(&simulation::success(provider.number().into(), false));
        }
        let context = talk.poll();
        for source in existing {
            talk.hear(&simulation::update(source, Generation::C, 0, false));
        }
        talk.hear(&simulation::success(context, false));
        talk
    }

    fn hear(&mut self, datagram: &[u8]) {
        self.session.receive(datagram, self.now, &mut Mac, &mut self.out);
    }

    fn update(&mut self, source: &Source) {
        self.hear(&simulation::update(source, Generation::C, 0, false));
    }

    fn wait(&mut self, span: Duration) {
        self.now.steady += span;
        self.now.wall = self.now.wall.after(span);
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.session.next_action(self.now, &mut self.out)).collect()
    }

    /// Waits until a poll is asked for; its context.
    fn poll(&mut self) -> u64 {
        self.wait(self.session.patience(self.now));
        match self.actions().last() {
            Some(Action::Send(Request::Poll { context })) => *context,
            other => panic!("no poll but {other:?}"),
        }
    }

    fn flows(&mut self) -> Vec<FlowReport> {
        let flows = self.out.drain(..).filter_map(|observation| match observation {
            Observation::Flow(flow) => Some(*flow),
            _ => None,
        });
        flows.collect()
    }

    fn gaps(&mut self) -> Vec<Option<u64>> {
        let gaps = self.out.iter().filter_map(|observation| match observation {
            Observation::Gap(gap) => Some(gap.lost),
            _ => None,
        });
        gaps.collect()
    }
}

fn curl() -> Source {
    Source::tcp(7, 501, "192.0.2.1:50000", "203.0.113.5:443")
}

fn moved(mut source: Source, bytes_in: u64, bytes_out: u64) -> Source {
    source.counts = Counts { packets_in: 1, bytes_in, packets_out: 1, bytes_out };
    source
}

#[test]
fn providers_are_asked_for_then_the_kernel_is_nudged_then_polled() {
    let mut talk = Conversation::begun();
    let asked: Vec<Action> = Provider::FOLLOWED
        .into_iter()
        .map(|provider| Action::Send(Request::AddAll { context: provider.number().into(), provider }))
        .collect();
    assert_eq!(talk.actions(), asked);
    assert_eq!(talk.actions(), []);
    for provider in [2, 3, 4, 5] {
        talk.hear(&simulation::success(provider, false));
    }
    assert_eq!(talk.actions(), []);
    // ENOENT: this system has no QUIC provider.
    talk.hear(&simulation::error(8, 2, &[]));
    assert!(matches!(talk.actions()[..], [Action::Nudge, Action::Send(Request::Poll { .. })]));
    assert_eq!((talk.session.refusal(), talk.out.len()), (None, 0));
}

#[test]
fn a_source_that_was_there_before_is_joined_and_a_later_one_begins() {
    let mut talk = Conversation::listed(&[moved(curl(), 900, 90)]);
    let known = talk.flows().remove(0);
    assert_eq!((known.state, known.bytes_in), (FlowState::Update, 900));
    let mut later = Source::udp(8, 502, "192.0.2.1:50001", "192.0.2.53:53");
    later.effective_pid = 77;
    talk.update(&later);
    let later = talk.flows().remove(0);
    assert_eq!((later.state, later.transport), (FlowState::Open, Transport::Udp));
    assert_eq!((later.pid, later.pidversion, later.effective_pid), (Some(502), Some(5_020), Some(77)));
    assert_eq!((later.interface.as_deref(), later.process.as_deref()), (Some("en14"), Some("curl")));
    assert_ne!(later.flow_id, known.flow_id);
}

#[test]
fn a_connection_that_the_kernel_tells_of_before_the_first_poll_begins() {
    let mut talk = Conversation::begun();
    talk.hear(&simulation::update(&curl(), Generation::C, event::FLOW_STATE_OUTBOUND, false));
    assert_eq!(talk.flows().remove(0).state, FlowState::Open);
}

#[test]
fn an_old_socket_that_connects_now_begins_now() {
    let mut idle = curl();
    (idle.local, idle.remote, idle.tcp_state) = (None, None, 0);
    let mut talk = Conversation::listed(&[idle]);
    assert_eq!(talk.flows().len(), 0);
    talk.update(&moved(curl(), 1, 1));
    assert_eq!(talk.flows().remove(0).state, FlowState::Open);
}

#[test]
fn only_news_is_reported_and_the_last_counts_close_the_flow() {
    let mut talk = Conversation::listed(&[]);
    talk.update(&curl());
    talk.update(&curl());
    assert_eq!(talk.flows().len(), 1);
    talk.update(&moved(curl(), 10, 20));
    talk.hear(&simulation::counts_alone(&moved(curl(), 11, 20)));
    talk.hear(&simulation::update(&moved(curl(), 12, 20), Generation::C, 0, true));
    talk.hear(&simulation::removed(7, false));
    let states: Vec<_> =
        talk.flows().iter().map(|flow| (flow.state, flow.bytes_in, flow.bytes_out)).collect();
    assert_eq!(
        states,
        [(FlowState::Update, 10, 20), (FlowState::Update, 11, 20), (FlowState::Closed, 12, 20)]
    );
    assert_eq!((talk.session.followed(), talk.gaps()), (0, vec![]));
}

#[test]
fn a_source_whose_last_counts_were_dropped_ends_with_what_is_known_and_a_gap() {
    let mut talk = Conversation::listed(&[]);
    talk.update(&moved(curl(), 10, 20));
    talk.hear(&simulation::removed(7, true));
    assert_eq!(talk.gaps(), [Some(1)]);
    let last = talk.flows().pop().unwrap();
    assert_eq!((last.state, last.bytes_in), (FlowState::Closed, 10));
    assert_eq!(talk.session.account().closed_after_drop, 1);
}

#[test]
fn a_poll_in_parts_is_fetched_with_the_same_context() {
    let mut talk = Conversation::listed(&[]);
    let context = talk.poll();
    for _ in 0..3 {
        talk.hear(&simulation::success(context, true));
        assert_eq!(talk.actions(), [Action::Send(Request::Poll { context })]);
    }
    // An answer to somebody else's question, or to an old one, changes nothing.
    talk.hear(&simulation::success(context - 1, false));
    assert_eq!(talk.session.account().polls, 1);
    talk.hear(&simulation::success(context, false));
    assert_eq!(talk.session.account().polls, 2);
    assert_eq!(talk.actions(), []);
    assert_eq!(talk.session.patience(talk.now), Duration::from_secs(1));
}

#[test]
fn an_overrun_is_a_gap_and_what_is_left_is_asked_for_at_once() {
    let mut talk = Conversation::listed(&[]);
    talk.session.overran(talk.now, &mut talk.out);
    assert_eq!(talk.gaps(), [None]);
    assert!(matches!(talk.actions()[..], [Action::Send(Request::Poll { .. })]));
}

#[test]
fn a_poll_without_memory_is_a_gap_and_tried_again_soon() {
    let mut talk = Conversation::listed(&[]);
    for (errno, gaps) in [(55, vec![None]), (35, vec![None])] {
        let context = talk.poll();
        talk.hear(&simulation::error(context, errno, &Request::Poll { context }.encode()));
        assert_eq!(talk.gaps(), gaps, "EAGAIN loses nothing");
        assert!(talk.session.patience(talk.now) < Duration::from_secs(1));
    }
}

#[test]
fn an_answer_that_never_comes_is_a_gap_and_a_new_poll() {
    let mut talk = Conversation::listed(&[]);
    let first = talk.poll();
    let second = talk.poll();
    assert!(second > first);
    assert_eq!(talk.gaps(), [None]);
}

#[test]
fn a_kernel_that_refuses_is_silent_or_speaks_otherwise_is_given_up() {
    let mut talk = Conversation::begun();
    talk.hear(&simulation::error(2, 1, &[]));
    assert_eq!(talk.session.refusal(), Some(Refusal::Refused(1)));

    let mut talk = Conversation::begun();
    talk.actions();
    talk.wait(talk.session.patience(talk.now));
    assert_eq!((talk.actions(), talk.session.refusal()), (vec![], Some(Refusal::Silent)));

    let mut talk = Conversation::listed(&[]);
    let mut unknown = simulation::update(&curl(), Generation::C, 0, false);
    unknown.truncate(480);
    unknown[12..14].copy_from_slice(&480_u16.to_le_bytes());
    talk.hear(&unknown);
    assert!(matches!(talk.session.refusal(), Some(Refusal::Layout(Fault::Layout { .. }))));
}

#[test]
fn a_datagram_socket_is_a_flow_for_each_peer() {
    let to = |peer: &str, bytes| moved(Source::udp(9, 501, "192.0.2.1:50002", peer), 0, bytes);
    let mut talk = Conversation::listed(&[]);
    talk.update(&to("192.0.2.53:53", 40));
    talk.update(&to("192.0.2.54:53", 100));
    talk.update(&to("192.0.2.54:53", 130));
    let flows = talk.flows();
    let told: Vec<_> =
        flows.iter().map(|flow| (flow.remote.to_string(), flow.state, flow.bytes_out)).collect();
    let (first, second) = ("192.0.2.53:53".to_owned(), "192.0.2.54:53".to_owned());
    assert_eq!(
        told,
        [
            (first.clone(), FlowState::Open, 40),
            (first, FlowState::Closed, 40),
            (second.clone(), FlowState::Open, 60),
            (second, FlowState::Update, 90)
        ]
    );
    assert_ne!(flows[0].flow_id, flows[2].flow_id);
}

#[test]
fn before_macos_14_a_connection_to_a_port_that_listens_is_inbound() {
    let mut listener = Source::tcp(1, 99, "0.0.0.0:22", "0.0.0.0:0");
    (listener.tcp_state, listener.properties) = (1, 0);
    let mut talk = Conversation::listed(&[listener]);
    for (reference, local, direction) in
        [(2, "192.0.2.1:22", Direction::Inbound), (3, "192.0.2.1:50000", Direction::Outbound)]
    {
        let mut source = Source::tcp(reference, 99, local, "198.51.100.7:443");
        source.properties = 0;
        talk.hear(&simulation::update(&source, Generation::B, 0, false));
        assert_eq!(talk.flows().remove(0).direction, Some(direction));
    }
}

#[test]
fn a_name_that_the_process_gave_its_connection_is_the_server_s() {
    let mut source = curl();
    source.domain = "updates.example.com.".to_owned();
    let mut talk = Conversation::listed(&[]);
    talk.update(&source);
    assert_eq!(talk.flows().remove(0).server_name.as_deref(), Some("updates.example.com"));
}

#[test]
fn the_generation_of_a_process_that_is_gone_is_not_taken_from_its_successor() {
    let mut source = curl();
    source.unique_pid = 3;
    let mut talk = Conversation::listed(&[]);
    talk.update(&source);
    let flow = talk.flows().remove(0);
    assert_eq!((flow.pid, flow.pidversion), (Some(501), None));
}

#[test]
fn bytes_whose_peer_was_never_known_are_counted() {
    let mut source = moved(Source::udp(9, 501, "192.0.2.1:5353", "0.0.0.0:0"), 700, 0);
    source.remote = None;
    let mut talk = Conversation::listed(&[]);
    talk.update(&source);
    talk.hear(&simulation::removed(9, false));
    assert_eq!(talk.flows().len(), 0);
    assert_eq!(talk.session.account().unaddressed_bytes, 700);
}

#[test]
fn no_more_sources_are_followed_than_memory_is_meant_for() {
    let mut talk = Conversation::listed(&[]);
    for reference in 0..65_538 {
        talk.update(&Source::tcp(reference, 501, "192.0.2.1:50000", "203.0.113.5:443"));
        talk.out.clear();
    }
    assert_eq!((talk.session.followed(), talk.session.account().untracked), (65_536, 2));
    let context = talk.poll();
    talk.hear(&simulation::success(context, false));
    assert_eq!(talk.gaps(), [Some(2)]);
}

#[test]
fn with_less_effort_the_kernel_is_polled_less_often() {
    let mut talk = Conversation::listed(&[]);
    for effort in [Effort::Full, Effort::Least] {
        talk.session.poll_every(effort.polling());
        let context = talk.poll();
        talk.hear(&simulation::success(context, false));
        assert_eq!(talk.session.patience(talk.now), effort.polling());
    }
}
