//! What is known before anything was seen: tables about Macs in general, as data.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

use super::protocols::{PortClass, ProtocolUse};
use super::volume::{InvalidPrior, Prior};

/// The tables, read from `tidemark.priors/1` documents.
#[derive(Debug, Clone)]
pub struct Priors {
    /// Bytes out.
    pub out: ScalePriors,
    /// Bytes out to destinations that the subject never used.
    pub new_destinations: ScalePriors,
    /// G: which share of images uses a protocol at all.
    prevalence: BTreeMap<ProtocolUse, f64>,
    /// The same among network tools and interpreters: a mail program speaks SMTP, curl does not.
    tool_prevalence: BTreeMap<ProtocolUse, f64>,
    /// In how many (Mac, tool) pairs each initiator occurs, scripting hosts left out.
    initiators: BTreeMap<String, u32>,
    /// How many pairs there are in all.
    pairs: u32,
    /// How many pairs have an initiator that occurs nowhere else.
    seen_once: u32,
    /// How many different images the histogram of bytes out rests on.
    images: u32,
}

/// A prior for each time scale.
#[derive(Debug, Clone)]
pub struct ScalePriors {
    /// Sums of clock hours.
    pub hour: Prior,
    /// Sums of days.
    pub day: Prior,
}

/// A priors document that cannot be used.
#[derive(Debug, Error)]
pub enum PriorsError {
    /// It is no such document.
    #[error("not a priors document: {0}")]
    Document(#[from] serde_json::Error),
    /// Its schema is another one.
    #[error("schema `{0}` is not `{SCHEMA}`")]
    Schema(String),
    /// A histogram is none.
    #[error("`{0}`: {1}")]
    Histogram(&'static str, InvalidPrior),
    /// A protocol's key is none, or its share lies outside 0 to 1.
    #[error("`prevalence` has `{0}`: a key is `label/port class`, a value lies between 0 and 1")]
    Prevalence(String),
    /// No document of the set brings a part that is needed.
    #[error("no document brings `{0}`")]
    Missing(&'static str),
}

impl Priors {
    /// The tables that tidemark is built with: `config/priors/`.
    ///
    /// # Panics
    /// Never: the documents are compiled in, and a test reads them.
    #[expect(
        clippy::expect_used,
        reason = "compiled-in documents; `the_built_in_documents_read` fails if they do not"
    )]
    pub fn builtin() -> Self {
        Self::read(BUILTIN).expect("the built-in priors read")
    }

    /// Reads a set of documents. Histograms and initiators come from the last that has them; prevalence is pooled over all, each weighted
    /// by the number of different images that it rests on.
    ///
    /// # Errors
    /// Names the part that cannot be used.
    pub fn read<'a>(documents: impl IntoIterator<Item = &'a str>) -> Result<Self, PriorsError> {
        let (mut out, mut new_destinations, mut tools) = (None, None, None);
        let mut among_tools = BTreeMap::new();
        let mut pooled: BTreeMap<ProtocolUse, f64> = BTreeMap::new();
        let (mut images, mut unheard) = (0.0, BTreeMap::<ProtocolUse, f64>::new());
        let mut images_of_bytes = 0;
        for text in documents {
            let document: Document = serde_json::from_str(text)?;
            if document.schema != SCHEMA {
                return Err(PriorsError::Schema(document.schema));
            }
            if document.bytes_out.is_some() {
                images_of_bytes = document.images;
            }
            out = document.bytes_out.or(out);
            new_destinations = document.bytes_out_new_destinations.or(new_destinations);
            tools = document.tool_initiators.or(tools);
            if !document.tool_prevalence.is_empty() {
                among_tools = document.tool_prevalence;
            }
            if !document.prevalence.is_empty() {
                let weight = f64::from(document.images.max(1));
                images += weight;
                for key in document.silent_on {
                    let Some(protocol) = parse_use(&key) else { return Err(PriorsError::Prevalence(key)) };
                    *unheard.entry(protocol.family()).or_default() += weight;
                }
                for (key, share) in document.prevalence {
                    let protocol = parse_share(key, share)?;
                    *pooled.entry(protocol).or_default() += weight * share;
                }
            }
        }
        let mut prevalence: BTreeMap<ProtocolUse, f64> = pooled;
        for (protocol, share) in &mut prevalence {
            let heard = images - unheard.get(protocol).copied().unwrap_or(0.0);
            *share = (*share / heard).min(1.0);
        }
        let mut tool_prevalence: BTreeMap<ProtocolUse, f64> =
            prevalence.iter().map(|(protocol, share)| (*protocol, (1.0 - TOOLS_OWN) * share)).collect();
        for (key, share) in among_tools {
            *tool_prevalence.entry(parse_share(key, share)?).or_default() += TOOLS_OWN * share;
        }
        let tools = tools.ok_or(PriorsError::Missing("tool_initiators"))?;
        Ok(Self {
            out: scales(out, "bytes_out")?,
            new_destinations: scales(new_destinations, "bytes_out_new_destinations")?,
            prevalence,
            tool_prevalence,
            initiators: tools.counts,
            pairs: tools.pairs,
            seen_once: tools.seen_once,
            images: images_of_bytes,
        })
    }

    /// fleet(c): which share of images, or of tools, uses a protocol; [`UNSEEN_PREVALENCE`] where no document has it.
    pub fn prevalence(&self, protocol: ProtocolUse, tool: bool) -> f64 {
        self.table(tool).get(&protocol).copied().unwrap_or(0.0).max(UNSEEN_PREVALENCE)
    }

    /// The least probability that can be claimed of an image from the histograms alone: what none of n images did has ½/(n + 1) (Krichevsky and
    /// Trofimov 1981). Their tails are smooth and go on far below it, but that describes the windows of known images, not which images there are.
    pub fn least_between_images(&self) -> f64 {
        0.5 / (f64::from(self.images) + 1.0)
    }

    /// Every protocol that a document has, with its share among images or among tools.
    pub fn protocols(&self, tool: bool) -> impl Iterator<Item = (ProtocolUse, f64)> + '_ {
        self.table(tool).iter().map(|(protocol, share)| (*protocol, share.max(UNSEEN_PREVALENCE)))
    }

    fn table(&self, tool: bool) -> &BTreeMap<ProtocolUse, f64> {
        if tool { &self.tool_prevalence } else { &self.prevalence }
    }

    /// Which share of (tool, initiator) pairs has an initiator at most as common as this one (METHOD.md 2, `tail`). A name that no
    /// document has gets the Good–Turing mass of unseen names; a scripting host never does, however often it was seen.
    pub fn initiator_tail(&self, initiator: &str, scripting_host: bool) -> f64 {
        let unseen = f64::from(self.pairs) + 1.0;
        if scripting_host {
            return SCRIPTING_HOST_PAIRS / unseen;
        }
        match self.initiators.get(initiator) {
            None => f64::from(self.seen_once) / unseen,
            Some(&count) => {
                let named: u32 = self.initiators.values().filter(|&&other| other <= count).sum();
                f64::from(named + self.seen_once) / f64::from(self.pairs.max(1))
            }
        }
    }
}

/// The value of a protocol that no document has: half of an image among those of the simulated table.
pub const UNSEEN_PREVALENCE: f64 = 0.000_35;

/// How much of a tool's prevalence is that among tools, the rest being that among all images: a tool may do what others do.
const TOOLS_OWN: f64 = 0.8;

/// How many pairs a scripting host is taken to have (METHOD.md 2).
const SCRIPTING_HOST_PAIRS: f64 = 0.5;

const SCHEMA: &str = "tidemark.priors/1";

const BUILTIN: [&str; 2] =
    [include_str!("../../config/priors/simulated.json"), include_str!("../../config/priors/allow-list.json")];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: String,
    #[serde(rename = "provenance")]
    _provenance: String,
    /// How many different images the document rests on.
    #[serde(default)]
    images: u32,
    #[serde(default)]
    bytes_out: Option<Histograms>,
    #[serde(default)]
    bytes_out_new_destinations: Option<Histograms>,
    /// What the document cannot know: it is left out of the pool for these.
    #[serde(default)]
    silent_on: Vec<String>,
    #[serde(default)]
    prevalence: BTreeMap<String, f64>,
    /// Among network tools and interpreters.
    #[serde(default)]
    tool_prevalence: BTreeMap<String, f64>,
    #[serde(default)]
    tool_initiators: Option<ToolInitiators>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Histograms {
    hour: Vec<f64>,
    day: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolInitiators {
    pairs: u32,
    seen_once: u32,
    counts: BTreeMap<String, u32>,
}

fn scales(histograms: Option<Histograms>, name: &'static str) -> Result<ScalePriors, PriorsError> {
    let histograms = histograms.ok_or(PriorsError::Missing(name))?;
    let read = |weights: &[f64]| Prior::new(weights).map_err(|error| PriorsError::Histogram(name, error));
    Ok(ScalePriors { hour: read(&histograms.hour)?, day: read(&histograms.day)? })
}

/// Reads `ssh/well-known` with its share.
fn parse_share(key: String, share: f64) -> Result<ProtocolUse, PriorsError> {
    let usable = parse_use(&key).filter(|_| (0.0..=1.0).contains(&share));
    usable.map(ProtocolUse::family).ok_or(PriorsError::Prevalence(key))
}

/// Reads `ssh/well-known`.
fn parse_use(key: &str) -> Option<ProtocolUse> {
    let (label, class) = key.split_once('/')?;
    let port = PortClass::ALL.iter().copied().find(|known| known.label() == class)?;
    Some(ProtocolUse { protocol: FromStr::from_str(label).ok()?, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_documents_read() {
        let priors = Priors::read(BUILTIN).unwrap();
        let tls = parse_use("tls/well-known").unwrap();
        let irc = parse_use("irc/well-known").unwrap();
        assert!(priors.prevalence(tls, false) > 0.5);
        assert!(priors.prevalence(irc, false) < 0.01);
    }

    #[test]
    fn a_scripting_host_is_rarer_than_a_name_that_nobody_knows() {
        let priors = Priors::builtin();
        let unknown = priors.initiator_tail("ABCDE12345:com.example.Nobody", false);
        assert!(priors.initiator_tail("apple:com.apple.osascript", true) < unknown / 10.0);
        assert!(unknown < priors.initiator_tail("apple:com.apple.Terminal", false));
    }

    #[test]
    fn a_key_that_is_no_protocol_is_named() {
        let text =
            r#"{"schema": "tidemark.priors/1", "provenance": "test", "prevalence": {"tls/sideways": 0.5}}"#;
        let error = Priors::read([text]).unwrap_err();
        assert!(error.to_string().contains("tls/sideways"), "{error}");
    }

    #[test]
    fn a_fleets_own_table_may_replace_only_a_part() {
        let own = r#"{"schema": "tidemark.priors/1", "provenance": "test", "images": 1000000, "prevalence": {"irc/well-known": 0.5}}"#;
        let priors = Priors::read(BUILTIN.into_iter().chain([own])).unwrap();
        assert!(priors.prevalence(parse_use("irc/well-known").unwrap(), false) > 0.49);
    }
}
