use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tidemark::alert::Alert;
use tidemark::sink::Course;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::hostile::{Act, Hostile};
use crate::rig::{Rig, pki};

/// A server with this certificate that asks clients for one of our authority's.
fn acceptor(certificate: &str) -> TlsAcceptor {
    let provider = Arc::new(rustls_graviola::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pki("ca.pem")).unwrap()).unwrap();
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let chain = vec![CertificateDer::from_pem_file(pki(&format!("{certificate}.pem"))).unwrap()];
    let key = PrivateKeyDer::from_pem_file(pki(&format!("{certificate}.key"))).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// `tls = {…}` with our authority and this client's certificate, whose key is private as it must be.
pub(crate) fn tls(rig: &Rig, client: Option<&str>) -> String {
    use std::os::unix::fs::PermissionsExt;
    let ca = pki("ca.pem");
    let Some(client) = client else { return format!("tls = {{ ca_file = '{}' }}", ca.display()) };
    let key = rig.folder.path().join("client.key");
    std::fs::copy(pki(&format!("{client}.key")), &key).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    format!(
        "tls = {{ ca_file = '{}', certificate_file = '{}', key_file = '{}' }}",
        ca.display(),
        pki(&format!("{client}.pem")).display(),
        key.display()
    )
}

async fn https(certificate: &str) -> (Hostile, String) {
    let receiver =
        Hostile::start_at("127.0.0.1:0", Some(acceptor(certificate)), |_, _| Act::Take(String::new())).await;
    let sink = format!(
        "type='webhook'\nname='hook'\nurl='https://localhost:{}/in'\nproxy='none'\n",
        receiver.address.port()
    );
    (receiver, sink)
}

#[tokio::test]
async fn events_arrive_over_mutual_tls() {
    let (receiver, sink) = https("server").await;
    let mut rig = Rig::new();
    let ids = rig.alerts(0..10);
    assert_eq!(rig.deliver(&(sink + &tls(&rig, Some("client")))).await.sent, 10);
    assert_eq!(receiver.ids(), ids);
}

/// The error that a sink meets; nothing must have been taken.
async fn error_of(certificate: &str, client: Option<&str>) -> String {
    let (receiver, sink) = https(certificate).await;
    let mut rig = Rig::new();
    rig.alerts(0..1);
    let running = rig.start(&(sink + &tls(&rig, client)), Course::Go);
    let status = running.until(|status| status.last_error.is_some()).await;
    running.task.abort();
    assert_eq!((status.sent, receiver.ids().len(), rig.waiting()), (0, 0, 1));
    status.last_error.unwrap()
}

#[tokio::test]
async fn a_server_is_not_believed_with_an_expired_certificate_or_for_another_name() {
    let error = error_of("expired", Some("client")).await;
    assert!(error.to_lowercase().contains("expired"), "{error}");
    let error = error_of("wrong-host", Some("client")).await;
    assert!(error.contains("not valid for name"), "{error}");
}

#[tokio::test]
async fn a_rejected_client_certificate_is_noticed() {
    let error = error_of("server", Some("stranger")).await;
    assert!(error.contains("alert"), "{error}");
    let error = error_of("server", None).await;
    assert!(error.contains("CertificateRequired") || error.contains("alert"), "{error}");
}

/// Takes octet-counted frames until it is dropped.
async fn syslog() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let messages = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&messages);
    let acceptor = acceptor("server");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, taken) = (acceptor.clone(), Arc::clone(&taken));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let mut stream = BufReader::new(stream);
                loop {
                    let mut count = Vec::new();
                    if stream.read_until(b' ', &mut count).await.unwrap_or(0) == 0 {
                        return;
                    }
                    let count = String::from_utf8(count).unwrap().trim().parse().unwrap();
                    let mut message = vec![0; count];
                    stream.read_exact(&mut message).await.unwrap();
                    taken.lock().unwrap().push(String::from_utf8(message).unwrap());
                }
            });
        }
    });
    (port, messages)
}

#[tokio::test]
async fn syslog_frames_are_counted_and_too_long_ones_set_aside_whole() {
    let (port, messages) = syslog().await;
    let mut rig = Rig::new();
    rig.alerts(0..20);
    let long = format!(r#"{{"id":"long","time":"2026-11-24T10:00:00Z","text":"{}"}}"#, "x".repeat(9_000));
    rig.spool.append(tidemark::sink::spool::Queue::Alerts, &[long]).unwrap();
    let sink =
        format!("type='syslog'\nname='syslog'\naddress='localhost:{port}'\n") + &tls(&rig, Some("client"));
    let status = rig.deliver(&sink).await;
    assert_eq!((status.sent, status.set_aside), (20, 1));
    while messages.lock().unwrap().len() < 20 {
        tokio::task::yield_now().await;
    }
    let messages = messages.lock().unwrap().clone();
    assert!(
        messages[0].starts_with("<107>1 2026-11-24T10:00:00.5Z mac tidemark - alerts - {"),
        "{}",
        messages[0]
    );
    let document = messages[19].split_once("alerts - ").unwrap().1;
    assert_eq!(document, crate::rig::alert(19));
    assert!(rig.dead_letters("syslog").contains("max_message_bytes is 8096"));
}

#[tokio::test]
async fn syslog_carries_every_form_and_the_slim_one_where_the_whole_is_too_long() {
    for (format, mark) in [("native", "schema"), ("ocsf", "class_uid"), ("ecs", "ecs")] {
        let (port, messages) = syslog().await;
        let mut rig = Rig::new();
        let alerts = crate::recording::alerts(0..5);
        rig.spool.append(tidemark::sink::spool::Queue::Alerts, &alerts).unwrap();
        let sink = format!("type='syslog'\nname='syslog'\nformat='{format}'\naddress='localhost:{port}'\n")
            + &tls(&rig, Some("client"));
        let status = rig.deliver(&sink).await;
        assert_eq!((status.sent, status.set_aside), (alerts.len() as u64, 0), "{format}");
        while messages.lock().unwrap().len() < alerts.len() {
            tokio::task::yield_now().await;
        }
        for (message, alert) in messages.lock().unwrap().iter().zip(&alerts) {
            assert!(message.len() <= 8_096, "{format}: {}", message.len());
            let document = message.split_once("alerts - ").unwrap().1;
            let value: serde_json::Value = serde_json::from_str(document).unwrap();
            assert!(value.get(mark).is_some(), "{format}: {document}");
            let (sent, spooled) = (Alert::read(document).unwrap(), Alert::read(alert).unwrap());
            assert_eq!((sent.id, sent.score, sent.subject), (spooled.id, spooled.score, spooled.subject));
        }
    }
}

#[tokio::test]
async fn syslog_notices_that_its_certificate_was_rejected() {
    let (port, messages) = syslog().await;
    let mut rig = Rig::new();
    rig.alerts(0..1);
    let sink =
        format!("type='syslog'\nname='syslog'\naddress='localhost:{port}'\n") + &tls(&rig, Some("stranger"));
    let running = rig.start(&sink, Course::Go);
    let status = running.until(|status| status.last_error.is_some()).await;
    running.task.abort();
    assert_eq!((status.sent, messages.lock().unwrap().len(), rig.waiting()), (0, 0, 1));
}
