//! An analyst's word on its way to a Mac.

use serde::{Deserialize, Serialize};

use crate::alert::FindingKey;
use crate::detect::Verdict;
use crate::network::Protocol;
use crate::process::Subject;

/// What an analyst said of a finding, for the Mac that found it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// `tidemark.feedback/1`.
    pub schema: String,
    /// What it was.
    pub verdict: Verdict,
    /// Whose finding it was; where it is absent, `finding` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// The finding's key, or its key without the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// The host that the finding's key was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl Word {
    /// The value of [`Word::schema`].
    pub const SCHEMA: &str = "tidemark.feedback/1";

    /// Whose finding it was: as the word says, else that of these subjects whose findings have the key. Each takes some hundred hashes.
    pub fn subject_among<'a>(&self, subjects: impl IntoIterator<Item = &'a Subject>) -> Option<Subject> {
        if self.subject.is_some() {
            return self.subject.clone();
        }
        let key = self.finding.as_deref()?;
        let protocols = || Protocol::ALL.iter().copied().map(Some).chain([None]);
        let hosts = [None, self.host.as_deref()];
        let hosts = if self.host.is_some() { &hosts[..] } else { &hosts[..1] };
        let has_key = |subject: &Subject| {
            protocols().any(|protocol| {
                hosts.iter().any(|host| FindingKey::new(*host, subject, protocol).as_str() == key)
            })
        };
        subjects.into_iter().find(|subject| has_key(subject)).cloned()
    }
}
