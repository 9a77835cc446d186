//! Texts that many flows have in common, kept once.

use std::hash::BuildHasher;
use std::sync::Arc;

use super::Metadata;

/// The same few user agents, fingerprints, versions and names come with nearly every flow of a Mac, and a flow lives for hours. The texts
/// met lately are remembered, each in the place that its hash gives, and a flow that brings the same text again gets that one. A
/// collision costs a second copy and nothing else.
#[derive(Debug)]
pub(super) struct SharedTexts {
    places: Box<[Option<Arc<str>>]>,
    hasher: foldhash::fast::FixedState,
}

impl Default for SharedTexts {
    fn default() -> Self {
        Self { places: vec![None; PLACES].into_boxed_slice(), hasher: foldhash::fast::FixedState::default() }
    }
}

impl SharedTexts {
    /// Replaces each text by one that is already kept, where there is one.
    pub(super) fn share(&mut self, metadata: &mut Metadata) {
        let Metadata {
            server_name,
            alpn,
            tls_version,
            ja4,
            ech: _,
            http_host,
            http_method,
            user_agent,
            dns_query,
            dns_answers,
            ssh_banner,
            proxied_to,
            encrypted_dns: _,
        } = metadata;
        let single = [
            server_name,
            tls_version,
            ja4,
            http_host,
            http_method,
            user_agent,
            dns_query,
            ssh_banner,
            proxied_to,
        ];
        let lists = alpn.iter_mut().chain(dns_answers);
        for text in single.into_iter().flatten().chain(lists) {
            self.replace(text);
        }
    }

    fn replace(&mut self, text: &mut Arc<str>) {
        let hash = self.hasher.hash_one(&**text);
        let place = usize::try_from(hash % PLACES as u64).unwrap_or_default();
        match self.places.get_mut(place) {
            Some(Some(kept)) if kept == text => *text = Arc::clone(kept),
            Some(free) => *free = Some(Arc::clone(text)),
            None => {}
        }
    }
}

/// Texts remembered; with the longest texts, half a mebibyte.
const PLACES: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_of_two_flows_are_one() {
        let mut shared = SharedTexts::default();
        let metadata =
            || Metadata { user_agent: Some("curl/8".into()), alpn: vec!["h2".into()], ..Metadata::default() };
        let (mut first, mut second) = (metadata(), metadata());
        shared.share(&mut first);
        shared.share(&mut second);
        assert_eq!(first, second);
        assert!(Arc::ptr_eq(&first.user_agent.unwrap(), &second.user_agent.unwrap()));
        assert!(Arc::ptr_eq(&first.alpn[0], &second.alpn[0]));
    }
}
