use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use tidemark::sink::{Course, SinkState};

use crate::hostile::{Act, Hostile};
use crate::rig::Rig;

fn take() -> Act {
    Act::Take(r#"{"text":"Success","code":0}"#.to_owned())
}

fn webhook(receiver: &Hostile) -> String {
    format!("type='webhook'\nname='hook'\nurl='{}'\ntimeout_seconds=5", receiver.url())
}

#[tokio::test]
async fn a_collector_gets_every_event_compressed_with_its_token() {
    let receiver = Hostile::start(|_, _| take()).await;
    let mut rig = Rig::new();
    let ids = rig.alerts(0..250);
    let token = rig.folder.path().join("token");
    std::fs::write(&token, "11111111-2222\n").unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let sink =
        format!("type='hec'\nname='splunk'\nurl='{}'\ntoken_file='{}'", receiver.url(), token.display());
    let status = rig.deliver(&sink).await;
    assert_eq!((status.sent, status.retries, status.state), (250, 0, SinkState::Idle));
    assert_eq!(receiver.ids(), ids);
    let requests = receiver.taken();
    assert_eq!(requests.len(), 3, "100 events a request");
    assert!(requests[0].head.contains("content-encoding: gzip"));
    assert!(requests[0].head.contains("authorization: splunk 11111111-2222\r"));
    assert_eq!(rig.waiting(), 0);
}

#[tokio::test]
async fn what_fails_is_tried_again_and_arrives() {
    // 500, 503, a redirect, an answer that breaks off, silence: then it takes.
    let receiver = Hostile::start(|number, _| match number {
        0 => Act::Say(500, "", "oops".to_owned()),
        1 => Act::Say(503, "", String::new()),
        2 => Act::Say(302, "location: /elsewhere\r\n", String::new()),
        3 => Act::BreakOff,
        4 => Act::Silence,
        _ => take(),
    })
    .await;
    let mut rig = Rig::new();
    let ids = rig.alerts(0..10);
    let status = rig.deliver(&webhook(&receiver).replace("timeout_seconds=5", "timeout_seconds=1")).await;
    assert_eq!((status.sent, status.retries), (10, 5));
    assert_eq!(receiver.ids(), ids);
    assert!(receiver.seen().iter().all(|request| request.ids() == ids), "each attempt is the same");
    assert!(receiver.seen().iter().all(|request| request.head.starts_with("post /in ")));
}

#[tokio::test]
async fn a_slow_receiver_holds_up_neither_the_spool_nor_anybody_else() {
    let slow = Hostile::start(|_, _| Act::Late(std::time::Duration::from_millis(300))).await;
    let quick = Hostile::start(|_, _| take()).await;
    let mut rig = Rig::new();
    let to_slow = rig.start(&webhook(&slow), Course::Go);
    let to_quick = rig.start(&webhook(&quick).replace("'hook'", "'quick'"), Course::Go);
    let ids = rig.alerts(0..500);
    to_quick.until(|status| status.sent == 500).await;
    // Its first answers are still on their way, and one batch of a hundred at a time is in memory.
    assert!(to_slow.status.read().sent < 500);
    assert!(slow.seen().len() <= slow.taken().len() + 1, "one request at a time");
    to_slow.until(|status| status.sent == 500).await;
    assert_eq!((slow.ids(), quick.ids()), (ids.clone(), ids));
    assert_eq!(to_slow.status.read().retries, 0);
}

#[tokio::test]
async fn a_receiver_that_is_full_gets_everything_when_it_has_room() {
    let receiver = Hostile::start(|number, _| match number {
        0 => Act::Say(429, "", "busy".to_owned()),
        1 => Act::Say(507, "", "no space left".to_owned()),
        2 => Act::Say(503, "retry-after: 0\r\n", r#"{"text":"Server is busy","code":9}"#.to_owned()),
        _ => take(),
    })
    .await;
    let mut rig = Rig::new();
    let ids = rig.alerts(0..10);
    let status = rig.deliver(&webhook(&receiver)).await;
    assert_eq!((status.sent, status.retries, status.set_aside), (10, 3, 0));
    assert_eq!(receiver.ids(), ids);
}

#[tokio::test]
async fn the_time_that_a_receiver_asks_for_is_given() {
    let receiver = Hostile::start(|number, _| match number {
        0 => Act::Say(429, "retry-after: 1\r\n", String::new()),
        _ => take(),
    })
    .await;
    let mut rig = Rig::new();
    rig.alerts(0..1);
    let began = std::time::Instant::now();
    assert_eq!(rig.deliver(&webhook(&receiver)).await.sent, 1);
    assert!(began.elapsed().as_secs() >= 1);
}

#[tokio::test]
async fn what_is_too_large_goes_in_halves() {
    let receiver = Hostile::start(|_, request| match request.ids().len() {
        0..=7 => take(),
        _ => Act::Say(413, "", String::new()),
    })
    .await;
    let mut rig = Rig::new();
    let ids = rig.alerts(0..100);
    let status = rig.deliver(&webhook(&receiver)).await;
    assert_eq!((status.sent, status.set_aside, status.retries), (100, 0, 0));
    assert!(status.splits > 0);
    assert_eq!(receiver.ids(), ids, "each once and in order");
}

#[tokio::test]
async fn a_poison_event_is_set_aside_and_the_others_arrive() {
    let receiver = Hostile::start(|_, request| {
        if request.body.contains("0193-00000042") {
            Act::Say(400, "", "bad event".to_owned())
        } else {
            take()
        }
    })
    .await;
    let mut rig = Rig::new();
    let mut ids = rig.alerts(0..100);
    let status = rig.deliver(&webhook(&receiver)).await;
    assert_eq!((status.sent, status.set_aside), (99, 1));
    let poison = ids.remove(42);
    assert_eq!(receiver.ids(), ids);
    let letters = rig.dead_letters("hook");
    assert!(letters.lines().count() == 1 && letters.contains(&poison) && letters.contains("bad event"));
    assert_eq!(rig.waiting(), 0);
}

#[tokio::test]
async fn a_receiver_that_refuses_stops_the_sink_until_it_is_mended() {
    for status in [401, 403] {
        let receiver =
            Hostile::start(move |_, _| Act::Say(status, "", r#"{"text":"who are you"}"#.to_owned())).await;
        let mut rig = Rig::new();
        let ids = rig.alerts(0..250);
        let running = rig.start(&webhook(&receiver), Course::Go);
        let stopped = running.until(|status| status.state == SinkState::Refused).await;
        assert!(stopped.last_error.unwrap().contains(r#"{"text":"who are you"}"#));
        // The end of the daemon does not wait for a person.
        running.go.send(Course::Drain).unwrap();
        running.task.await.unwrap();
        assert_eq!(receiver.seen().len(), 1, "no storm of attempts");
        assert_eq!(rig.waiting(), 250);
        let address = receiver.address.to_string();
        drop(receiver);
        tokio::task::yield_now().await;
        let mended = Hostile::start_at(&address, None, |_, _| take()).await;
        rig.deliver(&webhook(&mended)).await;
        assert_eq!(mended.ids(), ids);
    }
}

#[tokio::test]
async fn elastic_counts_what_is_there_as_delivered_and_repeats_only_what_is_left() {
    let receiver = Hostile::start(|number, request| {
        let count = request.ids().len();
        let item = |index: usize| match (number, index) {
            (0, 0) => r#"{"create":{"status":409,"error":{"type":"version_conflict_engine_exception"}}}"#,
            (0, 1) => r#"{"create":{"status":429,"error":"busy"}}"#,
            (0, 2) => r#"{"create":{"status":400,"error":{"type":"mapper_parsing_exception"}}}"#,
            _ => r#"{"create":{"status":201}}"#,
        };
        let items: Vec<_> = (0..count).map(item).collect();
        Act::Take(format!(r#"{{"took":1,"errors":{},"items":[{}]}}"#, number == 0, items.join(",")))
    })
    .await;
    let mut rig = Rig::new();
    let ids = rig.alerts(0..5);
    let sink = format!("type='elastic'\nname='elastic'\nurl='http://{}'", receiver.address);
    let status = rig.deliver(&sink).await;
    assert_eq!((status.sent, status.set_aside, status.retries), (4, 1, 1));
    assert_eq!(receiver.taken()[1].ids(), [ids[1].clone()]);
    assert!(receiver.taken()[0].head.starts_with("post /_bulk "));
    assert!(rig.dead_letters("elastic").contains("mapper_parsing"));
}

#[tokio::test]
async fn an_acknowledgement_that_does_not_come_sends_the_events_again() {
    let number = Arc::new(AtomicUsize::new(0));
    let receiver = Hostile::start(move |_, request| {
        if request.head.starts_with("post /services/collector/ack") {
            return Act::Say(200, "", r#"{"acks":{"1":false,"2":true}}"#.to_owned());
        }
        assert!(request.head.contains("x-splunk-request-channel: "));
        let id = number.fetch_add(1, Ordering::Relaxed) + 1;
        Act::Take(format!(r#"{{"text":"Success","code":0,"ackId":{id}}}"#))
    })
    .await;
    let mut rig = Rig::new();
    let ids = rig.alerts(0..3);
    let sink = format!("type='hec'\nname='splunk'\nurl='{}'\nack_seconds=1", receiver.url());
    let status = rig.deliver(&sink).await;
    assert_eq!((status.sent, status.retries), (3, 1));
    assert_eq!(receiver.taken().iter().map(|request| request.ids()).collect::<Vec<_>>(), [ids.clone(), ids]);
}

#[tokio::test]
async fn a_receiver_that_dies_and_comes_back_gets_everything() {
    let mut rig = Rig::new();
    let ids = rig.alerts(0..2_000);
    let mut receiver = Hostile::start(|_, _| take()).await;
    let address = receiver.address.to_string();
    let running = rig.start(&webhook(&receiver), Course::Drain);
    let mut arrived = Vec::new();
    for died in 1..=3 {
        running.until(|status| status.sent >= 400 * died).await;
        arrived.extend(receiver.ids());
        drop(receiver);
        running.until(|status| status.retries >= died).await;
        receiver = Hostile::start_at(&address, None, |_, _| take()).await;
    }
    running.task.await.unwrap();
    arrived.extend(receiver.ids());
    // What was taken without the answer being heard came twice, with the same id.
    arrived.sort();
    arrived.dedup();
    assert_eq!(arrived, ids);
}

#[tokio::test]
async fn what_a_receiver_took_just_before_it_went_away_is_sent_again_once() {
    let receiver =
        Hostile::start(|number, _| if matches!(number, 1 | 2) { Act::BreakOff } else { take() }).await;
    let mut rig = Rig::new();
    let ids = rig.alerts(0..200);
    let (first, second) = (ids[..100].to_vec(), ids[100..].to_vec());
    let status = rig.deliver(&webhook(&receiver)).await;
    let asked: Vec<_> = receiver.seen().iter().map(|request| request.ids()).collect();
    assert_eq!(asked, [first.clone(), second.clone(), first.clone(), first, second]);
    assert_eq!((status.sent, status.repeated, status.retries), (300, 100, 2));
    assert_eq!(rig.waiting(), 0);
}

#[tokio::test]
async fn what_an_indexer_acknowledged_is_not_sent_again() {
    let number = Arc::new(AtomicUsize::new(0));
    let receiver = Hostile::start(move |_, request| {
        if request.head.starts_with("post /services/collector/ack") {
            return Act::Say(200, "", r#"{"acks":{"0":true,"2":true}}"#.to_owned());
        }
        match number.fetch_add(1, Ordering::Relaxed) {
            1 => Act::BreakOff,
            id => Act::Take(format!(r#"{{"text":"Success","code":0,"ackId":{id}}}"#)),
        }
    })
    .await;
    let mut rig = Rig::new();
    let ids = rig.alerts(0..200);
    let sink = format!("type='hec'\nname='splunk'\nurl='{}'\nack_seconds=1", receiver.url());
    let status = rig.deliver(&sink).await;
    assert_eq!((status.sent, status.repeated, status.retries), (200, 0, 1));
    assert_eq!(receiver.ids(), ids);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_said() {
    let mut rig = Rig::new();
    rig.alerts(0..1);
    let running =
        rig.start("type='webhook'\nname='hook'\nurl='https://receiver.invalid/'\nproxy='none'", Course::Go);
    let status = running.until(|status| status.last_error.is_some()).await;
    assert!(status.last_error.unwrap().contains("dns"), "{:?}", running.status.read());
    running.task.abort();
}

#[tokio::test]
async fn an_https_address_of_a_receiver_without_tls_is_said_in_words() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let mut rig = Rig::new();
    rig.alerts(0..1);
    let running = rig
        .start(&format!("type='webhook'\nname='hook'\nurl='https://{address}/'\nproxy='none'"), Course::Go);
    let status = running.until(|status| status.last_error.is_some()).await;
    let why = status.last_error.unwrap();
    assert!(why.contains("does not speak TLS"), "{why}");
    running.task.abort();
}

#[tokio::test]
async fn a_damaged_line_is_set_aside_and_the_others_arrive() {
    let receiver = Hostile::start(|_, _| take()).await;
    let mut rig = Rig::new();
    rig.spool.append(tidemark::sink::spool::Queue::Alerts, &[r#"{"id":"half"#]).unwrap();
    let ids = rig.alerts(0..2);
    let status = rig.deliver(&webhook(&receiver)).await;
    assert_eq!((status.sent, status.set_aside), (2, 1));
    assert_eq!(receiver.ids(), ids);
}
