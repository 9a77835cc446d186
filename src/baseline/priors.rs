//! What is known before anything was seen.

/// Built-in knowledge about Macs in general.
#[derive(Debug, Clone, Default)]
pub struct Priors {}

impl Priors {
    /// The tables that tidemark is built with.
    pub fn builtin() -> Self {
        Self::default()
    }
}
