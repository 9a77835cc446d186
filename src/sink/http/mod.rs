//! Receivers that speak HTTP: one path for all of them, and a dialect each for what a body and an answer look like.
//!
//! | dialect | body | an event is delivered when |
//! |---|---|---|
//! | [`hec`] | Splunk's event envelopes | the answer is 2xx, and where acknowledgements are asked for, the indexer gave one in time |
//! | [`elastic`] | `_bulk`, `create` with the event's id | its item says 2xx, or 409: it is there already |
//! | webhook | NDJSON | the answer is 2xx |
//!
//! 400 and 413 say that the body is unfit, and it is sent in halves until the event that is to blame stands alone. 401 and 403 say that
//! a person must act. Everything else, and every broken connection or answer, is tried again. Redirects are not followed: alerts
//! go where the configuration says.

mod elastic;
mod hec;

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Proxy, StatusCode, Url};
use thiserror::Error;

use super::event::Event;
use super::outcome::{Outcome, with_causes};
use super::secret::{Secret, SecretError};
use super::settings::HttpSettings;
use super::tls::{self, TlsError};

/// A receiver that speaks HTTP.
#[derive(Debug)]
pub struct HttpSink {
    client: Client,
    url: Url,
    headers: HeaderMap,
    gzip: bool,
    dialect: Dialect,
}

/// What bodies and answers look like.
#[derive(Debug)]
pub(super) enum Dialect {
    /// Splunk's HTTP Event Collector.
    Hec(hec::Hec),
    /// Elasticsearch and OpenSearch.
    Elastic(elastic::Elastic),
    /// NDJSON.
    Webhook,
}

/// An HTTP sink cannot be made.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The address.
    #[error("the address {url:?} cannot be used: {why}")]
    Address {
        /// As configured.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// The token's file.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The client.
    #[error("cannot set up HTTP: {}", with_causes(.0))]
    Client(#[from] reqwest::Error),
}

/// An answer: its status, what it asks for, and its body as far as it was read.
struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl HttpSink {
    /// Splunk's HTTP Event Collector.
    ///
    /// # Errors
    /// Where a setting or a file that it names cannot be used.
    pub fn hec(settings: &HttpSettings) -> Result<Self, HttpError> {
        let url = address(&settings.url)?;
        let hec = hec::Hec::new(&url, settings)?;
        Self::new(settings, url, "Splunk ", Dialect::Hec(hec))
    }

    /// Elasticsearch's or OpenSearch's bulk interface.
    ///
    /// # Errors
    /// As [`HttpSink::hec`].
    pub fn elastic(settings: &HttpSettings) -> Result<Self, HttpError> {
        let url = address(&format!("{}/_bulk", settings.url.trim_end_matches('/')))?;
        Self::new(settings, url, "ApiKey ", Dialect::Elastic(elastic::Elastic::new(settings)))
    }

    /// Anything that takes NDJSON.
    ///
    /// # Errors
    /// As [`HttpSink::hec`].
    pub fn webhook(settings: &HttpSettings) -> Result<Self, HttpError> {
        Self::new(settings, address(&settings.url)?, "Bearer ", Dialect::Webhook)
    }

    fn new(
        settings: &HttpSettings,
        url: Url,
        scheme: &'static str,
        dialect: Dialect,
    ) -> Result<Self, HttpError> {
        let timeout = Duration::from_secs(settings.timeout_seconds.into());
        let mut client = Client::builder()
            .tls_backend_preconfigured(tls::client_config(&settings.tls)?)
            .user_agent(concat!("tidemark/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            // Retrying is the delivery's, which counts it.
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout);
        client = match settings.proxy.as_deref() {
            None => client,
            Some("none") => client.no_proxy(),
            Some(proxy) => client.proxy(Proxy::all(proxy)?),
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(dialect.content_type()));
        if let Some(path) = &settings.token_file {
            headers.insert(AUTHORIZATION, authorization(scheme, &Secret::load(path)?, &settings.url)?);
        }
        if let Dialect::Hec(hec) = &dialect {
            headers.extend(hec.channel().map(|channel| (hec::CHANNEL, channel)));
        }
        Ok(Self { client: client.build()?, url, headers, gzip: settings.gzip, dialect })
    }

    /// Sends events in one request.
    pub async fn deliver(&mut self, events: &[Event]) -> Outcome {
        let body = match &self.dialect {
            Dialect::Hec(hec) => hec.body(events),
            Dialect::Elastic(elastic) => elastic.body(events),
            Dialect::Webhook => lines(events),
        };
        let answer = match self.post(self.url.clone(), body).await {
            Ok(answer) => answer,
            Err(outcome) => return outcome,
        };
        match &self.dialect {
            Dialect::Hec(hec) => match hec.ack_id(&answer.body) {
                Ok(None) => Outcome::Delivered,
                Ok(Some(id)) => self.wait_for_ack(id).await,
                Err(why) => Outcome::later(why),
            },
            Dialect::Elastic(_) => elastic::outcome(&answer.body, events.len()),
            Dialect::Webhook => Outcome::Delivered,
        }
    }

    /// Asks until the indexer has the request with this number, for a bounded time.
    async fn wait_for_ack(&self, id: u64) -> Outcome {
        let Dialect::Hec(hec) = &self.dialect else { return Outcome::Delivered };
        let began = tokio::time::Instant::now();
        loop {
            match self.post(hec.ack_url().clone(), hec::ack_question(id)).await {
                Ok(answer) if hec::acknowledged(&answer.body, id) => return Outcome::Delivered,
                Ok(_) => {}
                Err(outcome) => return outcome,
            }
            if began.elapsed() >= hec.ack_wait() {
                return Outcome::later("the indexer did not acknowledge the events in time");
            }
            tokio::time::sleep(ACK_POLL).await;
        }
    }

    /// Posts a body. An answer other than 2xx is an outcome by itself.
    async fn post(&self, url: Url, body: Vec<u8>) -> Result<Answer, Outcome> {
        let mut request = self.client.post(url).headers(self.headers.clone());
        request = if self.gzip {
            request.header(CONTENT_ENCODING, "gzip").body(compress(&body))
        } else {
            request.body(body)
        };
        let answer = match request.send().await {
            Ok(response) => read(response).await,
            Err(error) => Err(error),
        };
        // A connection that broke, or was not made, is what a receiver that died looks like. One that is slow still has what it took.
        let answer = answer.map_err(|error| {
            let slow = error.is_timeout() && !error.is_connect();
            let why = in_words(with_causes(&error.without_url()));
            if slow { Outcome::later(why) } else { Outcome::Gone(why) }
        })?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let why = format!("the receiver answered {}{}", answer.status, excerpt(&answer.body));
        Err(match answer.status {
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => Outcome::Unfit(why),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Outcome::Refused(why),
            _ => Outcome::Later { why, after: answer.retry_after },
        })
    }
}

impl Dialect {
    const fn content_type(&self) -> &'static str {
        match self {
            Self::Hec(_) => "application/json",
            Self::Elastic(_) | Self::Webhook => "application/x-ndjson",
        }
    }
}

fn address(url: &str) -> Result<Url, HttpError> {
    let wrong = |why: String| HttpError::Address { url: url.to_owned(), why };
    let parsed = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
    if parsed.password().is_some() {
        return Err(HttpError::Address {
            url: "…".to_owned(),
            why: "a password stands in it, which belongs in token_file".to_owned(),
        });
    }
    Ok(parsed)
}

fn authorization(scheme: &str, secret: &Secret, url: &str) -> Result<HeaderValue, HttpError> {
    let token = secret.expose();
    // "Basic …" for OpenSearch, or whatever else a gateway wants, stands in the file with its scheme.
    let whole = if token.contains(' ') { token.to_owned() } else { format!("{scheme}{token}") };
    let mut value = HeaderValue::try_from(whole).map_err(|_| HttpError::Address {
        url: url.to_owned(),
        why: "the token cannot stand in a header".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn lines(events: &[Event]) -> Vec<u8> {
    let mut body = Vec::with_capacity(events.iter().map(|event| event.line.len() + 1).sum());
    for event in events {
        body.extend_from_slice(event.line.as_bytes());
        body.push(b'\n');
    }
    body
}

fn compress(body: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Writing to memory does not fail.
    let _ = gzip.write_all(body);
    gzip.finish().unwrap_or_default()
}

/// Reads an answer up to a bound. An answer that breaks off is an error: what the receiver did is not known then.
async fn read(mut response: reqwest::Response) -> Result<Answer, reqwest::Error> {
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = MOST_ANSWER_BYTES.saturating_sub(body.len());
        body.extend(chunk.iter().take(room));
        if chunk.len() >= room {
            break;
        }
    }
    Ok(Answer { status, retry_after, body })
}

/// `Retry-After` in seconds (RFC 9110, section 10.2.3). The form with a date is ignored: it would trust this Mac's clock, and the delivery's
/// own delay takes its place.
fn retry_after(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

/// The beginning of an answer's text, for a person.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut shown = String::new();
    for c in text.trim().chars().take(MOST_EXCERPT) {
        // Most answers are JSON, which a person reads as it is.
        if matches!(c, '"' | '\'' | '\\') { shown.push(c) } else { shown.extend(c.escape_debug()) }
    }
    if shown.is_empty() { shown } else { format!(": {shown}") }
}

/// Says what rustls's name for an answer in clear text means.
fn in_words(mut why: String) -> String {
    if why.contains(NO_TLS) {
        why.push_str(": what answers does not speak TLS; is its address http://?");
    }
    why
}

/// `rustls::InvalidMessage::InvalidContentType`: the first byte is of no TLS record.
const NO_TLS: &str = "InvalidContentType";

/// A handshake through a proxy over a bad line takes seconds, not tens of them.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often an acknowledgement is asked for.
const ACK_POLL: Duration = Duration::from_millis(500);
/// The answer to a bulk of 100 events takes about 30 kB.
const MOST_ANSWER_BYTES: usize = 4 << 20;
const MOST_EXCERPT: usize = 200;
